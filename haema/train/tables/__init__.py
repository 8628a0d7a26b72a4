"""Learning from tables: the default plan, and a short way to use it.

learn_table    a table and its target -> a trainer that predicts
table_plan     all choices, from rows, columns and task
"""

from haema.train.tables.learning import KeepBest, MembersLoss
from haema.train.tables.plan import TablePlan, table_plan
from haema.train.tables.preparing import Prepared, fold_numbers, prepare_table
from haema.train.tables.use import learn_table

__all__ = [
    "KeepBest",
    "MembersLoss",
    "Prepared",
    "TablePlan",
    "fold_numbers",
    "learn_table",
    "prepare_table",
    "table_plan",
]
