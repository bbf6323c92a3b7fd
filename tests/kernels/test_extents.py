"""Loops of any extent: no example, one step, one feature, many steps, and numbers that lie far apart."""

from __future__ import annotations

import resource
from itertools import product
from pathlib import Path

import pytest
import torch
from tests.kernels.comparing import F64, count_calls, normal, values_and_gradients
from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.c import loops
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System

PAGES = {
    "products": "h[t] = tanh(x[t] W + h[t-1] U + b)",
    "two states": "c[t] = σ(x[t] W + h[t-1] U) ⊙ c[t-1] + x[t] V\nh[t] = σ(x[t] Q) ⊙ tanh(c[t])",
    "a product of a product": "r[t] = σ(x[t] W + h[t-1] U)\nh[t] = tanh(x[t] V + (r[t] ⊙ h[t-1]) Q)",
    "two steps back": "h[t] = tanh(x[t] W + h[t-1] U + h[t-2] V + b)",
    "backwards": "g[t] = tanh(x[t] W + g[t+1] U + b)\ny[t] = g[t] V",
    "reductions": "h[t] = softmax(x[t] W + layernorm(h[t-1]) ⊙ g + max(h[t-1]) h[t-1])",
    "a start": "h[0] = a\nh[t] = tanh(x[t] W + h[t-1] U)\ny = h[T] V",
    "no product": "c[t] = σ(f[t]) ⊙ c[t-1] + x[t] where f: input",
    "a matrix": "M[t,i,j] = 0.5 M[t-1,i,j] + k[t,i] x[t,j]\no[t,j] = Σ[i] k[t,i] M[t,i,j]\n"
    "where k[t]: A, x[t]: B",
}
SMALL = {"batch": 2, "T": 3, "|x|": 3, "|h|": 4, "|y|": 2}


def system(text: str) -> System:
    return System(normalise(batch(read(text).program)))


def drawn(of: System, numbers: dict[str, int], dtype: torch.dtype = F64) -> dict[str, Tensor]:
    given = of.program.given("input", "parameter", "start")
    shapes = {n.name: [r.size.value(numbers) for r in n.ranges] for n in given}
    return {n: 0.5 * normal(*s, dtype=dtype, seed=k) for k, (n, s) in enumerate(shapes.items())}


def at(of: System, **numbers: int) -> dict[str, int]:
    """Sizes by symbol: the small ones, but for those that are named and those that a page has none of."""
    chosen = {**SMALL, **numbers}
    return {s: chosen.get(s, chosen["|h|"]) for s in (*of.program.symbols, "batch")}


def agree(
    of: System,
    given: dict[str, Tensor],
    numbers: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    within: float = 1e-10,
) -> dict[str, Tensor]:
    calls = count_calls(monkeypatch)
    found = values_and_gradients(of, given, numbers, "on", monkeypatch)
    assert calls, "no loop was compiled"
    meant = values_and_gradients(of, given, numbers, "off", monkeypatch)
    for name, x in found.items():
        torch.testing.assert_close(
            x, meant[name], rtol=within, atol=within, msg=lambda m, n=name: f"{n}: {m}"
        )
    return found


EXTENTS = [
    {"batch": 0}, {"batch": 1, "T": 1}, {"|h|": 1}, {"|h|": 1, "|x|": 1, "|y|": 1, "T": 1, "batch": 1},
    {"|x|": 1, "T": 2}, {"batch": 0, "T": 1, "|h|": 1}, {"T": 300, "batch": 1}, {"batch": 40, "|h|": 33},
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_nothing_one_and_many_give_the_same_compiled(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = system(PAGES[page])
    for extent in EXTENTS:
        numbers = at(of, **extent)
        agree(of, drawn(of, numbers), numbers, monkeypatch)


WIDE = [{"batch": 1, "|h|": 257}, {"batch": 3, "|h|": 200}, {"batch": 9, "|h|": 129}]
"""Rows too few to go round: threads share the columns of each step, and wait for one another after it."""


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("page", PAGES)
def test_threads_that_share_columns_give_the_same(
    page: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = system(PAGES[page])
    monkeypatch.setattr(loops, "ALONE", 0)  # threads for the smallest loop too
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        for extent in WIDE:
            numbers = at(of, **extent)
            given = drawn(of, numbers)
            shrunk = {n: x / x.shape[0] ** 0.5 if x.dim() == 2 else x for n, x in given.items()}
            agree(of, shrunk, numbers, monkeypatch)
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("steps", [1_000, 20_000])
def test_many_steps_give_the_same_compiled(page: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of = system(PAGES[page])
    numbers = at(of, T=steps, batch=1)
    given = {n: x if x.dim() > 2 else 0.5 * x for n, x in drawn(of, numbers).items()}
    found = agree(of, given, numbers, monkeypatch, within=1e-8)
    assert all(x.any() for n, x in found.items() if n not in ("∂h₀", "∂g₀", "∂c₀", "∂M₀", "∂a"))


FAR = 2**31 + 7
"""Numbers from one example, and from one step, to the next: more than 32 bits can count."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=["float32", "float64"])
@pytest.mark.parametrize(("page", "apart"), [
    *product(("products", "two states", "a product of a product"), ("examples", "steps", "rows")),
    *product(("no product", "a matrix"), ("examples", "steps")),
])  # fmt: skip
def test_numbers_may_lie_further_apart_than_32_bits_count(
    page: str, apart: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of = system(PAGES[page])
    numbers = at(of)
    near = drawn(of, numbers, dtype)
    dim, axes = {"examples": (0, 3), "steps": (1, 3), "rows": (0, 2)}[apart]
    given = {n: far(x, dim, tmp_path / n) if x.dim() == axes else x for n, x in near.items()}
    assert any(x.stride(dim) == FAR for x in given.values() if x.dim() == axes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    within = 1e-10 if dtype == F64 else 1e-4
    found = agree(of, given, numbers, monkeypatch, within)
    meant = values_and_gradients(of, near, numbers, "off", monkeypatch)
    for name, x in found.items():
        torch.testing.assert_close(x, meant[name], rtol=within, atol=within)
    # In kilobytes: what lies between was never touched.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20


def far(x: Tensor, dim: int, path: Path) -> Tensor:
    """The tensor in a file that is mostly a hole, with its places along one axis far apart."""
    stride = list(x.stride())
    stride[dim] = FAR
    whole = torch.from_file(str(path), shared=True, size=FAR * x.shape[dim], dtype=x.dtype)
    return whole.as_strided(x.shape, stride).copy_(x)
