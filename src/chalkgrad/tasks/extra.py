"""Libraries that only some tasks need: the extra ``chalkgrad[tasks]``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chalkgrad.tasks.errors import TaskError


def extra(module: str, library: str) -> Any:
    """A module of a library that is installed with the extra; TaskError that says how where it is not there.

    >>> extra("nowhere.at_all", "Nowhere")
    Traceback (most recent call last):
        ...
    chalkgrad.tasks.errors.TaskError: this needs Nowhere: pip install "chalkgrad[tasks]"
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.split(".")[0] == error.name.split(".")[0]:
            raise TaskError(f'this needs {library}: pip install "chalkgrad[tasks]"') from None
        raise


__all__ = ["extra"]
