"""Drawn recurrences: what a kernel computes is what the eager backend computes, and so are its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from tests.kernels.comparing import F64, count_calls, normal, values_and_gradients
from tests.kernels.recurrences import Drawn, recurrences
from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.kernels.c import loops
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System

WIDTHS = (1, 2, 3, 5, 7, 8, 11, 15, 16, 17, 23, 31, 32, 33, 40)
LAYOUTS = ("contiguous", "turned", "cut out", "every other", "the same for all")


@dataclass(frozen=True)
class Sizes:
    """What a page is run at: sizes by symbol, the type of numbers, threads, and how tensors lie in memory."""

    numbers: dict[str, int]
    double: bool
    threads: int
    layout: str


@st.composite
def sizes(draw: st.DrawFn) -> Sizes:
    width, steps = st.sampled_from(WIDTHS), draw(st.integers(1, 9))
    numbers = {"batch": draw(st.integers(1, 9)), "T": steps, "D": draw(width), "H": draw(width)}
    numbers |= {"K": draw(width), "S": draw(st.integers(1, 5))}
    return Sizes(numbers, draw(st.booleans()), draw(st.integers(1, 3)), draw(st.sampled_from(LAYOUTS)))


def laid(x: Tensor, layout: str) -> Tensor:
    """The numbers of a tensor, lying in memory in another way."""
    match layout:
        case "turned":
            return x.mT.contiguous().mT if x.dim() > 1 else x
        case "cut out":
            wide = x.new_full([n + 3 for n in x.shape], float("nan"))
            part = wide[tuple(slice(1, n + 1) for n in x.shape)]
            return part.copy_(x)
        case "every other":
            return torch.stack([x, torch.full_like(x, float("nan"))], -1)[..., 0]
        case "the same for all":
            return x[:1].expand(x.shape) if x.dim() > 2 else x
        case _:
            return x


def tensors(program: Program, at: Sizes) -> dict[str, Tensor]:
    """A tensor for all that is given: matrices that neither grow nor shrink what they are multiplied with."""
    found: dict[str, Tensor] = {}
    for k, name in enumerate(program.given("input", "parameter", "start")):
        shape = [r.size.value(at.numbers) for r in name.ranges]
        scale = shape[0] ** -0.5 if name.role == "parameter" and len(shape) == 2 else 0.7
        found[name.name] = laid(scale * normal(*shape, dtype=torch.float32, seed=k).to(F64), at.layout)
    return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def furthest(a: Tensor, b: Tensor) -> float:
    """The largest difference, against the largest number."""
    return ((a.to(F64) - b).abs().max() / b.abs().max().clamp(min=1e-3)).item() if b.numel() else 0.0


def agree(page: Drawn, points: list[Sizes]) -> None:
    system = System(normalise(batch(read(page.text).program)))
    with pytest.MonkeyPatch.context() as patch:
        calls = count_calls(patch)
        patch.setattr(loops, "ALONE", 0)  # threads for the smallest loop too
        for at in points:
            with threads(at.threads):
                agree_at(system, page, at, patch)
        assert len(calls) >= 2 * len(points), "not every loop was compiled"


def agree_at(system: System, page: Drawn, at: Sizes, patch: pytest.MonkeyPatch) -> None:
    if "layernorm" in page.text and at.numbers["H"] < 4:
        at = replace(at, numbers={**at.numbers, "H": 4})  # of one number or two only rounding would be left
    if "softmax" in page.text and not at.double:
        # Of one number it is 1, and its slope nothing but rounding.
        at = replace(at, numbers={**at.numbers, **{s: max(2, n) for s, n in at.numbers.items() if s in "HS"}})
    exact = tensors(system.program, at)
    meant = values_and_gradients(system, exact, at.numbers, "off", patch)
    assert all(torch.isfinite(x).all() for x in meant.values())
    assert any(x.any() for n, x in meant.items() if not n.startswith("∂"))
    assert any(x.any() for n, x in meant.items() if n.startswith("∂"))
    if at.double:
        found = values_and_gradients(system, exact, at.numbers, "on", patch)
        for name, x in found.items():
            assert furthest(x, meant[name]) <= 1e-10, f"{name} of\n{page.text}\nat {at}"
        return
    rounded = {n: laid(x.float(), at.layout) for n, x in exact.items()}
    found = values_and_gradients(system, rounded, at.numbers, "on", patch)
    eager = values_and_gradients(system, rounded, at.numbers, "off", patch)
    for name, x in found.items():
        if page.smooth or not name.startswith("∂"):
            within = max(4 * furthest(eager[name], meant[name]), 1e-5)
            assert furthest(x, meant[name]) <= within, f"{name} of\n{page.text}\nat {at}"


QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=4, derandomize=True, phases=[Phase.generate], **QUIET)
@given(page=recurrences(), points=st.lists(sizes(), min_size=4, max_size=4))
def test_what_is_drawn_gives_the_same_compiled(page: Drawn, points: list[Sizes]) -> None:
    agree(page, points)


# What takes time is the compiler: one dtype for each page makes room for twice the pages.
@pytest.mark.slow
@settings(max_examples=28, **QUIET)
@given(page=recurrences(), points=st.lists(sizes(), min_size=3, max_size=3), double=st.booleans())
def test_new_drawn_pages_give_the_same_compiled(page: Drawn, points: list[Sizes], double: bool) -> None:
    target(float(len(page.text)))
    agree(page, [replace(at, double=double) for at in points])


FOUND = {
    "an input in two products": "h[t] = tanh(x[t] W + x[t] V + h[t-1] U)\nwhere x[t]: D, h[t]: H",
    "an input in two products, normed": "h[t] = layernorm(h[t-1] + x[t] W + x[t] V)\nwhere x[t]: D, h[t]: H",
    "a winner's place beside many tensors": """
g[t] = tanh(g[t+1] U1 + x[t] W2 + relu(softmax(g[t+1])))
h[t] = tanh(h[t-1] U3 + x[t] W4 + h[t-2] ⊙ (c[t-1] U5))
c[t] = tanh(c[t-1] U6 + c[t-1] U7)
y[t] = h[t] ⊙ c[t] ⊙ g[t]
where h[t]: H, c[t]: H, g[t]: H, U1: H×H, x[t]: D, W2: D×H, U3: H×H, W4: D×H, U5: H×H, U6: H×H, U7: H×H
""",
}
"""What was once computed wrong."""


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("double", [False, True])
def test_what_was_once_found_gives_the_same_compiled(found: str, double: bool) -> None:
    numbers = {"batch": 2, "T": 3, "D": 3, "H": 5}
    agree(Drawn(FOUND[found], smooth=True), [Sizes(numbers, double, 1, "contiguous")])
