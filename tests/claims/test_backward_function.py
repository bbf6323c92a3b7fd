"""Backward functions in NumPy: called as they are, graded array by array."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.pages import PAGES

from chalkgrad.claims.function import grade_function
from chalkgrad.claims.outcome import Outcome
from chalkgrad.claims.results import flattened
from chalkgrad.claims.spelling import arrives, gradient_of, same
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
R6 = PAGES["R6"].text

# As in the exercise (Peter Roelants, "How to implement a recurrent neural network", part 1).
EXERCISE = """
def backward_gradient(X, S, grad_out, wRec):
    grad_over_time = np.zeros((X.shape[0], X.shape[1]+1))
    grad_over_time[:, -1] = grad_out
    wx_grad = 0
    wRec_grad = 0
    for k in range(X.shape[1], 0, -1):
        wx_grad += np.sum(np.mean(grad_over_time[:, k] * X[:, k-1], axis=0))
        wRec_grad += np.sum(np.mean(grad_over_time[:, k] * S[:, k-1], axis=0))
        grad_over_time[:, k-1] = grad_over_time[:, k] * wRec
    return (wx_grad, wRec_grad), grad_over_time
"""

# In the form of Stanford's CS231n: a forward function that keeps what the backward one needs.
COURSE = """
import numpy as np

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h, prev = np.zeros((N, T, b.shape[0])), h0
    for t in range(T):
        prev = h[:, t] = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
    return h, (x, h0, Wx, Wh, h)

def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    N, T, H = dh.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(H)
    dnext = np.zeros((N, H))
    for t in reversed(range(T)):
        da = (dh[:, t] + dnext) * (1 - h[:, t] ** 2)
        prev = h[:, t - 1] if t else h0
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        dnext = da @ Wh.T
    return dx, dnext, dWx, dWh, db
"""

ONE_EXAMPLE = """
def backward(xs, hs, Wxh, Whh, dhs):
    T, H = hs.shape
    grads = {"Wx": np.zeros_like(Wxh), "Wh": np.zeros_like(Whh), "b": np.zeros((1, H))}
    dnext = np.zeros(H)
    for t in range(T - 1, -1, -1):
        da = (dhs[t] + dnext) * (1 - hs[t] ** 2)
        grads["Wx"] += np.outer(xs[t], da)
        if t:
            grads["Wh"] += np.outer(hs[t - 1], da)
        grads["b"] += da
        dnext = Whh @ da
    return {"dW_xh": grads["Wx"], "dW_hh": grads["Wh"], "db": grads["b"]}
"""
ONE_PAGE = "hs[t] = tanh(xs[t] W_xh + hs[t-1] W_hh + b)"

TIME_FIRST = """
def backward(x, h, h_prev, W_h, dh):
    T, N, H = dh.shape
    dW_h, dnext = np.zeros_like(W_h), 0
    dx_sum = np.zeros(x.shape[-1])
    for t in range(T - 1, -1, -1):
        da = (dh[t] + dnext) * (1 - h[t] ** 2)
        dW_h += (h[t - 1] if t else h_prev).T @ da
        dnext = da @ W_h.T
    return dW_h
"""


def graded(folder: Path, text: str, code: str, name: str, **options: str) -> Outcome:
    path = folder / "mine.py"
    path.write_text(code, encoding="utf-8")
    return grade_function(read(text), f"{path}:{name}", at=options.get("at"))  # type: ignore[arg-type]


def refused(folder: Path, text: str, code: str, name: str = "f") -> str:
    with pytest.raises(EquationError) as caught:
        graded(folder, text, code, name)
    return str(caught.value)


# --- right -----------------------------------------------------------------------------------------------


def test_the_function_of_the_exercise_runs_unchanged(tmp_path: Path) -> None:
    outcome = graded(tmp_path, R6, EXERCISE, "backward_gradient")
    assert outcome
    said = str(outcome)
    assert "grad_out  11, what arrives at S at its last step" in said
    assert "S         11×6, its start in front" in said
    assert "wRec_grad: ∂w_rec\n  right, averaged over the batch" in said
    assert "grad_over_time: ∂S\n  right, its start in front" in said


def test_the_gradients_of_the_exercise_are_those_it_prints() -> None:
    """At (1.2, 1.2) the notebook prints 274.5954 and 1593.2428; its data are drawn with NumPy's seed 1."""
    np.random.seed(seed=1)
    bits = np.array([np.around(np.random.rand(10)).astype(int) for _ in range(20)])
    names: dict[str, object] = {"np": np}
    exec(EXERCISE, names)
    states = np.zeros((20, 11))
    for k in range(10):
        states[:, k + 1] = states[:, k] * 1.2 + bits[:, k] * 1.2
    arriving = 2 * (states[:, -1] - bits.sum(axis=1))
    (by_wx, by_rec), _ = names["backward_gradient"](bits, states, arriving, 1.2)  # type: ignore[operator]
    assert (by_wx, by_rec) == pytest.approx((274.595429133218, 1593.2428444791924))


def test_a_cache_is_made_by_the_forward_function_beside_it(tmp_path: Path) -> None:
    outcome = graded(tmp_path, RNN, COURSE, "rnn_backward")
    assert outcome
    assert [v.about for v in outcome.verdicts] == ["x", "h₀", "W_x", "W_h", "b"]


def test_one_example_a_dict_and_other_spellings(tmp_path: Path) -> None:
    outcome = graded(tmp_path, ONE_PAGE, ONE_EXAMPLE, "backward")
    assert outcome, str(outcome)
    assert "called with one example" in str(outcome)


def test_the_time_may_stand_before_the_batch(tmp_path: Path) -> None:
    outcome = graded(tmp_path, RNN, TIME_FIRST, "backward")
    assert outcome, str(outcome)
    assert "it does not return ∂W_x, ∂b" in str(outcome)


def test_single_precision_is_enough(tmp_path: Path) -> None:
    code = "def f(x, dy):\n    return x.T.astype(np.float32) @ dy.astype(np.float32)\n"
    assert graded(tmp_path, "y = x W where x: input", code, "f")


# --- wrong -----------------------------------------------------------------------------------------------


WRONG = {
    "a state one step late": ("S[:, k-1], axis", "S[:, k], axis", "what ∂w_rec = Σ[k] ∂S[k] S[k] would be"),
    "nothing summed": ("np.sum(np.mean(grad_over_time[:, k] * X[:, k-1], axis=0))", "0", "wx_grad is 0"),
    "nothing carried back": ("* wRec", "* 0", "grad_over_time["),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_slip_in_the_exercise_is_found(name: str, tmp_path: Path) -> None:
    old, new, said = WRONG[name]
    assert old in EXERCISE
    outcome = graded(tmp_path, R6, EXERCISE.replace(old, new), "backward_gradient")
    assert not outcome
    assert said in str(outcome), str(outcome)


COURSE_SLIPS = {
    "no slope": ("* (1 - h[:, t] ** 2)", "", "∂W_x"),
    "another slope": ("(1 - h[:, t] ** 2)", "h[:, t] * (1 - h[:, t])", "∂b"),
    "not transposed": ("dnext = da @ Wh.T", "dnext = da @ Wh", "∂h₀"),
    "a sign": ("db += da.sum(axis=0)", "db -= da.sum(axis=0)", "db[0] is"),
    "twice": ("db += da.sum(axis=0)", "db += 2 * da.sum(axis=0)", "it is 2 times the right one"),
    "turned": ("prev.T @ da", "(prev.T @ da).T", "it is transposed"),
    "this step's state": ("h[:, t - 1] if t else h0", "h[:, t]", "what ∂W_h = Σ[t] h[t]ᵀ ∂a[t] would be"),
    "another shape": ("dnext, dWx", "dnext, dWx.T", "its shape is 4×3, and that of ∂W_x 3×4"),
}  # fmt: skip


@pytest.mark.parametrize("name", COURSE_SLIPS)
def test_a_slip_in_the_course_is_found(name: str, tmp_path: Path) -> None:
    old, new, said = COURSE_SLIPS[name]
    assert old in COURSE
    outcome = graded(tmp_path, RNN, COURSE.replace(old, new), "rnn_backward")
    assert not outcome
    assert said in str(outcome), str(outcome)


# --- refused ---------------------------------------------------------------------------------------------


def test_what_goes_wrong_in_the_function_is_shown_at_its_line(tmp_path: Path) -> None:
    said = refused(tmp_path, RNN, "def f(x):\n    y = np.zeros(2)\n    return y[7]\n")
    assert "line 3 |     return y[7]" in said
    assert "^ IndexError: index 7 is out of bounds" in said


def test_what_goes_wrong_in_the_file_is_shown_at_its_line(tmp_path: Path) -> None:
    assert "ZeroDivisionError: division by zero" in refused(tmp_path, RNN, "a = 1\nb = a / 0\n")
    assert "is no Python: " in refused(tmp_path, RNN, "def f(x) return x\n")


def test_an_argument_that_the_page_lacks_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path, RNN, "def f(x, W_xx): return x\n")
    assert "`f` takes `W_xx`, and the page has no such name" in said
    assert "did you mean W_x" in said


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returns nothing"),
        ("'dW'", "str is no array of numbers"),
        ("np.zeros((7, 9, 8))", "nothing that `f` returns is a gradient of this page"),
        ("(np.zeros(3), object())", "is no array of numbers"),
    ],
)
def test_what_is_no_gradient_is_refused(returned: str, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, RNN, f"def f(x): return {returned}\n")


def test_a_missing_function_brings_near_names(tmp_path: Path) -> None:
    assert "did you mean rnn_backward" in refused(tmp_path, RNN, COURSE, "rnn_backwards")


# --- the parts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("wRec", "w_rec"), ("Wx", "W_x"), ("alpha", "α"), ("W_H", None), ("h0", "h₀"), ("y_prime", "y'")],
)
def test_names_are_matched_by_their_spelling(spelled: str, name: str | None) -> None:
    assert same(spelled, ["w_rec", "W_x", "W_h", "w_h", "α", "h₀", "y'"]) == name


@pytest.mark.parametrize(
    "spelled", ["dWx", "dW_x", "grad_W_x", "Wx_grad", "gradWx", "W_x_gradient", "∂W_x", "dL_dWx"]
)
def test_gradients_are_matched_by_their_spelling(spelled: str) -> None:
    assert gradient_of(spelled, ["x", "W_x", "b"]) == "W_x"


@pytest.mark.parametrize("spelled", ["grad_out", "dout", "dh", "grad_output", "grad_h", "dy"])
def test_what_arrives_is_known_by_its_spelling(spelled: str) -> None:
    assert arrives(spelled, ["h"]) == "h"
    assert arrives("x", ["h"]) is None


def test_nested_results_are_taken_apart() -> None:
    values = {"a": [np.zeros(2), (1.5, None)], "b": [[1, 2], [3, 4]]}
    assert [tuple(r.value.shape) for r in flattened(values, None)] == [(2,), (), (2, 2)]
    assert json.dumps([r.label for r in flattened(values, None)]) == '["result 1", "result 2", "b"]'
