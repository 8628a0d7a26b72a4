"""Layers that make new images of old ones, in training only.

flip       mirrored                        crop       parts, borders, shifts by whole pixels
affine     rotated, shifted, zoomed, ...   elastic    morphed
color      light and colours               erasing    partly erased
mixing     two images and their targets    views      predictions averaged over several views

The names and arguments are those of torchvision.transforms.v2 where it has the thing. What is random is drawn for each
image from haema's generator (for each batch in MixUp and CutMix), so a seed repeats it, eager or compiled. Images are
(N, C, H, W); floating pixels run from 0 to 1, whole numbers from 0 to 255, and come out in the type in which they came.
"""

from haema.nn.augmentation.affine import RandomAffine, RandomRotation
from haema.nn.augmentation.color import ColorJitter, PCAColorShift, RandomInvert
from haema.nn.augmentation.crop import RandomCrop
from haema.nn.augmentation.elastic import ElasticTransform
from haema.nn.augmentation.erasing import RandomErasing
from haema.nn.augmentation.flip import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
from haema.nn.augmentation.mixing import CutMix, MixUp
from haema.nn.augmentation.views import TestTimeAugmentation

__all__ = [
    "RandomAffine", "RandomRotation",
    "ColorJitter", "PCAColorShift", "RandomInvert",
    "RandomCrop",
    "ElasticTransform",
    "RandomErasing",
    "AlternatingFlip", "RandomHorizontalFlip", "RandomVerticalFlip",
    "CutMix", "MixUp",
    "TestTimeAugmentation",
]  # fmt: skip
