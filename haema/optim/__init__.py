"""Optimizers and learning-rate schedules.

    SGD        momentum, Nesterov               Adagrad    sums of squares
    RMSprop    running mean of squares          Adadelta   steps in the units of the weights
    Adam       both averages                    AdamW      with decoupled weight decay
    NAdam      with Nesterov momentum           RAdam      with a rectified start
    Adamax     with the largest gradient        Rprop      signs only, full batches
    Lion       sign of an average

``optim.lr_scheduler`` has the schedules, ``optim.swa_utils`` the averaged models. Every optimizer takes
``weight_decay`` (L2, Rprop excepted) and ``l1_decay`` (L1).
"""

from typing import Any

from haema.optim import lr_scheduler
from haema.optim.adadelta import Adadelta
from haema.optim.adagrad import Adagrad
from haema.optim.adam import Adam, AdamW
from haema.optim.adamax import Adamax
from haema.optim.lion import Lion
from haema.optim.nadam import NAdam
from haema.optim.optimizer import Optimizer
from haema.optim.radam import RAdam
from haema.optim.rmsprop import RMSprop
from haema.optim.rprop import Rprop
from haema.optim.sgd import SGD

__all__ = [
    "Optimizer", "SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Rprop",
    "Lion", "lr_scheduler", "swa_utils",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "swa_utils":  # needs nn, which optimizers do not
        import importlib

        return importlib.import_module("haema.optim.swa_utils")
    raise AttributeError(f"module 'haema.optim' has no attribute {name!r}")
