"""Modules for tables: from cells to numbers, and the networks that learn from them.

TableColumns       a table -> a matrix of scaled numbers, category codes and words
TableFeatures      that matrix -> what the networks see:
    SoftClip, HoleIndicator, PiecewiseLinear, OneHot, TargetStatistics
TableNet           two kinds of networks, several of each side by side:
    ParallelMLP, ParallelLinear
"""

from haema.nn.tables.columns import TableColumns
from haema.nn.tables.encodings import HoleIndicator, OneHot, PiecewiseLinear, SoftClip, TargetStatistics
from haema.nn.tables.features import TableFeatures
from haema.nn.tables.network import TableNet
from haema.nn.tables.parallel import ParallelLinear, ParallelMLP

__all__ = [
    "TableColumns",
    "TableFeatures", "SoftClip", "HoleIndicator", "PiecewiseLinear", "OneHot", "TargetStatistics",
    "TableNet", "ParallelMLP", "ParallelLinear",
]  # fmt: skip
