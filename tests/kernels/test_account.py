"""What a plan is said to cost, held to what can be counted on paper."""

from __future__ import annotations

import pytest
from tests.pages import PAGES

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import Entry, account
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import System

NUMBERS = {"batch": 3, "T": 5, "|x|": 7, "|h|": 11}


def entries(text: str, numbers: dict[str, int], kernels: bool = True) -> tuple[Entry, ...]:
    program = normalise(batch(read(text).program))
    return account(program, program.outputs, (), numbers, "c" if kernels else "torch")


def test_the_product_of_an_input_is_counted_before_the_loop() -> None:
    found = entries("h[t] = tanh(x[t] W + h[t-1] U + b)", NUMBERS)
    (before,) = (e for e in found if e.how == "a product, compiled")
    assert before.depth == 0
    assert before.flops == 3 * 5 * 11 * 2 * 7
    assert before.bytes == 4 * (3 * 5 * 7 + 7 * 11 + 3 * 5 * 11)


def test_what_stands_in_the_loop_adds_up_to_it() -> None:
    found = entries(PAGES["G1"].text, NUMBERS)
    (loop,) = (e for e in found if e.text.startswith("loop"))
    assert loop.flops == sum(e.flops for e in found if e.depth == 1)
    assert loop.how == "compiled, batch shared among threads"


def test_a_loop_inside_a_loop_is_counted_with_it() -> None:
    found = entries(PAGES["X2"].text, {"batch": 2, "I": 3, "J": 4, "|x|": 3, "|h|": 4})
    outer, inner = (e for e in found if e.text.startswith("loop"))
    assert (outer.how, inner.how) == ("compiled, batch shared among threads", "inside it")
    assert 0 < inner.flops <= outer.flops


def test_a_convolution_says_which_call_it_is_forward_and_backward() -> None:
    program = normalise(batch(read(PAGES["strided and dilated"].text).program))
    wrt = tuple(n.name for n in program.given("input", "parameter"))
    derived = System(program).derived(wrt).program
    numbers = {"batch": 3, **dict.fromkeys((*program.symbols, *derived.symbols), 9), "|w|": 2, "P": 2}
    (forward,) = account(program, program.outputs, (), numbers)
    image, kernel = account(derived, derived.outputs, (), numbers)
    assert forward.how == "torch.nn.functional.conv1d"
    assert image.how == "torch.ops.aten.convolution_backward"
    assert kernel.how == "  by the same call"
    for alone, how in (("∂x", "nn.functional.conv_transpose1d"), ("∂w", "nn.grad.conv1d_weight")):
        (only,) = account(derived, (alone,), (), numbers)
        assert only.how == f"torch.{how}"


def test_what_is_not_compiled_says_so() -> None:
    found = entries(
        PAGES["R2"].text,
        {"batch": 2, "T": 3, "|x|": 3, "|h|": 4, "|X|": 3, "|H|": 4, "|O|": 2},
        kernels=False,
    )
    assert next(e.how for e in found if e.text.startswith("loop")) == "step by step in Python"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_accounted_for_forward_and_backward(page: str) -> None:
    program = normalise(batch(read(PAGES[page].text).program))
    system = System(program)
    wrt = tuple(n.name for n in program.given("input", "parameter", "start"))
    derived = system.derived(wrt).program
    numbers = dict.fromkeys((*derived.symbols, *program.symbols), 5)
    for of, known in ((program, ()), (derived, system.saved_for(wrt))):
        found = account(of, of.outputs, known, numbers)
        assert found
        assert all(e.text and e.how for e in found)


def test_a_weight_behind_a_gate_gets_its_gradient_in_the_call() -> None:
    program = normalise(batch(read(PAGES["G3 before"].text).program))
    system = System(program)
    wrt = tuple(n.name for n in program.given("parameter"))
    derived = system.derived(wrt).program
    numbers = dict.fromkeys((*derived.symbols, *program.symbols), 5)
    found = account(derived, derived.outputs, system.saved_for(wrt), numbers)
    assert not [e.text for e in found if "torch" in e.how or e.how == "a product"]


def test_what_a_loop_puts_side_by_side_is_told_inside_of_it() -> None:
    found = entries(PAGES["G1"].text, NUMBERS, kernels=False)
    head = next(k for k, e in enumerate(found) if e.text.startswith("loop"))
    sides = [e for e in found if e.how == "put side by side"]
    assert {"W_hi", "W_hf", "W_hg", "W_ho"} in [{*e.text.split(" | ")} for e in sides]
    assert all(e in found[:head] for e in sides)
    (pieces,) = (e for e in found[head:] if e.how == "views")
    assert (pieces.depth, pieces.flops) == (1, 0)
    assert found[head].flops == sum(e.flops for e in found[head + 1 :] if e.depth == 1)
