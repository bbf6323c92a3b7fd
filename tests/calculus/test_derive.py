"""Derived gradients are right, and read as on the blackboard."""

import numpy as np
import pytest

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.simplify import canonical
from chalkgrad.equations.ir import Const, Program
from chalkgrad.equations.ops import add, minus, mul, power
from chalkgrad.equations.verify import verify
from gradients import check_gradients, drawn
from naive import evaluate, shape
from programs import CASES
from shorthand import eq, r, total, when


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_differences(name):
    check_gradients(CASES[name].program, CASES[name].numbers)


@pytest.mark.parametrize("name", CASES)
def test_batched_gradients_are_the_differences(name):
    check_gradients(batch(CASES[name].program), {**CASES[name].numbers, "batch": 2})


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_the_differences_of_the_first(name):
    first = derive(CASES[name].program)
    second = check_gradients(first, CASES[name].numbers)
    assert all(o.startswith("∂₂") for o in second.outputs)


@pytest.mark.parametrize("name", ["rnn", "softmax", "conv1d", "strided"])
def test_a_second_derivative_reaches_the_first_ones_seed(name):
    first = derive(CASES[name].program)
    [seed] = (n.name for n in first.given("seed"))
    second = check_gradients(first, CASES[name].numbers, wrt=(seed,))
    assert second.outputs == (f"∂₂{seed}",)


def test_third_derivatives_have_a_prefix_of_their_own():
    thrice = derive(derive(derive(CASES["softmax"].program)))
    verify(thrice, "derived")
    assert thrice.outputs == ("∂₃x", "∂₃W")


def same(derived: Program, target: str, domain: str, value) -> None:
    [e] = derived.defining(target)
    expected = eq(target, domain, value)
    assert e.domain == expected.domain
    assert canonical(e.value) == canonical(expected.value)


def test_a_plain_recurrence_derives_back_propagation_through_time():
    d = derive(CASES["rnn"].program)
    assert [n.name for n in d.given("seed")] == ["ȳ"]
    assert d["ȳ"].of == "h"
    assert [e.target for e in d.equations] == [
        *("h", "a", "h"),
        *("∂a", "∂h", "∂x", "∂W_x", "∂W_h", "∂b", "∂h₀"),
    ]
    back = when("T-2-t≥0", total("j<H", r("∂a[t+1,j]"), r("W_h[k,j]")))
    same(d, "∂h", "-1≤t≤T-1, k<H", add(r("ȳ[t,k]"), back))
    same(d, "∂a", "t<T, k<H", mul(r("∂h[t,k]"), minus(Const(1), power(r("h[t,k]"), 2))))
    same(d, "∂x", "t<T, d<D", total("k<H", r("∂a[t,k]"), r("W_x[d,k]")))
    same(d, "∂W_x", "d<D, k<H", total("t<T", r("x[t,d]"), r("∂a[t,k]")))
    same(d, "∂W_h", "j<H, k<H", total("t<T", r("h[t-1,j]"), r("∂a[t,k]")))
    same(d, "∂b", "k<H", total("t<T", r("∂a[t,k]")))
    same(d, "∂h₀", "-1≤t≤-1, k<H", r("∂h[t,k]"))
    assert d.outputs == ("∂x", "∂W_x", "∂W_h", "∂b", "∂h₀")


def test_the_gradient_of_a_convolution_is_a_convolution():
    d = derive(CASES["conv1d"].program)
    assert [(n.name, n.of) for n in d.given("seed")] == [("∂y", "y")]
    assert [e.target for e in d.equations] == ["∂x", "∂V"]
    inside = when("n-j≥0, N-K-n+j≥0", mul(r("∂y[n-j]"), r("V[j]")))
    same(d, "∂x", "n<N", total("j<K", inside))
    same(d, "∂V", "j<K", total("i<N-K+1", r("∂y[i]"), r("x[i+j]")))


def test_the_gradient_of_a_full_convolution_needs_no_guard():
    same(derive(CASES["full_convolution"].program), "∂g", "n<N", total("a<K", r("∂y[a+n]"), r("f[a]")))


def test_a_stride_divides():
    d = derive(CASES["strided"].program)
    [e] = d.defining("∂x")
    assert str(e.value.body.conditions[-1]) == "2|n-p"
    assert str(e.value.body.body.args[0].at[0]) == "(n-p)/2"


def test_the_gradient_of_a_state_does_not_read_past_the_end():
    d = derive(CASES["forgetting"].program)
    back = when("T-2-t≥0", mul(r("∂c[t+1]"), r("f[t+1]")))
    same(d, "∂c", "-1≤t≤T-1", add(r("ȳ[t]"), back))


def test_the_last_step_receives_at_the_last_step():
    d = derive(CASES["last_step"].program)
    [e] = d.defining("∂h")
    assert [str(c) for t in e.value.args for c in t.conditions] == ["-t+T-2≥0", "-t+T-1=0"]


def test_a_softmax_reads_its_own_result():
    d = derive(CASES["softmax"].program)
    same(d, "∂a", "i<N, j<M", mul(r("∂y[i,j]"), r("y[i,j]")))
    same(d, "∂L_y", "i<N", mul(Const(-1), total("j<M", r("∂a[i,j]"))))
    same(d, "∂e", "i<N, j<M", add(mul(r("∂L_y[i]"), r("y[i,j]")), r("∂a[i,j]")))


def test_an_lstm_needs_13_equations_forward_and_25_backward():
    d = derive(CASES["lstm"].program)
    adjoints = [e.target for e in d.equations if e.target.startswith("∂")]
    assert len(adjoints) == 25
    assert adjoints[:10] == [f"∂{n}" for n in ("a_i", "i", "a_f", "f", "a_g", "g", "a_o", "o", "c", "h")]
    # The cell's tanh is used once in the gradient, so its adjoint stands in the cell's.
    assert "∂m_h" not in d.table
    assert len(d.equations) - len(adjoints) == 13


def test_only_what_is_asked_for_is_derived():
    d = derive(CASES["lstm"].program, wrt=("W_xo", "b_o"))
    assert d.outputs == ("∂W_xo", "∂b_o")
    assert "∂x" not in d.table
    bias = derive(CASES["mlp"].program, wrt=("b_2",))
    assert [e.target for e in bias.equations] == ["∂b_2"]


def test_an_input_that_nothing_reads_has_the_gradient_zero():
    base = CASES["conv1d"].program
    idle = Program(base.equations, (*base.names, CASES["rnn"].program["b"]), base.outputs)
    d = derive(idle, wrt=("b",))
    same(d, "∂b", "k<H", Const(0))
    numbers = {**CASES["conv1d"].numbers, "H": 2}
    np.testing.assert_array_equal(evaluate(d, {}, numbers, ["∂b"])["∂b"], np.zeros(2))


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="nowhere"):
        derive(CASES["rnn"].program, wrt=("nowhere",))


def test_several_outputs_have_a_seed_each():
    base = CASES["lstm"].program
    both = Program(base.equations, base.names, ("h", "c"), base.states)
    d = check_gradients(both, CASES["lstm"].numbers)
    assert {(n.name, n.of) for n in d.given("seed")} == {("h̄", "h"), ("c̄", "c")}


@pytest.mark.parametrize("name", ["rnn", "lstm", "bidirectional", "recurrence_2d", "attention_decoder"])
def test_one_step_is_an_ordinary_length(name):
    numbers = {**CASES[name].numbers, **dict.fromkeys(("T", "M", "N", "S"), 1)}
    check_gradients(CASES[name].program, numbers)


@pytest.mark.parametrize("stride_case", ["strided", "strided_and_dilated", "max_pooling"])
@pytest.mark.parametrize("longer", [0, 1, 2])
def test_strides_that_leave_a_rest(stride_case, longer):
    numbers = CASES[stride_case].numbers
    check_gradients(CASES[stride_case].program, {**numbers, "N": numbers["N"] + longer})


def test_a_batch_of_examples_is_each_example_by_itself():
    case = CASES["gru_reset_after"]
    derived, together = derive(case.program), derive(batch(case.program))
    numbers = {**case.numbers, "batch": 2}
    given = drawn(together, numbers)
    whole = evaluate(together, given, numbers, together.outputs)
    ones = [
        evaluate(
            derived,
            {k: v if v.shape == shape(derived, k, numbers) else v[b] for k, v in given.items()},
            numbers,
            derived.outputs,
        )
        for b in range(2)
    ]
    for name, value in whole.items():
        if derived[name].of.startswith(("W", "b")):
            np.testing.assert_allclose(value, ones[0][name] + ones[1][name], atol=1e-14)
        else:
            np.testing.assert_allclose(value, np.stack([o[name] for o in ones]), atol=1e-14)
