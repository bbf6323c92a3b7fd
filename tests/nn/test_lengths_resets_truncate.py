"""Sequences in one batch that end, begin anew and are cut each for itself: as if each had been run alone."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest
import torch
from tests.nn.layers_of_sequences import (
    F64,
    LOOPS,
    close,
    flat,
    float64,
    gradients,
    normal,
    starts,
    weighted,
)
from tests.nn.test_against_torch import in_our_names
from tests.pages import PAGES
from torch import Tensor, nn
from torch.autograd.gradcheck import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import chalkgrad
from chalkgrad.calculus.draft import Asked
from chalkgrad.calculus.sequences import sequences
from chalkgrad.language.source import EquationError
from chalkgrad.nn.operator import system_of


@pytest.fixture(params=["on", "off"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHALKGRAD_KERNELS", request.param)
    return request.param


# --- against torch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("rnn", "RNN"), ("lstm", "LSTM"), ("gru_after", "GRU")])
def test_lengths_are_those_of_a_packed_sequence(name: str, kind: str) -> None:
    lengths, T, D, H = [3, 7, 1, 6, 4], 7, 3, 4
    theirs: nn.RNNBase = getattr(nn, kind)(D, H, batch_first=True, dtype=F64)
    ours = chalkgrad.layer(name, D=D, H=H, dtype=F64)
    weights = in_our_names(kind, dict(theirs.named_parameters()), "sum")
    ours.load_state_dict({k: v.detach() for k, v in weights.items()})
    x = normal(len(lengths), T, D).requires_grad_()
    start = starts(ours, x)
    holed = x.detach().clone()
    for b, length in enumerate(lengths):
        holed[b, length:] = float("nan")
    holed.requires_grad_()

    y, state = ours(holed, start, lengths=lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    first = [getattr(start, n)[None] for n in ("h", "c") if n in start._fields]
    packed_y, last = theirs(packed, tuple(first) if kind == "LSTM" else first[0])
    their_y, _ = pad_packed_sequence(packed_y, batch_first=True, total_length=T)
    their_state = dict(zip("hc", last if kind == "LSTM" else (last,), strict=False))
    expected = [their_y, *(their_state[n][0] for n in state._fields)]
    close([y, *state], expected)

    names = [n for n, _ in ours.named_parameters()]
    found = gradients([y, *state], [holed, *start, *ours.parameters()])
    their_leaves = dict(theirs.named_parameters())
    by_torch = gradients(expected, [x, *start, *their_leaves.values()])
    close(found[: 1 + len(start)], by_torch[: 1 + len(start)])
    named = dict(zip(their_leaves, by_torch[1 + len(start) :], strict=True))
    of_ours = in_our_names(kind, named, "either")
    close(found[1 + len(start) :], [of_ours[n] for n in names])


# --- each sequence alone -------------------------------------------------------------------------------


def steps_of(page: str) -> str:
    """The symbol of how many steps a page takes, "" where lengths mean nothing to it."""
    try:
        return sequences(chalkgrad.layer(PAGES[page].text, **PAGES[page].sizes).program, Asked(True)).steps
    except EquationError:
        return ""


ENDING = [p for p in PAGES if steps_of(p)]


def shortened(x: Tensor, axes: Sequence[int], length: int, whole: int) -> Tensor:
    """A tensor with so many steps less along some axes."""
    for k in axes:
        x = x.narrow(k, 0, x.shape[k] - whole + length)
    return x


def padded(one: Tensor, like: Tensor) -> Tensor:
    """One example with zeros where another tensor is longer."""
    margins = [m for a, b in zip(one.shape[:0:-1], like.shape[:0:-1], strict=True) for m in (0, b - a)]
    return nn.functional.pad(one, margins)


@pytest.mark.parametrize("page", ENDING)
def test_a_sequence_of_a_batch_is_that_sequence_alone(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    sizes = {k: v for k, v in sizes.items() if k != steps_of(page)}
    net, symbol = float64(text, **sizes), steps_of(page)

    def timed(name: str) -> list[int]:
        """Where time stands among the axes of a batch."""
        ranges = net.program[name].ranges
        return [1 + k for k, r in enumerate(ranges) if symbol in (*r.size.symbols, *r.low.symbols)]

    names = [n.name for n in net.program.given("input")]
    xs = [normal(3, *shape, seed=k) for k, shape in enumerate(shapes)]
    whole = next(x.shape[k] for n, x in zip(names, xs, strict=True) for k in timed(n))
    lengths = [whole, whole - 2, whole - 1]
    full = [x.clone().requires_grad_() for x in xs]
    form = net(*full)[1] if net.program.states else ()
    start = [0.5 * normal(*s.shape, seed=50 + k).requires_grad_() for k, s in enumerate(form)]
    leaves = [*full, *start, *net.parameters()]
    state = {"state": start} if start else {}
    found = flat(net(*full, **state, lengths=lengths))

    alone: list[list[Tensor]] = []
    for b, length in enumerate(lengths):
        mine = [shortened(x[b : b + 1], timed(n), length, whole) for n, x in zip(names, full, strict=True)]
        state = {"state": [s[b : b + 1] for s in start]} if start else {}
        alone.append(flat(net(*mine, **state)))
    expected = [torch.cat([padded(r[k], value) for r in alone]) for k, value in enumerate(found)]
    close(found, expected)
    close(gradients(found, leaves), gradients(expected, leaves))


@pytest.mark.parametrize("page", ["C1", "A2", "X2", "max pooling"])
def test_without_one_recurrence_there_is_nothing_to_ask(page: str) -> None:
    assert page not in ENDING
    text, sizes, shapes = PAGES[page]
    net = chalkgrad.layer(text, **sizes)
    with pytest.raises(EquationError, match=r"no recurrence|recur along"):
        net(*(torch.zeros(1, *shape) for shape in shapes), lengths=[2])


XH, XHY = {"x": 3, "h": 3}, {"x": 3, "h": 3, "y": 2}
OVER_TIME: dict[str, tuple[str, dict[str, int], tuple[int, ...]]] = {
    "last step": ("h[t] = tanh(x[t] W + h[t-1] R)\ny = V h[T]", XHY, (3,)),
    "last input": ("h[t] = tanh(x[t] W + h[t-1] R)\ny = V h[T] + U x[T]", XHY, (3,)),
    "last step but one": ("h[t] = tanh(x[t] W + h[t-1] R)\ny = V h[T-1]", XHY, (3,)),
    "both ends": (
        "h[t] = tanh(x[t] W + h[t-1] R)\ng[t] = tanh(x[t] V + g[t+1] S)\ny = A h[T] + B g[1]",
        {**XHY, "g": 4},
        (3,),
    ),
    "attention over the sequence": (
        "h[t] = tanh(x[t] W + h[t-1] R)\ne[t,s] = Σ[k] h[t,k] h[s,k]\n"
        "a[t,s] = softmax[s](e[t,s])\ny[t] = Σ[s] a[t,s] x[s]",
        XH,
        (3,),
    ),
    "mean and maximum": ("h[t] = tanh(x[t] W + h[t-1] R)\ny[k] = max[t] h[t,k] + Σ[t] h[t,k] / T", XH, (3,)),
    "a window": ("h[t] = tanh(Σ[p<3] w[p] x[t+p] + u h[t-1])\nwhere x[t]: scalar, h[t]: scalar", {}, ()),
    "a window with zeros outside": (
        "h[t] = tanh(Σ[p<3] w[p] x[t+p-1] + u h[t-1])\n"
        "where x[t]: scalar zero outside ±1, h[t]: scalar, u: scalar",
        {},
        (),
    ),
    "a logarithm of the input": ("h[t] = tanh(log(x[t]) W + h[t-1] R) + 1 / x[t]", XH, (3,)),
    "a division by the state": ("h[t] = 1 / h[t-1] + x[t] ⊙ log(h[t-1]²)", XH, (3,)),
    "a state in place": (
        "c[t] = 2 + tanh(x[t] W + c[t-1] R)\nh[t] = log(c[t]) / c[t]\nwhere c: output, h: output",
        {"x": 3, "c": 3},
        (3,),
    ),
    "an output at its end": (
        "h[t] = tanh(x[t] W + h[t-1] R)\ny = V h[T]\nwhere h: output, y: output",
        XHY,
        (3,),
    ),
    "from before the first step": (
        "h[t] = tanh(Σ[p<3] w[p] x[t+p] + u h[t-1])\n"
        "where x[t]: scalar zero outside ±2, h[t]: scalar, u: scalar",
        {},
        (),
    ),
    "its whole past": ("h[t] = tanh(x[t] W + h[t-1] U + Σ[s<t] h[s])", XH, (3,)),
    "two back, from ahead": ("h[t] = tanh(x[t] W + h[t+1] R + h[t+2] S)", XH, (3,)),
    "read ahead": ("h[t] = tanh(x[t] W + h[t-1] R)\ny[t] = A h[t+1] + B h[t]", XHY, (3,)),
}


@pytest.mark.parametrize("case", OVER_TIME)
def test_what_looks_along_the_sequence_ends_with_it(case: str) -> None:
    text, sizes, features = OVER_TIME[case]
    net, lengths, T = float64(text, **sizes), [4, 7, 5], 7
    x = (normal(3, T, *features).abs() + 0.1).requires_grad_()
    start = starts(net, x)
    with torch.no_grad():
        for s in start:
            s.abs_().add_(1)  # no start at which there is no logarithm
    leaves = [x, *start, *net.parameters()]
    there = torch.arange(T) < torch.tensor(lengths)[:, None]
    holed = torch.where(there.view(3, T, *(1 for _ in features)), x, torch.nan)
    found = flat(net(holed, start, lengths=torch.tensor(lengths)))
    alone = [
        flat(net(x[b : b + 1, :n], start._make(s[b : b + 1] for s in start))) for b, n in enumerate(lengths)
    ]
    expected = [torch.cat([padded(r[k], value) for r in alone]) for k, value in enumerate(found)]
    close(found, expected)
    close(gradients(found, leaves), gradients(expected, leaves))


# --- derivatives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["lstm", "both ways", "two back"])
def test_gradients_and_second_derivatives_are_the_differences(page: str) -> None:
    net = LOOPS[page]()
    x = normal(2, 4, 2)
    _, form = net(x)
    values = [x, *(0.5 * normal(*s.shape, seed=50 + k) for k, s in enumerate(form))]
    names = [n for n, _ in net.named_parameters()]
    values += [p.detach().clone() for p in net.parameters()]
    values = [v.requires_grad_() for v in values]
    asked = {"lengths": [2, 4], "resets": torch.tensor([[0, 1, 0, 0], [0, 0, 1, 0]], dtype=torch.bool)}

    def call(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        state, parameters = rest[: len(form)], dict(zip(names, rest[len(form) :], strict=True))
        return tuple(flat(functional_call(net, parameters, (x, state), asked)))

    assert gradcheck(call, values, eps=1e-6, atol=1e-7, rtol=1e-6)
    # One number of all results: the second derivatives are as many as there are, but fewer to sum.
    assert gradgradcheck(
        lambda *v: weighted(call(*v)), values, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True
    )


# --- kernels, threads, shapes --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_two_threads_compute_what_one_does(dtype: torch.dtype) -> None:
    net = chalkgrad.layer("lstm", D=8, H=20, dtype=dtype)
    x = normal(9, 12, 8).to(dtype).requires_grad_()
    asked = {
        "lengths": [1 + k for k in range(9)],
        "resets": normal(9, 12, seed=3) > 1,
        "truncate": 4,
    }
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results = flat(net(x, **asked))
            loss = torch.stack([r.square().sum() for r in results]).sum()
            found.append([*results, *torch.autograd.grad(loss, [x, *net.parameters()])])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_one_sequence_without_a_batch_may_end_and_begin_anew() -> None:
    net = float64("rnn", D=2, H=3)
    x, resets = normal(6, 2), torch.tensor([0, 0, 1, 0, 0, 0], dtype=torch.bool)
    y, state = net(x, lengths=4, resets=resets, truncate=3)
    in_batch, states = net(x[None], lengths=[4], resets=resets[None], truncate=3)
    close([y, *state], [in_batch[0], *(s[0] for s in states)])
    close(
        flat(net(x, lengths=torch.tensor(4))), flat(net(x[:4], state=None))[:0] or flat(net(x, lengths=[4]))
    )


def test_a_batch_of_none_has_no_lengths() -> None:
    net = float64("gru", D=2, H=3)
    y, state = net(normal(0, 5, 2), lengths=[], resets=torch.zeros(0, 5, dtype=torch.bool), truncate=2)
    assert (y.shape, state.h.shape) == ((0, 5, 3), (0, 3))


def test_padding_may_be_as_long_as_it_likes() -> None:
    # What grows without end where nothing is given must not be computed there.
    net = float64("h[t] = x[t] + 3 h[t-1] where x[t]: scalar, h[t]: scalar")
    x = torch.ones(2, 2000, dtype=F64).requires_grad_()
    y, state = net(x, lengths=[3, 2])
    assert state.h.tolist() == [13, 4]
    (y.sum() + state.h.sum()).backward()
    assert x.grad is not None
    assert x.grad[0, :4].tolist() == [22, 7, 2, 0]


def test_each_combination_is_made_once() -> None:
    net = float64("rnn", D=2, H=3)
    one = net._variants(Asked(lengths=True))
    net(normal(2, 5, 2), lengths=[1, 2])
    assert net._variants(Asked(lengths=True)) is one
    assert one.system is system_of(one.system.program, one.system.backend)


def test_an_input_of_that_name_is_the_input() -> None:
    net = float64("h[t] = tanh(lengths[t] W + h[t-1] R)", lengths=2, h=3)
    x = normal(2, 5, 2)
    close(flat(net(lengths=x)), flat(net(x)))
    close(flat(net(lengths=x, truncate=2)), flat(net(x)))


def test_a_layer_that_has_ended_sequences_is_copied_and_saved() -> None:
    net = float64("rnn", D=2, H=3)
    x = normal(2, 5, 2)
    first = flat(net(x, lengths=[1, 2]))
    close(flat(pickle.loads(pickle.dumps(net))(x, lengths=[1, 2])), first)
