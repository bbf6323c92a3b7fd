"""Captions of pictures: an encoder and a decoder that are equations, with attention or without."""

from chalkgrad.tasks.caption.config import DECODERS, NET, Config, saved
from chalkgrad.tasks.caption.data import Data, Part, load
from chalkgrad.tasks.caption.model import Captioner
from chalkgrad.tasks.caption.teller import Caption, Teller, teller
from chalkgrad.tasks.caption.train import Progress, Result, train
from chalkgrad.tasks.errors import TaskError

__all__ = [
    "DECODERS",
    "NET",
    "Caption",
    "Captioner",
    "Config",
    "Data",
    "Part",
    "Progress",
    "Result",
    "TaskError",
    "Teller",
    "load",
    "saved",
    "teller",
    "train",
]
