"""Convolutions are given to the library, in every direction of reading, and only convolutions are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.comparing import F64, Calls, normal
from torch import Tensor
from torch.nn import functional

from chalkgrad import layer
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Condition, Equation, Guard, Index, Name, Program, Range, Read, Reduce, Size
from chalkgrad.equations.ops import mul
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import read
from naive import evaluate

FORWARD = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def gradients(text: str, given: dict[str, Tensor], seed: Tensor, sizes: dict[str, int]) -> list[Tensor]:
    """What the derived program says, of ``given`` in turn."""
    derived = normalise(derive(normalise(batch(read(text).program)), (*given,)))
    (name,) = (s.name for s in derived.given("seed"))
    values = Runner(derived)({**given, name: seed}, {"batch": len(seed), **sizes}, derived.outputs)
    return [values[n] for n in derived.outputs]


# --- what torch has ------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A convolution as torch has it; sizes of one entry per dimension."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: int
    groups: int
    incoming: int  # of each group
    outgoing: int

    @property
    def text(self) -> str:
        """As a page: what has but one channel, to a group or of them, has no axis for it."""
        n = len(self.size)
        at, taps, pad = "ijk"[:n], "pqr"[:n], self.padding
        windows = [
            f"{s}{i}+{d}{p}-{pad}" for s, i, d, p in zip(self.stride, at, self.dilation, taps, strict=True)
        ]
        g, o, c = self.letters
        outside = f" zero outside ±{pad}" if pad else ""
        return (
            f"y[{','.join([*g, *o, *at])}] = "
            f"Σ[{','.join([*c, *taps])}] w[{','.join([*g, *o, *c, *taps])}] "
            f"x[{','.join([*g, *c, *windows])}]\n"
            f"where x: input {'×'.join([*g, *c, *'LMN'[:n]]).upper()}{outside}, "
            f"w: {'×'.join([*g, *o, *c, *taps]).upper()}"
        )

    @property
    def letters(self) -> tuple[str, str, str]:
        """The letters of groups, output and input channels, empty where there is one."""
        sizes = (self.groups, self.outgoing, self.incoming)
        g, o, c = (a if k > 1 else "" for a, k in zip("goc", sizes, strict=True))
        return g, o, c

    @property
    def sizes(self) -> dict[str, int]:
        kernel = dict(zip("PQR", self.kernel, strict=False))
        return {
            "G": self.groups,
            "O": self.outgoing,
            "C": self.incoming,
            **dict(zip("LMN", self.size, strict=False)),
            **kernel,
        }

    def axes(self, letters: str) -> list[int]:
        return [self.sizes[a.upper()] for a in letters]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n = draw(st.integers(1, 3))
    several = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(n))  # noqa: E731
    kernel, stride, dilation = several(1, 3), several(1, 3), several(1, 2)
    padding = draw(st.integers(0, 4))
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * padding) + draw(st.integers(0, 4))
        for k, d in zip(kernel, dilation, strict=True)
    )
    groups, incoming, outgoing = (draw(st.integers(1, 3)) for _ in range(3))
    return Case(size, kernel, stride, dilation, padding, groups, incoming, outgoing)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases())
def test_what_torch_has_is_torchs_forward_and_both_gradients(case: Case) -> None:
    g, _, c = case.letters
    named = {k: v for k, v in case.sizes.items() if k in case.text.split("w: ")[1]}
    net = layer(case.text, **named).double()
    w = dict(net.named_parameters())["w"]
    n = len(case.size)
    x = normal(2, *case.axes(g + c), *case.size).requires_grad_()
    theirs = [t.detach().clone().requires_grad_() for t in (x, w)]
    peer = FORWARD[n - 1](
        theirs[0].reshape(2, case.groups * case.incoming, *case.size),
        theirs[1].reshape(case.groups * case.outgoing, case.incoming, *case.kernel),
        stride=case.stride,
        padding=case.padding,
        dilation=case.dilation,
        groups=case.groups,
    )
    with Calls() as found:
        y = net(x)
        seed = normal(*y.shape, seed=1)
        grads = torch.autograd.grad(y, [x, w], seed)
    # The layer is one call, and so is its backward pass; what is derived is one call too.
    kernel, positions = math.prod(case.kernel), math.prod(y.shape[-n:])
    if kernel <= positions:
        assert found.starting("convolution") == ["convolution", "convolution_backward"]
    with Calls() as found:
        derived = gradients(case.text, {"x": x.detach(), "w": w.detach()}, seed, case.sizes)
    assert found.starting("convolution") == ["convolution_backward"] or kernel >= positions
    close(y, peer.reshape(y.shape))
    wanted = torch.autograd.grad(peer, theirs, seed.reshape(peer.shape))
    for ours, other, theirs in zip(grads, derived, wanted, strict=True):
        close(ours, theirs)
        close(other, theirs)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases())
def test_a_transposed_convolution_is_the_derived_gradient_of_a_strided_one(case: Case) -> None:
    n = len(case.size)
    system = normalise(derive(normalise(batch(read(case.text).program)), ("x",)))
    g, o, c = case.letters
    reach = [d * (k - 1) + 1 for k, d in zip(case.kernel, case.dilation, strict=True)]
    positions = [
        (size + 2 * case.padding - r) // s + 1
        for size, r, s in zip(case.size, reach, case.stride, strict=True)
    ]
    y = normal(2, *case.axes(g + o), *positions)
    w = normal(*case.axes(g + o + c), *case.kernel, seed=1)
    (seed,) = (s.name for s in system.given("seed"))
    with Calls() as found:
        (x,) = Runner(system)({seed: y, "w": w}, {"batch": 2, **case.sizes}, ["∂x"]).values()
    # Where padding and stride keep the kernel off the input altogether, a call is not needed.
    meets = all(
        any(0 <= s * i + d * p - case.padding < size for i in range(count) for p in range(k))
        for size, count, k, s, d in zip(
            case.size, positions, case.kernel, case.stride, case.dilation, strict=True
        )
    )
    assert found.starting("convolution") == ["convolution"] or not meets
    full = TRANSPOSED[n - 1](
        y.reshape(2, case.groups * case.outgoing, *positions),
        w.reshape(case.groups * case.outgoing, case.incoming, *case.kernel),
        stride=case.stride,
        dilation=case.dilation,
        groups=case.groups,
    )
    edges = [
        e
        for size, m in zip(case.size, full.shape[2:], strict=True)
        for e in (-case.padding, size + case.padding - m)
    ]
    backwards = [e for k in range(2 * n - 2, -1, -2) for e in edges[k : k + 2]]
    close(x, functional.pad(full, backwards).reshape(x.shape))


# --- any direction of reading --------------------------------------------------------------------------


def tied(alpha: int, beta: int, shift: int, divisor: int, sizes: tuple[int, int, int]) -> Program:
    """``y[b,o,i] = Σ[c,p] w[o,c,p] x[b,c,(α i + β p + shift)/divisor]``, zero outside of x."""
    i, p, n = (Size((), k) for k in sizes)
    b, c, o = (Range(a, Size((), k)) for a, k in (("b", 2), ("c", 2), ("o", 3)))
    whole = Index.of({"i": alpha, "p": beta}, shift)
    at = Index(whole.terms, whole.shift, divisor)
    last = Size((), (sizes[2] - 1) * divisor)
    conditions = [Condition(whole), Condition(whole * -1 + last)]
    conditions += [Condition(whole, "divisible", divisor)] if divisor > 1 else []
    axis = Index.axis
    body = mul(
        Read("w", (axis("o"), axis("c"), axis("p"))),
        Read("x", (axis("b"), axis("c"), at)),
    )
    value = Reduce("sum", (c, Range("p", p)), Guard(tuple(conditions), body))
    domain = (b, o, Range("i", i))
    return Program(
        (Equation("y", domain, value),),
        (
            Name("x", "input", (b, c, Range("n", n)), 3),
            Name("w", "parameter", (o, c, Range("p", p)), 3),
            Name("y", "defined", domain, 3),
        ),
        ("y",),
    )


def numbers(program: Program, seed: int = 0) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(seed)
    return {n.name: drawn.standard_normal([r.size.value({}) for r in n.ranges]) for n in program.given()}


def agrees(program: Program, arrays: Mapping[str, np.ndarray]) -> Calls:
    """The operators that are run for the program's outputs, once they are those of the oracle."""
    wanted = list(program.outputs)
    with Calls() as found:
        ours = Runner(program)({k: torch.as_tensor(v) for k, v in arrays.items()}, {}, wanted)
    for name, value in evaluate(program, dict(arrays), {}, wanted).items():
        close(ours[name], torch.as_tensor(value))
    return found


COEFFICIENTS = st.sampled_from([-3, -2, -1, 1, 2, 3])


WINDOWS = given(
    COEFFICIENTS, COEFFICIENTS, st.integers(-6, 12), st.integers(1, 3), st.tuples(*[st.integers(1, 6)] * 3)
)


@settings(max_examples=50, deadline=None, derandomize=True)
@WINDOWS
def test_a_window_of_any_coefficients_is_what_it_says(
    alpha: int, beta: int, shift: int, divisor: int, sizes: tuple[int, int, int]
) -> None:
    is_what_it_says(tied(alpha, beta, shift, divisor, sizes))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@WINDOWS
def test_a_new_window_of_any_coefficients_is_what_it_says(
    alpha: int, beta: int, shift: int, divisor: int, sizes: tuple[int, int, int]
) -> None:
    is_what_it_says(tied(alpha, beta, shift, divisor, sizes))


def is_what_it_says(program: Program) -> None:
    arrays = numbers(program)
    agrees(program, arrays)
    gradients = normalise(derive(program))
    agrees(gradients, numbers(gradients))


@pytest.mark.parametrize(
    ("tie", "call"),
    [((1, 1, 0, 1), "convolution"), ((2, 3, -1, 1), "convolution"), ((1, -1, 2, 1), "convolution"),
     ((-1, 2, 3, 1), "convolution"), ((1, -1, 0, 2), "convolution"), ((-1, 1, 3, 1), "convolution_backward")],
)  # fmt: skip
def test_whichever_coordinate_can_be_solved_for_the_library_is_called(
    tie: tuple[int, int, int, int], call: str
) -> None:
    sizes = (2, 7, 8) if call == "convolution_backward" else (6, 3, 8)
    program = tied(*tie, sizes)
    assert agrees(program, numbers(program)).starting("convolution") == [call]


# --- near misses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = Σ[p] w[i,p] x[i+p] where x: input 8, w: 6×3",  # locally connected
        "y[i] = Σ[p] w[p] x[i+p] v[i] v[i+p] where x: input 8, v: input 8, w: 3",
        "y[i] = Σ[p<3] v[i] x[i+p] where x: input 8, v: 6",  # no kernel
        "y[i] = Σ[p] w[p] x[2i+2p,i] where x: input 9×9, w: 3",  # one letter in two places
        "y[i] = Σ[p,q] w[p,q] x[i+p+q] where x: input 9, w: 3×2",
        "y[i] = Σ[p] w[p] exp(x[i+p] v[i]) where x: input 8, v: 6, w: 3",  # depends on data
        "y = Σ[p,i] w[p] x[i+p] where x: input 8, w: 3, v: scalar",
    ],
)
def test_what_is_no_convolution_is_not_given_to_one(text: str) -> None:
    program = normalise(read(text).program)
    assert agrees(program, numbers(program)).starting("convolution") == []


def test_a_guard_that_keeps_away_from_more_than_the_outside_is_a_mask() -> None:
    program = tied(1, 1, 0, 1, (6, 3, 8))
    (e,) = program.equations
    inside = Guard((Condition(Index.of({"i": -1, "p": -1}, 5)),), e.value.body)  # type: ignore[union-attr]
    value = Reduce("sum", e.value.over, inside)  # type: ignore[union-attr]
    less = Program((Equation("y", e.domain, value),), program.names, program.outputs)
    assert agrees(less, numbers(less)).starting("convolution") == []


# --- where it stands -----------------------------------------------------------------------------------


def test_convolutions_of_one_input_share_its_axes_in_any_order() -> None:
    net = layer("y[i,k,j] = Σ[q,c,p] x[j+q,c,2i+p] w[p,k,q,c] where x: input 6×2×7, w: 3×4×2×2").double()
    w = dict(net.named_parameters())["w"]
    x = normal(3, 6, 2, 7)
    with Calls() as found:
        y = net(x)
    peer = functional.conv2d(x.permute(0, 2, 3, 1), w.permute(1, 3, 0, 2), stride=(2, 1))
    close(y, peer.permute(0, 2, 1, 3))
    assert found.starting("convolution") == ["convolution"]


def test_a_second_derivative_goes_through_the_library_too() -> None:
    net = layer("y[k,i] = Σ[c,p] w[k,c,p] x[c,2i+p-1] where x: input 2×7 zero outside ±1, w: 3×2×3").double()
    w = dict(net.named_parameters())["w"]
    x = normal(2, 2, 7).requires_grad_()
    assert torch.autograd.gradcheck(net, x)
    assert torch.autograd.gradgradcheck(net, x)
    y = net(x)
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with Calls() as found:
        slope.square().sum().backward()
    assert len(found.starting("convolution")) >= 3
    peer = functional.conv1d(x.detach().requires_grad_(), w, stride=2, padding=1)
    close(y, peer)


def test_recording_goes_through_the_call() -> None:
    program = tied(2, 1, -1, 1, (4, 3, 7))
    arrays = {k: torch.as_tensor(v).requires_grad_() for k, v in numbers(program).items()}
    (y,) = Runner(program)(arrays, {}, ["y"]).values()
    peer = functional.conv1d(arrays["x"], arrays["w"], stride=2, padding=1)
    close(y, peer)
    seed = normal(*y.shape)
    ours = torch.autograd.grad(y, [*arrays.values()], seed)
    for a, b in zip(ours, torch.autograd.grad(peer, [*arrays.values()], seed), strict=True):
        close(a, b)


@pytest.mark.parametrize("backend", ["torch", "eager", "c"])
@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("y[k,i] = Σ[c,p] w[k,c,p] x[c,i+p-2] + b[k] where x: input C×N zero outside ±2, w: K×C×3", 2),
        ("y[k,i] = Σ[c,p] w[c,k,p] x[c,i-p] + b[k] where x: input C×N zero outside, w: C×K×3, y: K×(N+2)", 2),
    ],
)
def test_an_image_without_places_leaves_what_is_outside_of_it(text: str, places: int, backend: Any) -> None:
    net = layer(text, C=2, K=3, dtype=F64, backend=backend)
    with torch.no_grad():
        net.get_parameter("b").copy_(normal(3))
    y = net(torch.zeros(4, 2, 0, dtype=F64))
    assert torch.equal(y, normal(3)[:, None].expand(4, 3, places))
    y.sum().backward()
    w, b = (net.get_parameter(n).grad for n in "wb")
    assert w is not None
    assert not w.any()
    assert b is not None
    assert b.tolist() == [4 * places] * 3
