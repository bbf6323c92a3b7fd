"""The oracle itself, against numpy and against what it must refuse."""

import math

import numpy as np
import pytest

from chalkgrad.equations.ir import ArgMax, Const, Program
from chalkgrad.equations.ops import OPS, add
from gradients import drawn
from naive import FUNCTIONS, evaluate
from programs import CASES
from shorthand import d as defined
from shorthand import eq, f, r, ranges, reduction, total, when
from shorthand import x as given


def one(equation, *names, numbers, **arrays):
    program = Program((equation,), names, (equation.target,))
    return evaluate(program, {k: np.asarray(v, float) for k, v in arrays.items()}, numbers, program.outputs)[
        equation.target
    ]


def values(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    case = CASES[name]
    arrays = drawn(case.program, case.numbers)
    [output] = case.program.outputs
    return arrays, evaluate(case.program, arrays, case.numbers, [output])[output]


def test_convolutions_are_numpys():
    a, y = values("conv1d")
    np.testing.assert_allclose(y, np.correlate(a["x"], a["V"]))
    a, y = values("full_convolution")
    np.testing.assert_allclose(y, np.convolve(a["g"], a["f"]))


def test_a_recurrence_is_a_loop():
    a, y = values("rnn")
    h = a["h₀"][0]
    np.testing.assert_allclose(y[0], h)
    for t, x in enumerate(a["x"]):
        h = np.tanh(x @ a["W_x"] + h @ a["W_h"] + a["b"])
        np.testing.assert_allclose(y[t + 1], h)


def test_softmax_is_what_it_says():
    a, y = values("softmax")
    e = np.exp(a["x"] @ a["W"])
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True))


def test_a_maximum_over_overlapping_windows():
    a, y = values("max_pooling")
    for c, i, j in np.ndindex(y.shape):
        assert y[c, i, j] == a["x"][c, i : i + 2, 2 * j : 2 * j + 3].max()


def test_layer_norm_is_centred_and_scaled():
    a, y = values("layer_norm")
    x = a["x"]
    expected = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-2)
    np.testing.assert_allclose(y, expected * a["g"] + a["b"])


def test_the_first_of_equal_maxima_wins_row_by_row():
    over = ranges("1≤p≤2, q<2")
    names = (given("x[1≤p≤2, q<2]"), defined("y"))
    for axis, position in (("p", 1.0), ("q", 1.0)):
        first = eq("y", "", ArgMax(over, axis, r("x[p,q]")))
        assert one(first, *names, numbers={}, x=[[1.0, 5.0], [5.0, 0.0]]) == position


def test_a_guards_body_is_not_evaluated_where_it_fails():
    e = eq("y", "n<N", when("n-1≥0", f("log", r("x[n-1]"))))
    y = one(e, given("x[n<N]"), defined("y[n<N]"), numbers={"N": 3}, x=[1.0, math.e, -1.0])
    np.testing.assert_allclose(y, [0.0, 0.0, 1.0])


def test_a_read_outside_its_interval_is_refused():
    e = eq("y", "n<N", r("x[n+1]"))
    with pytest.raises(AssertionError, match=r"x\[3\] is read outside n<N"):
        one(e, given("x[n<N]"), defined("y[n<N]"), numbers={"N": 3}, x=[1.0, 2.0, 3.0])


def test_a_definition_in_terms_of_itself_is_refused():
    e = eq("y", "n<N", add(r("y[n]"), Const(1)))
    with pytest.raises(AssertionError, match="depends on itself"):
        one(e, defined("y[n<N]"), numbers={"N": 1})


def test_reductions_over_nothing_are_their_neutral_elements():
    names = (given("x[n<N]"), defined("y"))
    for op, value in (("max", -math.inf), ("min", math.inf), ("logsumexp", -math.inf), ("sum", 0.0)):
        assert one(eq("y", "", reduction(op, "n<N", r("x[n]"))), *names, numbers={"N": 0}, x=[]) == value


def test_a_sum_over_the_multiples_of_two():
    e = eq("y", "", total("n<N", when("2|n", r("x[n]"))))
    assert one(e, given("x[n<N]"), defined("y"), numbers={"N": 4}, x=[1.0, 2.0, 4.0, 8.0]) == 5.0


def test_every_function_of_the_language_has_a_value():
    assert set(FUNCTIONS) == set(OPS)
