"""A classifier of pictures whose layers are any equations that make one thing of another."""

from chalkgrad.tasks.classify.config import NET, Config, saved
from chalkgrad.tasks.classify.data import Data, Part, load
from chalkgrad.tasks.classify.model import Network
from chalkgrad.tasks.classify.recognise import Guess, Recogniser, recogniser
from chalkgrad.tasks.classify.train import Progress, Result, train
from chalkgrad.tasks.errors import TaskError

__all__ = [
    "NET",
    "Config",
    "Data",
    "Guess",
    "Network",
    "Part",
    "Progress",
    "Recogniser",
    "Result",
    "TaskError",
    "load",
    "recogniser",
    "saved",
    "train",
]
