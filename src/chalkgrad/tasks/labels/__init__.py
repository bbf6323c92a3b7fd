"""Labels for texts or for their words, learned by a net that read texts before, or from scratch."""

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.labels.config import Config, card, saved
from chalkgrad.tasks.labels.data import Data, Example, load
from chalkgrad.tasks.labels.train import Result, Start, fresh, labelled, pretrained, train, trained

__all__ = [
    "Config",
    "Data",
    "Example",
    "Result",
    "Start",
    "TaskError",
    "card",
    "fresh",
    "labelled",
    "load",
    "pretrained",
    "saved",
    "train",
    "trained",
]
