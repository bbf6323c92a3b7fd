"""Sums with windows that the library has no call for, as loop nests in C, beside the eager specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.kernels.comparing import F64, normal, values_and_gradients
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import chalkgrad
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Condition, Equation, Guard, Index, Name, Program, Range, Read, Reduce, Size
from chalkgrad.equations.ops import mul
from chalkgrad.kernels.account import account
from chalkgrad.kernels.c.nests import source
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.kernels.eager import staging
from chalkgrad.kernels.eager.forms import form
from chalkgrad.kernels.eager.lanes import Plan, plans
from chalkgrad.kernels.eager.nests import called, nest_of
from chalkgrad.kernels.eager.runner import Runner
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System
from naive import evaluate

LOCAL = "y[k,i,j] = Σ[c,p,q] w[k,i,j,c,p,q] x[c,i+p,j+q] where x: input"
PAGES = {
    "locally connected": LOCAL,
    "padded": "y[k,i,j] = Σ[c,p,q] w[k,i,j,c,p,q] x[c,i+p-1,j+q-1]\n"
    "where x: input C×M×N zero outside ±1, w: K×I×J×C×P×Q",
    "strided and dilated": "y[k,i] = Σ[c,p] w[k,i,c,p] x[c,3i+2p] where x: input",
    "a weight for each place": "y[i] = Σ[p] w[i,p] x[i+p] where x: input",
    "involution": "y[c,i,j] = Σ[p,q] w[i,j,p,q] x[c,i+p,j+q] where x: input, w: input",
    "local attention": "y[i,d] = Σ[s] a[i,s] v[i+s,d] where a: input, v: input",
    "one axis": "y[i] = Σ[p,q] w[p,q] x[i+p+q] where x: input",
    "correlation": "z[i,j,u,v] = Σ[c] x[c,i,j] y[c,i+u,j+v] where x: input, y: input",
    "bilinear windows": "y[k,i] = Σ[p,q] W[k,p,q] x[i+p] x[i+q] where x: input",
    "three factors": "y[k,i] = Σ[c,p] w[k,c,p] g[c,i+p] x[c,i] where x: input, g: input",
    "distances": "y[k,i] = Σ[c,p] (x[c,i+p] - w[k,c,p])² where x: input",
    "sums of windows": "y[k,i] = Σ[p] (x[i+p] + w[k,p]) (x[i] + 2 w[k,p]) where x: input",
}
SIZES = {
    "batch": 3,
    "C": 2,
    "K": 3,
    "I": 5,
    "J": 4,
    "P": 3,
    "Q": 2,
    "M": 5,
    "N": 4,
    "D": 7,
    "S": 3,
    "U": 3,
    "V": 2,
}


def system(text: str) -> System:
    return System(normalise(batch(read(text).program)))


def drawn(of: System, numbers: dict[str, int], dtype: torch.dtype = F64) -> dict[str, Tensor]:
    given = of.program.given("input", "parameter")
    shapes = {n.name: [r.size.value(numbers) for r in n.ranges] for n in given}
    return {n: normal(*s, dtype=dtype, seed=k) for k, (n, s) in enumerate(shapes.items())}


def sized(of: System, **numbers: int) -> dict[str, int]:
    """Sizes by symbol: those named, small ones, and enough for the windows of an input's own axis."""
    chosen = {**SIZES, **numbers}
    return {s: chosen.get(s, 17 if s.startswith("|") else 4) for s in (*of.program.symbols, "batch")}


@pytest.fixture
def nests(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans of the nests that are called, from now on."""
    seen: list[Plan] = []

    def counted(plan: Plan, dtype: torch.dtype) -> Any:
        call = called(plan, dtype)
        return lambda given: (seen.append(plan), call(given))[1]

    monkeypatch.setattr(staging, "called", counted)
    return seen


def agree(of: System, given: dict[str, Tensor], numbers: dict[str, int], patch: pytest.MonkeyPatch) -> None:
    """Values and gradients are what torch's operations make them, in float32 as near to what is exact."""
    found = values_and_gradients(of, given, numbers, "on", patch)
    theirs = values_and_gradients(of, given, numbers, "off", patch)
    if all(x.dtype == F64 for x in given.values()):
        torch.testing.assert_close(found, theirs)
        return
    exact = values_and_gradients(of, {n: x.double() for n, x in given.items()}, numbers, "off", patch)
    for name, value in exact.items():
        ulp = torch.finfo(torch.float32).eps * value.abs().max()
        ours, torchs = ((x[name] - value).abs().max() for x in (found, theirs))
        assert ours <= max(2 * torchs, 8 * ulp), name  # of sums with up to six hundred terms


@pytest.mark.parametrize("page", PAGES)
def test_a_nest_and_its_gradients_are_what_torch_computes(
    page: str, nests: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = system(PAGES[page])
    numbers = sized(of)
    agree(of, drawn(of, numbers), numbers, monkeypatch)
    assert len(nests) >= 2


@pytest.mark.parametrize("page", ["locally connected", "padded", "strided and dilated", "bilinear windows"])
def test_nests_of_one_and_of_many(page: str, nests: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    of = system(PAGES[page])
    for sizes in (
        {"batch": 1, "C": 1, "K": 1, "I": 1, "J": 1, "P": 1, "Q": 1},
        {"batch": 37, "C": 3, "K": 11, "I": 7, "J": 19, "P": 5, "Q": 1, "M": 9, "N": 17},
    ):
        numbers = sized(of, **sizes, **{"|x|": 19, "|x|₂": 23})
        for dtype in (torch.float32, F64):
            agree(of, drawn(of, numbers, dtype), numbers, monkeypatch)
    assert nests


def test_a_nest_gives_the_same_whatever_the_number_of_threads(
    nests: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    try:
        for page, batch in (("locally connected", 20), ("a weight for each place", 64)):
            of = system(PAGES[page])
            numbers = sized(of, batch=batch, I=61, J=17, C=3)
            given, found = drawn(of, numbers), []
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found.append(values_and_gradients(of, given, numbers, "on", monkeypatch))
            torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
            torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)
    finally:
        torch.set_num_threads(before)
    assert max(plan.form.points for plan in nests) > 200_000


def test_a_nest_reads_tensors_as_they_lie(nests: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    for page in ("locally connected", "local attention"):
        of = system(PAGES[page])
        numbers = sized(of, D=16)
        given = drawn(of, numbers)
        turned = {n: x.transpose(0, -1).contiguous().transpose(0, -1) for n, x in given.items()}
        assert not any(x.is_contiguous() for x in turned.values())
        same = values_and_gradients(of, given, numbers, "on", monkeypatch)
        torch.testing.assert_close(values_and_gradients(of, turned, numbers, "on", monkeypatch), same)
        spread = {n: x[:1].expand(x.shape) for n, x in given.items()}
        agree(of, spread, numbers, monkeypatch)
    assert nests


def test_nothing_comes_of_no_examples(nests: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    of = system(LOCAL)
    numbers = sized(of, batch=0)
    agree(of, drawn(of, numbers), numbers, monkeypatch)


def test_a_gradient_of_a_gradient_goes_through_nests(
    nests: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    of = system(PAGES["a weight for each place"])
    numbers = sized(of, batch=2, I=3, P=2)
    given = drawn(of, numbers)

    def run(*tensors: Tensor) -> Any:
        return of(dict(zip(given, tensors, strict=True)), numbers, of.program.outputs)[0]

    leaves = [x.requires_grad_() for x in given.values()]
    assert gradcheck(run, leaves)
    assert gradgradcheck(run, leaves)
    assert len({plan.form.outs for plan in nests}) > 2


# --- any direction, any lanes --------------------------------------------------------------------------


def tied(alpha: int, beta: int, shift: int, divisor: int, sizes: tuple[int, int, int]) -> Program:
    """``y[b,i] = Σ[c,p] w[i,c,p] x[b,c,(α i + β p + shift)/divisor]``, zero outside of x."""
    i, p, n = (Range(a, Size((), k)) for a, k in zip("ipn", sizes, strict=True))
    b, c = Range("b", Size((), 3)), Range("c", Size((), 2))
    whole = Index.of({"i": alpha, "p": beta}, shift)
    last = Size((), (sizes[2] - 1) * divisor)
    conditions = [Condition(whole), Condition(whole * -1 + last)]
    conditions += [Condition(whole, "divisible", divisor)] if divisor > 1 else []
    axis = Index.axis
    x = Read("x", (axis("b"), axis("c"), Index(whole.terms, whole.shift, divisor)))
    body = mul(Read("w", (axis("i"), axis("c"), axis("p"))), x)
    value = Reduce("sum", (c, p), Guard(tuple(conditions), body))
    given = (Name("x", "input", (b, c, n), 3), Name("w", "parameter", (i, c, p), 3))
    return Program((Equation("y", (b, i), value),), (*given, Name("y", "defined", (b, i), 2)), ("y",))


TIES = [
    (1, 1, 0, 1),
    (1, -1, 2, 1),
    (-1, 1, 3, 1),
    (2, 3, -4, 1),
    (-3, 2, 5, 1),
    (1, 1, 1, 2),
    (3, -1, 0, 2),
    (2, -2, 2, 3),
]


def every_plan(e: Equation, program: Program) -> list[Plan]:
    intervals = {n.name: tuple(r.interval({}) for r in n.ranges) for n in program.names}
    found = form(e, {}, intervals)
    return [*plans(found, 8)] if found else []


@pytest.mark.parametrize("tie", TIES)
def test_every_choice_of_lanes_and_blocks_is_right(tie: tuple[int, int, int, int]) -> None:
    program = tied(*tie, (9, 3, 8))
    gradients = normalise(derive(program))
    random = np.random.default_rng(0)
    arrays = {n.name: random.standard_normal([r.size.value({}) for r in n.ranges]) for n in gradients.given()}
    tensors = {name: torch.as_tensor(a) for name, a in arrays.items()}
    tried = 0
    for e in gradients.equations:
        expected = torch.as_tensor(evaluate(gradients, arrays, {}, [e.target])[e.target])
        ways = every_plan(e, gradients)
        # Of many only half, others at each tie: to compile all of them takes a while.
        for plan in ways[sum(tie) % 2 :: 2] if len(ways) > 3 else ways:
            torch.testing.assert_close(called(plan, F64)(tensors), expected)
            tried += 1
    assert tried >= 3


# --- what is a nest, and what is not -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p] where x: input",  # a convolution
        "y[i,d] = Σ[s] a[i,s] v[s,d] where a: input, v: input",  # a product of matrices
        "y[i,d] = Σ[s≤i] a[i,s] v[s,d] where a: input, v: input",  # one with a mask
        "y[c,i] = Σ[p<2] x[c,2i+p] where x: input",  # of one table
    ],
)
def test_what_the_library_does_well_stays_with_it(
    text: str, nests: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = system(text)
    numbers = sized(of)
    agree(of, drawn(of, numbers), numbers, monkeypatch)
    assert not nests


def test_recording_leaves_the_graph_to_torch(nests: list[Plan]) -> None:
    program = tied(1, 1, 0, 1, (4, 3, 6))
    given = {n.name: normal(*(r.size.value({}) for r in n.ranges)).requires_grad_() for n in program.given()}
    Runner(program)(given, {}, ["y"])["y"].sum().backward()
    assert not nests
    assert all(x.grad is not None for x in given.values())


def test_the_account_says_what_is_a_nest() -> None:
    of = system(LOCAL)
    entries = account(of.program, ("y",), (), sized(of))
    assert [x.how for x in entries] == ["C loop nest, vectors along batch"]
    entries = account(of.program, ("y",), (), sized(of), "torch")
    assert [x.how for x in entries] == ["a product"]


def test_nests_of_a_layer_are_pinned(pinned: Callable[[str, str], None]) -> None:
    forward = batch(read(LOCAL).program)
    backward = normalise(derive(forward))
    numbers = {**sized(System(forward)), "batch": 16, "C": 8, "K": 8}
    ranges = {n.name: n.ranges for program in (forward, backward) for n in program.names}
    intervals = {name: tuple(r.interval(numbers) for r in own) for name, own in ranges.items()}
    equations = (*forward.equations, *backward.equations)
    for name, e in zip(("forward", "by_input", "by_weight"), equations, strict=True):
        plan = nest_of(e, numbers, intervals, 4)
        assert plan is not None
        text = source(plan.nest(double=False)).text
        assert text.startswith(prelude(double=False))
        own = text.removeprefix(prelude(double=False)).lstrip()
        pinned(f"nests/locally_connected_{name}.c", own)


def test_the_layer_of_a_page_trains_through_nests(nests: list[Plan]) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(LOCAL, w=(3, 4, 5, 2, 3, 2))
    x = torch.randn(4, 2, 6, 6, requires_grad=True)
    w = net.w.detach().requires_grad_()
    windows = x.unfold(2, 3, 1).unfold(3, 2, 1)
    theirs = torch.einsum("bcijpq,kijcpq->bkij", windows, w)
    ours = net(x)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(theirs.shape)
    (weights * theirs).sum().backward()
    expected, x.grad = x.grad, None
    (weights * ours).sum().backward()
    torch.testing.assert_close(x.grad, expected)
    torch.testing.assert_close(net.w.grad, w.grad)
    assert len(nests) == 3
