"""What is to be done with a module that somebody else loads: torch takes seconds, and Dynamo takes one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class _Waiting(MetaPathFinder):
    """Finds a module as it is found without it, and does something once that is loaded."""

    def __init__(self, name: str, then: Callable[[], object]) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loaded = spec.loader.exec_module

        def load(module: ModuleType) -> None:
            loaded(module)
            self.then()

        spec.loader.exec_module = load
        return spec


def once_loaded(name: str, then: Callable[[], object]) -> None:
    """Do something now if a module is there, or else as soon as it is."""
    if name in sys.modules:
        then()
    else:
        sys.meta_path.insert(0, _Waiting(name, then))
