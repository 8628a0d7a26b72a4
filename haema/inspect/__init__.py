"""Looking inside a network.

first_filters           the weights that meet the image
feature_maps            what comes out of each layer
activation_statistics   its mean, deviation, zeros, dead units and histogram
gradients               of the loss, parameter by parameter
gradient_norms          the same layer by layer, as one number
saliency, smooth_grad   which pixels a score depends on; input_gradient is what they are made of
worst_mistakes          the rows put into a wrong class most surely
stages                  the layers worth a look
pictures                draws all of these

A model is left as it was: modes, running statistics, gradients, random numbers.
"""

from haema.inspect import pictures
from haema.inspect.activations import Distribution, activation_statistics, distribution, feature_maps
from haema.inspect.filters import first_filters
from haema.inspect.gradients import gradient_norms, gradients
from haema.inspect.mistakes import worst_mistakes
from haema.inspect.recording import record, stages, type_of
from haema.inspect.saliency import input_gradient, saliency, smooth_grad

__all__ = [
    "first_filters",
    "feature_maps",
    "activation_statistics",
    "Distribution",
    "distribution",
    "gradients",
    "gradient_norms",
    "input_gradient",
    "saliency",
    "smooth_grad",
    "worst_mistakes",
    "record",
    "stages",
    "type_of",
    "pictures",
]
