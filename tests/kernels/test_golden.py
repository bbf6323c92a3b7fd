"""The C of two small recurrences, to be read: how it changes is seen in the difference of two commits.

After a change that is meant: ``pytest tests/kernels/test_golden.py --update-golden``, and read what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import chalkgrad
from chalkgrad.kernels.c import loops
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.nn.operator import system_of

GOLDEN = Path(__file__).parents[1] / "golden" / "kernels"
PAGES = {
    "rnn": "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)",
    "gate": "z[t] = σ(x[t] W + h[t-1] U)\nh[t] = z[t] ⊙ h[t-1] + (1 - z[t]) ⊙ x[t]",
}
SIZES = {"rnn": {"x": 3, "h": 4}, "gate": {"x": 3}}


def sources(page: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The C of a page's forward and backward pass in float32, without what every kernel begins with."""
    found: list[str] = []
    load = loops.load

    def seen(source: str, entry: str, effort: tuple[str, ...]) -> Any:
        found.append(source)
        return load(source, entry, effort)

    monkeypatch.setattr(loops, "load", seen)
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    system_of.cache_clear()
    loops._made.cache_clear()
    net = chalkgrad.layer(PAGES[page], **SIZES[page])
    net(torch.ones(2, 3, 3))[0].sum().backward()
    beginning = prelude(double=False)
    assert all(source.startswith(beginning) for source in found)
    forward, backward = (source.removeprefix(beginning).strip() + "\n" for source in found)
    return {f"{page}_forward.c": forward, f"{page}_backward.c": backward}


@pytest.mark.parametrize("page", PAGES)
def test_kernels_are_pinned(
    page: str, pinned: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source in sources(page, monkeypatch).items():
        pinned(f"kernels/{name}", source)


def test_every_pinned_kernel_has_its_page() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {
        f"{n}_{d}.c" for n in PAGES for d in ("forward", "backward")
    }
