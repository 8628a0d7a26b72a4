"""Learning-rate schedules: ``scheduler.step()`` after ``optimizer.step()``, once an epoch or once a batch."""

from haema.optim.lr_scheduler.base import LRScheduler
from haema.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from haema.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from haema.optim.lr_scheduler.cyclic import CyclicLR
from haema.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from haema.optim.lr_scheduler.onecycle import OneCycleLR
from haema.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "LRScheduler", "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR",
    "ExponentialLR", "PolynomialLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR",
    "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler",
]  # fmt: skip
