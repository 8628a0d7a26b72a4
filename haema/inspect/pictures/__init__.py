"""Drawing what `haema.inspect` computes; each function returns a Matplotlib figure, which ``savefig`` writes."""

from haema.inspect.pictures.confusion import draw_confusion
from haema.inspect.pictures.features import draw_features
from haema.inspect.pictures.filters import draw_filters
from haema.inspect.pictures.histograms import draw_activations, draw_gradients
from haema.inspect.pictures.saliency import draw_saliency

__all__ = [
    "draw_activations",
    "draw_confusion",
    "draw_features",
    "draw_filters",
    "draw_gradients",
    "draw_saliency",
]
