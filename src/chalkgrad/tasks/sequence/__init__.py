"""Sequences of numbers, foretold or told apart by any recurrence."""

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.sequence.config import Config, saved
from chalkgrad.tasks.sequence.data import Series, Table, load
from chalkgrad.tasks.sequence.report import WAYS, Confused, Errors
from chalkgrad.tasks.sequence.train import Data, Progress, Result, prepared, train
from chalkgrad.tasks.sequence.use import Trained, classified, foretell, trained

__all__ = [
    "WAYS",
    "Config",
    "Confused",
    "Data",
    "Errors",
    "Progress",
    "Result",
    "Series",
    "Table",
    "TaskError",
    "Trained",
    "classified",
    "foretell",
    "load",
    "prepared",
    "saved",
    "train",
    "trained",
]
