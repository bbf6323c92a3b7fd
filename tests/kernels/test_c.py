"""Compiled loops compute what the eager backend computes, whatever the sizes and the threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kernels.comparing import F64, count_calls, normal
from tests.pages import PAGES
from torch import Tensor

import chalkgrad
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.c.lower import Lowered, Nest, Pointwise, Product
from chalkgrad.kernels.c.segment import Matrices, Segment, segment
from chalkgrad.kernels.schedule import schedule
from chalkgrad.language.resolve import read
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.operator import system_of

ZOO = (
    "gru",
    "gru_after",
    "indrnn",
    "lstm",
    "lstm_coupled",
    "lstm_peephole",
    "mgu",
    "rnn",
    "rnn_relu",
)
RECURRENT = [p for p in PAGES if read(PAGES[p].text).program.states]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [x for part in result for x in tensors(part)]


def everything(net: Layer, xs: list[Tensor], kernels: str, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Outputs, states and all gradients, computed with kernels or without."""
    monkeypatch.setenv("CHALKGRAD_KERNELS", kernels)
    xs = [x.detach().requires_grad_() for x in xs]
    net.zero_grad()
    found = tensors(net(*xs))
    loss = sum((y * normal(*y.shape, dtype=y.dtype, seed=7)).sum() for y in found)
    assert isinstance(loss, Tensor)
    loss.backward()
    grads = [x.grad for x in (*xs, *net.parameters()) if x.grad is not None]
    return [x.detach().clone() for x in (*found, *grads)]


def both_agree(net: Layer, xs: list[Tensor], monkeypatch: pytest.MonkeyPatch, within: float = 1e-12) -> None:
    calls = count_calls(monkeypatch)
    compiled = everything(net, xs, "on", monkeypatch)
    assert calls, "no loop was compiled"
    done = len(calls)
    eager = everything(net, xs, "off", monkeypatch)
    assert len(calls) == done
    assert len(compiled) == len(eager)
    for a, b in zip(compiled, eager, strict=True):
        torch.testing.assert_close(a, b, rtol=within, atol=within)


def layer(name: str, dtype: torch.dtype = F64, **sizes: int) -> Layer:
    system_of.cache_clear()  # plans are kept with the system, and here they are to be made anew
    net = chalkgrad.layer(name, dtype=dtype, **sizes)
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(0.5 * normal(*p.shape, dtype=dtype, seed=k))
    return net


# --- the same numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_gives_the_same_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    both_agree(layer(name, D=3, H=5), [normal(2, 4, 3)], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", RECURRENT)
def test_every_page_gives_the_same_compiled(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, sizes, shapes = PAGES[page]
    both_agree(layer(text, **sizes), [normal(3, *s, seed=k) for k, s in enumerate(shapes)], monkeypatch)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    name=st.sampled_from(ZOO),
    rows=st.integers(0, 19),
    steps=st.integers(1, 6),
    features=st.integers(1, 40),
    hidden=st.integers(1, 70),
    double=st.booleans(),
    count=st.integers(1, 3),
)
def test_sizes_off_the_tile_and_any_number_of_threads_give_the_same(
    name: str, rows: int, steps: int, features: int, hidden: int, double: bool, count: int
) -> None:
    dtype = F64 if double else torch.float32
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        torch.set_num_threads(count)
        try:
            net = layer(name, dtype, D=features, H=hidden)
            both_agree(net, [normal(rows, steps, features, dtype=dtype)], patch, 1e-12 if double else 2e-4)
        finally:
            torch.set_num_threads(before)


@pytest.mark.parametrize("steps", [1, 2, 20_000])
def test_any_number_of_steps_gives_the_same(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = layer("h[t] = tanh(x[t] W + h[t-1] U + b)", x=2, h=3)
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    x = normal(1, steps, 2)
    with torch.no_grad():
        y, state = net(x)
        h = torch.zeros(3, dtype=F64)
        for t in range(steps):
            h = torch.tanh(x[0, t] @ net.W + h @ net.U + net.b)
    torch.testing.assert_close(state.h[0], h, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(y[0, -1], h, rtol=1e-10, atol=1e-10)


def test_input_that_lies_apart_in_memory_is_read_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    text, wide = "c[t] = f[t] ⊙ c[t-1] + x[t] where f: input", normal(2, 5, 6)
    both_agree(layer(text, x=3), [wide[:, :, ::2], wide[:, :, 1:4]], monkeypatch)
    both_agree(layer(text, x=3), [normal(3, 5, 2).permute(2, 1, 0), wide[:, :, 3:]], monkeypatch)


def test_an_input_in_two_products_gets_the_gradients_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    both_agree(layer("h[t] = tanh(x[t] W + x[t] V + h[t-1] U)", x=3, h=4), [normal(2, 5, 3)], monkeypatch)


def test_a_layer_gives_the_same_numbers_each_time(
    threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads(2)
    net, x = layer("lstm", torch.float32, D=8, H=24), normal(9, 6, 8, dtype=torch.float32)
    first = everything(net, [x], "on", monkeypatch)
    for _ in range(3):
        for a, b in zip(everything(net, [x], "on", monkeypatch), first, strict=True):
            assert torch.equal(a, b)


def test_a_second_backward_on_the_same_graph_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    net, x = layer("gru", D=3, H=4), normal(2, 5, 3).requires_grad_()
    loss = net(x)[0].square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, second)


def test_gradients_of_gradients_go_through_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    net = layer("rnn", D=2, H=3)
    assert torch.autograd.gradgradcheck(lambda x: net(x)[0], (normal(1, 3, 2).requires_grad_(),))


def test_what_torch_records_itself_runs_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(monkeypatch)
    monkeypatch.setenv("CHALKGRAD_KERNELS", "on")
    assert chalkgrad.check("rnn", D=2, H=3)
    calls.clear()
    from chalkgrad.kernels.eager import Runner

    program = normalise(read(PAGES["R6"].text).program)
    given = {n.name: torch.ones([r.size.value({"K": 3}) for r in n.ranges]) for n in program.given()}
    given["w_x"].requires_grad_()
    out = Runner(program)(given, {"K": 3}, ["S"])["S"]
    assert out.requires_grad
    assert not calls


# --- what becomes of a loop ----------------------------------------------------------------------------


def of_its_loop(text: str) -> tuple[Segment, Lowered]:
    program = normalise(batch(read(text).program))
    names = {n.name: n.ranges for n in program.names}
    found = segment(schedule(program, program.outputs), program.outputs, names)
    (loop,) = (p for p in found.parts if isinstance(p, Lowered))
    return found, loop


def lowered(text: str) -> Lowered:
    return of_its_loop(text)[1]


def test_an_lstm_is_four_products_and_one_group() -> None:
    whole, loop = of_its_loop(PAGES["G1"].text)
    assert [type(s) for s in loop.stages] == [Product] * 4 + [Pointwise]
    assert {"i", "f", "g", "o"} <= whole.local
    assert whole.kept == ("h",)
    assert "c" in whole.tables
    assert loop.rows == "batch"


def test_the_inputs_of_all_gates_are_one_product_of_many_columns() -> None:
    whole, _ = of_its_loop(PAGES["G1"].text)
    assert [len(p.factors) for p in whole.parts if isinstance(p, Matrices)] == [4]


def test_a_product_of_a_product_is_computed_in_a_buffer_first() -> None:
    loop = lowered(PAGES["G3 before"].text)
    (inner,) = (s for s in loop.stages if isinstance(s, Product) and s.equation.target.startswith("a_h"))
    assert inner.weight.name == "U"
    assert inner.left.name == f"{inner.equation.target}·left"


def test_what_is_no_product_is_a_nest_of_its_own() -> None:
    assert any(isinstance(s, Nest) for s in lowered(PAGES["own past"].text).stages)
