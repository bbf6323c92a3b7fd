"""Normal form computes the same, and names what a slope will ask for."""

import numpy as np
import pytest

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Const, Program
from chalkgrad.equations.ops import add, minus, mul, power
from chalkgrad.equations.show import show
from chalkgrad.equations.verify import verify
from chalkgrad.language.resolve import read
from gradients import drawn
from naive import evaluate
from programs import CASES, rnn
from shorthand import d as defined
from shorthand import eq, f, r, reduction, total, w
from shorthand import x as given


def generated(p: Program) -> list[str]:
    return [n.name for n in p.names if n.generated]


@pytest.mark.parametrize("name", CASES)
def test_normal_form_computes_the_same(name):
    case = CASES[name]
    normal = verify(normalise(case.program), "normalised")
    arrays = drawn(case.program, case.numbers)
    before = evaluate(case.program, arrays, case.numbers, case.program.outputs)
    after = evaluate(normal, arrays, case.numbers, case.program.outputs)
    for output, value in before.items():
        np.testing.assert_allclose(after[output], value, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_a_normalised_program_comes_back_unchanged(name):
    normal = normalise(CASES[name].program)
    assert normalise(normal) == normal
    again = normalise(derive(normal))
    assert normalise(again) == again


def test_the_only_pre_activation_is_a():
    p = normalise(rnn())
    assert generated(p) == ["a"]
    assert p["a"].of == "h"
    assert p["a"].written == 1
    assert [str(r) for r in p["a"].ranges] == ["t<T", "k<H"]
    assert [e.target for e in p.equations] == ["h", "a", "h"]
    assert p.equations[-1] == eq("h", "0≤t≤T-1, k<H", f("tanh", r("a[t,k]")))


def test_several_pre_activations_are_named_after_their_gates():
    assert generated(normalise(CASES["lstm"].program)) == ["a_i", "a_f", "a_g", "a_o", "m_h"]


def test_a_name_that_is_taken_is_left_alone():
    base = rnn()
    p = Program(base.equations, (*base.names, *w("a[k<H]")), base.outputs, base.states)
    assert generated(normalise(p)) == ["a_h"]


def test_two_functions_in_one_equation_are_counted():
    value = mul(f("tanh", mul(r("x[n]"), r("v[n]"))), f("exp", add(r("x[n]"), r("v[n]"))))
    p = Program((eq("y", "n<N", value),), (given("x[n<N]"), given("v[n<N]"), defined("y[n<N]")), ("y",))
    assert generated(normalise(p)) == ["a_y", "m_y", "a_y_2", "m_y_2"]


def test_equal_expressions_share_a_name():
    half = f("tanh", mul(r("x[n]"), r("x[n]")))
    p = Program(
        (eq("y", "n<N", mul(half, half)), eq("z", "n<N", mul(half, r("y[n]")))),
        (given("x[n<N]"), defined("y[n<N]"), defined("z[n<N]")),
        ("z",),
    )
    assert generated(normalise(p)) == ["a", "m_y"]


def test_a_score_is_computed_once_for_a_softmax():
    p = normalise(CASES["self_attention"].program)
    assert generated(p) == ["s_A", "L_A", "a"]
    assert [str(r) for r in p["s_A"].ranges] == ["i<N", "j<M"]
    [a] = p.defining("a")
    assert a.value == minus(r("s_A[i,j]"), r("L_A[i]"))


def test_a_sum_that_is_a_factor_has_a_name():
    p = normalise(CASES["gru_reset_after"].program)
    assert "s_n" in generated(p)
    [a] = p.defining("a_n")
    assert a.value.args[-1] == mul(r("r[t,k]"), r("s_n[t,k]"))


def test_a_sum_is_taken_apart_and_nested_sums_are_one():
    inner = add(mul(r("x[i,j]"), r("v[j]")), total("k<M", r("x[i,k]"), r("x[k,j]")))
    p = Program(
        (eq("y", "i<N", total("j<N", inner)),),
        (given("x[i<N, j<N]"), given("v[j<N]"), defined("y[i<N]")),
        ("y",),
    )
    [e] = normalise(p).equations
    expected = add(total("j<N", r("x[i,j]"), r("v[j]")), total("j<N, k<M", r("x[i,k]"), r("x[k,j]")))
    assert e.value == expected


def test_bases_of_powers_are_names():
    value = power(total("d<D", r("x[d]"), r("x[d]")), -1)
    p = Program((eq("y", "", mul(value, Const(2))),), (given("x[d<D]"), defined("y")), ("y",))
    assert generated(normalise(p)) == ["m_y"]


def test_written_axes_of_a_generated_name_stand_first():
    p = normalise(CASES["attention_decoder"].program)
    assert [(n.name, [r.axis for r in n.ranges], n.written) for n in p.names if n.name == "a_e"] == [
        ("a_e", ["t", "s", "k"], 2)
    ]


def test_a_reduction_that_binds_an_axis_of_the_equation_gets_its_own_letter():
    value = minus(r("x[j]"), reduction("logsumexp", "j<N", r("x[j]")))
    p = Program((eq("y", "j<N", value),), (given("x[j<N]"), defined("y[j<N]")), ("y",))
    verify(p, "resolved")
    normal = verify(normalise(p), "normalised")
    assert [str(e) for e in generated(normal)] == ["L_y"]


def test_what_a_mean_is_taken_away_from_is_one_name():
    p = read("y[t] = layernorm(x[t] W) where x[t]: D, W: D×H").program
    normal = verify(normalise(p), "normalised")
    score, less = (e for e in normal.equations if e.target in ("s_y", "s_y_2"))
    assert show(score) == "s_y[t,m] = Σ[j] x[t,j] W[j,m]"
    assert show(less) == "s_y_2[t,m] = s_y[t,m] - (Σ[k] s_y[t,k]) / H"
