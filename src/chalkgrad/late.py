"""What comes with torch: the operator of :mod:`chalkgrad.nn.library` is there as soon as both are imported.

A file that torch.export has written holds the operator by name, and is read by torch alone. chalkgrad does
not import torch by itself, which takes seconds; it waits for whoever does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_OPERATOR = "chalkgrad.nn.library"


class _Waiting(MetaPathFinder):
    """Finds torch as it is found without it, and has the operator defined once torch is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loaded = spec.loader.exec_module

        def load(module: ModuleType) -> None:
            loaded(module)
            import_module(_OPERATOR)

        spec.loader.exec_module = load
        return spec


def define_operator() -> None:
    """Define the operator now if torch is there, or else as soon as it is."""
    if "torch" in sys.modules:
        import_module(_OPERATOR)
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())
