"""`haema.data` under PyTorch's path, ``haema.utils.data``."""

from haema.data import *  # noqa: F403
from haema.data import __all__ as __all__
