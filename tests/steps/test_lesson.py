"""Derivations step by step: how they read, and that no line is shown that does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.calculus.page_reader import Reader
from tests.calculus.test_notation import balanced
from tests.pages import PAGES
from tests.steps.losses import LOSSES, R3

import chalkgrad.zoo
from chalkgrad.calculus.derive import added, derive, ledger
from chalkgrad.calculus.explain import explain
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.normalise import normalise
from chalkgrad.calculus.notation import NOTATIONS
from chalkgrad.equations import ops
from chalkgrad.equations.formula import text
from chalkgrad.equations.ir import Const
from chalkgrad.equations.ops import mul
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.pipeline import derivation_of
from chalkgrad.steps.bench import Bench, DerivationError
from chalkgrad.steps.board import board, columns, latex_board
from chalkgrad.steps.lesson import Lesson, lesson

ZOO = {name: chalkgrad.zoo.page(name) for name in chalkgrad.zoo.names()}
UNREADABLE = ("max pooling",)  # the reader of printed pages knows no condition on a value
LONG = ("conv3d", "conv_lstm")  # half a minute and more: sums over channels and kernels at every place
EVERY = {**{n: p.text for n, p in PAGES.items()}, **ZOO, **LOSSES}


def marks(name: str) -> tuple[pytest.MarkDecorator, ...]:
    return (pytest.mark.slow,) if name in LONG else ()


@cache
def taught(page: str) -> Lesson:
    return lesson(read(page))


@pytest.mark.parametrize("name", EVERY)
def test_every_section_ends_in_the_line_that_the_derivation_prints(name: str) -> None:
    found = taught(EVERY[name])
    page = re.sub(" +", " ", board(found, width=1000))
    assert found.lines > 0
    for line in str(found.derivation).splitlines():
        equation = re.sub(" +", " ", line.partition("  #")[0]).strip()
        assert f"\n {equation}" in page, equation


@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in EVERY if n not in UNREADABLE])
def test_every_equation_on_the_board_is_true_as_it_is_printed(name: str) -> None:
    """Each line with an equals sign, read back as text and computed with NumPy."""
    resolved = read(EVERY[name])
    found, reader = taught(EVERY[name]), _reader(resolved)
    count = 0
    for section in found.sections:
        for row in section.rows:
            if row.sign != "=" or row.before:
                continue
            left, right = (text(f) for f in (row.left, row.right) if f is not None)
            for size, number in reader.numbers.items():
                right = right.replace(size, str(number)) if size.startswith("|") else right
            for where in reader.points(left):
                expected, value = reader.value(left, where), reader.value(right, where)
                np.testing.assert_allclose(np.broadcast_to(value, expected.shape), expected, atol=1e-9)
                count += 1
    assert count > 0


def _reader(resolved: Resolved) -> Reader:
    """What a reader needs: the value of every name, by autograd where it is a gradient."""
    entered = ledger(normalise(resolved.program))
    program, names = entered.program, added(entered)[0]
    numbers = small_numbers(resolved, {})
    bench = Bench(program, numbers, losses(program))
    values = {n: v.numpy() for n, v in bench.learn(names).items()}
    page = explain(program, derive(program)).page.names
    table = {n.name: page.get(n.name, n) for n in (*program.names, *names)}
    return Reader(table, values, numbers, program.columns)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "conv2d"])
def test_lessons_read_as_they_did(name: str, pinned: Callable[[str, str], None]) -> None:
    pinned(f"steps/{name}_steps.txt", _without_rounding(board(taught(ZOO[name]))))


def test_the_lesson_on_cross_entropy_reads_as_it_did(pinned: Callable[[str, str], None]) -> None:
    page = board(taught(R3))
    pinned("steps/cross_entropy_steps.txt", _without_rounding(page))
    assert "  ∂o[t] = Σ(y[t]) y'[t] - y[t]" in page  # B2
    assert "y'[t] - y[t] where Σ(y[t]) = 1" in page
    assert "  ∂h[t] = Wᵀ (∂h[t+1] ⊙ (1 - h[t+1]²)) + Vᵀ ∂o[t]" in page  # B3


def _without_rounding(page: str) -> str:
    # The error is rounding, which another machine may do otherwise.
    return re.sub(r"largest\s+relative\s+error \S+\.", "largest relative error …", page) + "\n"


def test_a_contribution_is_shown_where_it_is_given_and_where_it_is_collected() -> None:
    page = board(taught("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"))
    assert "∂h[t]: h[t] is the output, and is read in a[t+1]." in page
    assert re.search(r"∂h\[t-1\] gets ∂a\[t\] W_hᵀ +product rule", page)
    assert re.search(r"∂h\[t\] gets ∂a\[t\+1\] W_hᵀ +index shifted: t\+1 for t", page)
    assert "chain rule through tanh: tanh' = 1 - tanh²" in page
    assert "summed over t: W_h is shared" in page


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("y[i] = Σ[p] w[p] x[2i+3p] where x: input", "index solved: n = 2i+3p, so i = (n-3p)/2"),
        ("y[c,i] = max[p<2] x[c,2i+p] where x: input", "1 for the first winner, 0 for the others"),
        ("y[t] = softmax(x[t] W)", "slope of logsumexp: the softmax"),
        ("h[t] = tanh(x[t] W + h[t-1] U)\ny = h[T] V", "read at t = T-1 only"),
        ("y[t] = (x[t] W)^3", "power rule"),
        ("y[t] = relu(x[t] W)", "chain rule through relu: relu' = [relu>0]"),
    ],
)
def test_rules_go_by_their_names(source: str, said: str) -> None:
    assert said in " ".join(board(taught(source)).split())


def test_a_slope_that_is_wrong_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    tanh = ops.OPS["tanh"]
    wrong = replace(tanh, slopes=(lambda y, args: mul(Const(1.1), tanh.slopes[0](y, args)),))
    monkeypatch.setitem(ops.OPS, "tanh", wrong)
    with pytest.raises(DerivationError, match="does not hold"):
        lesson(read("h[t] = tanh(x[t] W + h[t-1] U)"))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_words_stay_within_the_width(width: int) -> None:
    page = board(taught(ZOO["gru"]), width=width)
    for line in page.splitlines():
        assert columns(line) <= width or "=" in line or "gets" in line, line


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("source", [ZOO["lstm"], R3, ZOO["conv1d"]])
def test_a_lesson_has_every_notation_and_latex(source: str, notation: str) -> None:
    found = taught(source)
    assert len(board(found, notation, 1000).splitlines()) == len(board(found, width=1000).splitlines())
    page = latex_board(found, notation)
    balanced(page)
    assert page.count(r"\begin{aligned}") == page.count(r"\end{aligned}") > 3


@pytest.mark.parametrize("name", ["rnn", "layer norm", "cross-entropy"])
def test_the_derivation_of_a_lesson_is_the_one_that_derive_prints(name: str) -> None:
    assert str(taught(EVERY[name]).derivation) == str(derivation_of(read(EVERY[name]).program))


def test_progress_is_told_name_by_name() -> None:
    told: list[tuple[int, int]] = []
    lesson(read("h[t] = tanh(x[t] W)"), lambda done, total: told.append((done, total)))
    assert told == [(k, len(told)) for k in range(1, len(told) + 1)]
