"""What is loaded, and when: nobody waits for what is not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_GRADIENTS = """
import torch
from chalkgrad import layer
y, _ = layer("lstm", D=2, H=2)(torch.ones(1, 3, 2))
y.sum().backward()
"""
LOADED = "\nimport sys; print(*sys.modules)"


def loaded(script: str) -> set[str]:
    """The modules that a new process has loaded after a script."""
    done = subprocess.run([sys.executable, "-c", script + LOADED], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_no_torch() -> None:
    found = loaded("import chalkgrad")
    assert "chalkgrad" in found
    assert "torch" not in found


def test_deriving_loads_no_torch() -> None:
    found = loaded("import chalkgrad; chalkgrad.derive('lstm')")
    assert "chalkgrad.calculus.explain" in found
    assert "torch" not in found


@pytest.mark.parametrize(
    "reader",
    [
        "chalkgrad.notes",
        "chalkgrad.language.parse.latex",
        "chalkgrad.equations.show",
        "chalkgrad.calculus.explain",
    ],
)
def test_first_gradients_wait_neither_for_notes_nor_latex_nor_what_is_printed(
    reader: str, after_first_gradients: set[str]
) -> None:
    assert "chalkgrad.nn.layer" in after_first_gradients
    assert reader not in after_first_gradients


@pytest.fixture(scope="module")
def after_first_gradients() -> set[str]:
    return loaded(FIRST_GRADIENTS)
