"""What a plan is said to cost, held to what can be counted on paper."""

from __future__ import annotations

import pytest
from tests.pages import PAGES

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import Entry, account
from chalkgrad.language.resolve import read

NUMBERS = {"batch": 3, "T": 5, "|x|": 7, "|h|": 11}


def entries(text: str, numbers: dict[str, int], kernels: bool = True) -> tuple[Entry, ...]:
    program = normalise(batch(read(text).program))
    return account(program, program.outputs, (), numbers, kernels)


def test_the_product_of_an_input_is_counted_before_the_loop() -> None:
    found = entries("h[t] = tanh(x[t] W + h[t-1] U + b)", NUMBERS)
    (before,) = (e for e in found if e.how == "a product")
    assert before.depth == 0
    assert before.flops == 3 * 5 * 11 * 2 * 7
    assert before.bytes == 4 * (3 * 5 * 7 + 7 * 11 + 3 * 5 * 11)


def test_what_stands_in_the_loop_adds_up_to_it() -> None:
    found = entries(PAGES["G1"].text, NUMBERS)
    (loop,) = (e for e in found if e.text.startswith("loop"))
    assert loop.flops == sum(e.flops for e in found if e.depth == 1)
    assert loop.how == "compiled, batch shared among threads"


@pytest.mark.parametrize(("page", "kernels", "how"), [
    ("X2", True, "step by step in Python: a loop inside a loop is not compiled yet"),
    ("R2", False, "step by step in Python"),
])  # fmt: skip
def test_what_is_not_compiled_says_so(page: str, kernels: bool, how: str) -> None:
    sizes = {"batch": 2, "I": 3, "J": 4, "T": 3, "|x|": 3, "|h|": 4, "|X|": 3, "|H|": 4, "|O|": 2}
    found = entries(PAGES[page].text, sizes, kernels)
    assert next(e.how for e in found if e.text.startswith("loop")) == how
