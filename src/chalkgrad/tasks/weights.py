"""The weights of a trained net by themselves, as safetensors: named tensors, and nothing that can run."""

from __future__ import annotations

from typing import Any

from torch import nn

from chalkgrad.tasks.directory import Directory, reason
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra

WEIGHTS = "weights.safetensors"


def save(directory: Directory, model: nn.Module) -> None:
    """Write a net's weights beside its checkpoint."""
    directory.write(WEIGHTS, extra("safetensors.torch", "safetensors").save(model.state_dict()))


def restore(directory: Directory, model: nn.Module) -> None:
    """Give a net the weights that lie there. Raises :class:`TaskError` where they are not its own."""
    file = directory.path / WEIGHTS
    safetensors: Any = extra("safetensors.torch", "safetensors")
    wrong = extra("safetensors", "safetensors").SafetensorError
    try:
        model.load_state_dict(safetensors.load(file.read_bytes()))
    except FileNotFoundError:
        raise TaskError(f"{directory.path} holds no trained weights yet ({file.name} is missing)") from None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, wrong) as error:
        raise TaskError(f"{file} does not hold this net's weights: {reason(error)}") from None


__all__ = ["WEIGHTS", "restore", "save"]
