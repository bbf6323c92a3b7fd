"""A layer as a short script that runs alone: forward and backward in NumPy or torch, with its own check."""

from chalkgrad.kernels.script.dialect import Dialect
from chalkgrad.kernels.script.file import script

__all__ = ["Dialect", "script"]
