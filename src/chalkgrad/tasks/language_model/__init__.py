"""Language models: counted n-grams, Bengio's net, any recurrence that can be written down, a Transformer."""

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import Config, Metrics, saved
from chalkgrad.tasks.language_model.data import plays, read
from chalkgrad.tasks.language_model.generate import Trained, generate, load
from chalkgrad.tasks.language_model.score import Score, score, shuffled, token_scores
from chalkgrad.tasks.language_model.train import Progress, Result, train

__all__ = [
    "Config",
    "TaskError",
    "Metrics",
    "Progress",
    "Result",
    "Score",
    "Trained",
    "generate",
    "load",
    "plays",
    "read",
    "saved",
    "score",
    "shuffled",
    "token_scores",
    "train",
]
