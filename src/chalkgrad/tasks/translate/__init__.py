"""Translation: one fixed vector, attention inside the decoder's loop, a Transformer; all of equations."""

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.translate.config import Config, Metrics, saved
from chalkgrad.tasks.translate.data import Corpus, Pair, messages, pairs_in, tsv
from chalkgrad.tasks.translate.evaluate import Evaluation, Scores, evaluate, scores
from chalkgrad.tasks.translate.located import located
from chalkgrad.tasks.translate.model import Attending, Fixed, Transformer, Translator
from chalkgrad.tasks.translate.train import Progress, Result, corpus_of, train
from chalkgrad.tasks.translate.translate import Looks, Trained, Translation, load, looks, translate

__all__ = [
    "Attending",
    "Config",
    "Corpus",
    "Evaluation",
    "Fixed",
    "Looks",
    "Metrics",
    "Pair",
    "Progress",
    "Result",
    "Scores",
    "TaskError",
    "Trained",
    "Transformer",
    "Translation",
    "Translator",
    "corpus_of",
    "evaluate",
    "load",
    "located",
    "looks",
    "messages",
    "pairs_in",
    "saved",
    "scores",
    "train",
    "translate",
    "tsv",
]
