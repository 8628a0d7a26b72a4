"""Training: the loop, what is measured, and what happens around it.

Trainer      fit, evaluate, predict
learn_table  a table and its target -> a trainer that predicts
History      the values of each epoch; plot, diagnosis
Callback     EarlyStopping, Checkpoint, LearningRateSchedule, CSVLog, TimeLimit, GradientNorms, ...
metrics      accuracy, f1, roc_auc, r2, ... as functions
"""

from haema.train import metrics
from haema.train.callbacks import (
    Callback,
    EarlyStopping,
    GradientNorms,
    LambdaCallback,
    NonFiniteLoss,
    StopOnNonFinite,
    TimeLimit,
)
from haema.train.checkpoint import Checkpoint
from haema.train.history import Diagnosis, History
from haema.train.predictions import METRICS
from haema.train.progress import CSVLog, ProgressBar
from haema.train.run import Run
from haema.train.schedule import LearningRateSchedule
from haema.train.tables.use import learn_table
from haema.train.trainer import Trainer

__all__ = [
    "Trainer",
    "learn_table",
    "History",
    "Diagnosis",
    "Run",
    "Callback",
    "EarlyStopping",
    "Checkpoint",
    "LearningRateSchedule",
    "CSVLog",
    "ProgressBar",
    "StopOnNonFinite",
    "NonFiniteLoss",
    "TimeLimit",
    "LambdaCallback",
    "GradientNorms",
    "metrics",
    "METRICS",
]
