"""Gradients where a read, a guard or a function is unusual."""

import numpy as np
import pytest

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Apply, At, Const, Equation, Name, Program, Range, Read, Reduce
from chalkgrad.equations.ops import OPS, add, divide, minus, mul, power
from chalkgrad.equations.verify import verify
from gradients import check_gradients
from naive import evaluate
from shorthand import d as defined
from shorthand import eq, f, index, r, ranges, reduction, total, w, when
from shorthand import x as given


def checked(equations, names, numbers, positive=False):
    """First and second derivatives are the differences."""
    program = verify(Program(tuple(equations), tuple(names), (equations[-1].target,)), "resolved")
    verify(normalise(program), "normalised")
    first = check_gradients(program, numbers, positive=positive)
    check_gradients(first, numbers, positive=positive)
    return first


POINTWISE = [name for name in OPS if name not in ("add", "mul", "sign", "step", "equal", "select", "stop")]


@pytest.mark.parametrize("op", POINTWISE)
def test_functions_inside_products(op):
    args = tuple(add(mul(r(f"{n}[n]"), r("v[n]")), r("v[n]")) for n in "xz"[: OPS[op].arity])
    value = mul(Apply(op, args), r("v[n]"))
    names = (given("x[n<N]"), *((given("z[n<N]"),) if OPS[op].arity == 2 else ()), given("v[n<N]"))
    checked([eq("y", "n<N", value)], (*names, defined("y[n<N]")), {"N": 3}, positive=True)


def test_a_choice_gives_its_gradient_to_what_was_chosen():
    chosen = f("select", f("step", r("m[n]")), mul(r("x[n]"), r("z[n]")), f("tanh", r("z[n]")))
    names = (given("m[n<N]"), given("x[n<N]"), given("z[n<N]"), defined("y[n<N]"))
    d = checked([eq("y", "n<N", mul(chosen, r("x[n]")))], names, {"N": 5})
    assert d.defining("∂m")[0].value == Const(0)


def test_no_gradient_goes_through_a_stop():
    stopped = mul(f("stop", r("m[n]"), mul(r("x[n]"), r("x[n]"))), r("x[n]"))
    names = (given("m[n<N]"), given("x[n<N]"), defined("y[n<N]"))
    program = verify(Program((eq("y", "n<N", stopped),), names, ("y",)), "resolved")
    d = derive(program, ["x"])
    m, x, seed = np.array([0.0, 1.0]), np.array([3.0, 3.0]), np.ones(2)
    found = evaluate(d, {"m": m, "x": x, d.given("seed")[0].name: seed}, {"N": 2}, ["∂x"])["∂x"]
    np.testing.assert_allclose(found, [3 * 9.0, 9.0])  # x³, and x² · x of which the square is a constant


@pytest.mark.parametrize("op", ["sign", "step"])
def test_what_is_constant_on_pieces_has_no_gradient_of_its_own(op):
    e = eq("y", "n<N", mul(Apply(op, (minus(r("x[n]"), r("v[n]")),)), r("v[n]")))
    d = checked([e], (given("x[n<N]"), given("v[n<N]"), defined("y[n<N]")), {"N": 4})
    assert d.defining("∂x")[0].value == Const(0)


@pytest.mark.parametrize("k", [-2, -1, -0.5, 0.5, 2, 3])
def test_powers_of_sums(k):
    e = eq("y", "n<N", mul(r("v[n]"), power(add(r("x[n]"), r("v[n]"), Const(1)), k)))
    checked([e], (given("x[n<N]"), given("v[n<N]"), defined("y[n<N]")), {"N": 3}, positive=True)


def test_a_power_of_a_contraction():
    e = eq("y", "n<N", power(total("d<D", r("x[n,d]"), r("v[d]")), 3))
    checked([e], (given("x[n<N, d<D]"), given("v[d<D]"), defined("y[n<N]")), {"N": 2, "D": 3})


def test_a_name_twice_in_one_product():
    e = eq("y", "n<N-1", mul(r("x[n]"), r("x[n+1]"), r("x[n]")))
    checked([e], (given("x[n<N]"), defined("y[n<N-1]")), {"N": 4})


def test_a_diagonal():
    e = eq("y", "n<N", mul(r("A[n,n]"), r("A[0,n]")))
    checked([e], (given("A[n<N, m<N]"), defined("y[n<N]")), {"N": 3})


def test_a_transposed_and_a_reversed_read():
    e = eq("y", "n<N, m<M", mul(r("A[m,n]"), r("x[N-1-n]")))
    checked([e], (given("A[m<M, n<N]"), given("x[n<N]"), defined("y[n<N, m<M]")), {"N": 3, "M": 2})


def test_a_concatenation_reads_parts_of_a_matrix():
    left = total("j<H", r("h[j]"), r("W[j,k]"))
    right = total("d<D", r("x[d]"), r("W[d+H,k]"))
    names = (given("h[j<H]", 0), given("x[d<D]", 0), *w("W[c<H+D, k<K]"), defined("y[k<K]", 0))
    checked([eq("y", "k<K", f("tanh", add(left, right)))], names, {"H": 2, "D": 3, "K": 2})


def test_an_index_that_is_a_difference_of_two_domain_axes():
    e = eq("y", "i<N, j<N", when("i-j≥0", mul(r("v[i-j]"), r("x[j]"))))
    checked([e], (given("v[n<N]"), given("x[n<N]"), defined("y[i<N, j<N]")), {"N": 3})


def test_a_function_under_a_guard_is_not_evaluated_outside_it():
    e = eq("y", "n<N", add(r("x[n]"), when("n-1≥0", mul(r("x[n]"), f("log", mul(r("x[n-1]"), r("x[n]")))))))
    checked([e], (given("x[n<N]"), defined("y[n<N]")), {"N": 4}, positive=True)


def test_a_function_whose_guard_hangs_on_an_axis_it_lacks():
    # log(x[s+1] v) does not depend on t, but only s < t keeps its read inside x.
    past = total("s<T", when("t-s-1≥0", mul(r("v[t]"), f("log", mul(r("x[s+1]"), r("v[s]"))))))
    checked(
        [eq("y", "t<T", past)], (given("x[t<T]"), given("v[t<T]"), defined("y[t<T]")), {"T": 4}, positive=True
    )


def test_maximum_and_minimum_over_guarded_bodies():
    for op in ("max", "min"):
        body = when("i-a≥0", mul(r("x[i-a]"), r("v[a]")))
        e = eq("y", "i<N", f("tanh", Reduce(op, ranges("a<K"), body)))
        names = (given("x[n<N]"), *w("v[a<K]", written=1), defined("y[i<N]"))
        checked([e], names, {"N": 4, "K": 3})


def test_a_logsumexp_of_products_inside_a_sum():
    inner = reduction("logsumexp", "j<M", r("x[i,j]"), r("v[j]"))
    e = eq("y", "i<N", add(r("v[0]"), mul(r("v[1]"), inner)))
    checked([e], (given("x[i<N, j<M]"), given("v[j<M]"), defined("y[i<N]")), {"N": 2, "M": 3})


def test_a_sum_of_sums_of_functions():
    inner = total("j<M", f("tanh", mul(r("x[i,j]"), r("v[j]"))), r("v[j]"))
    e = eq("y", "", total("i<N", add(inner, f("exp", r("x[i,0]")))))
    checked([e], (given("x[i<N, j<M]"), given("v[j<M]"), defined("y")), {"N": 2, "M": 2})


def test_positions_as_numbers():
    e = eq("y", "n<N", mul(r("x[n]"), divide(At(index("n+1")), f("sqrt", At(index("N"))))))
    checked([e], (given("x[n<N]"), defined("y[n<N]")), {"N": 3})


def test_a_product_of_two_contractions_over_the_same_letter():
    e = eq(
        "y",
        "n<N",
        mul(total("d<D", r("x[n,d]"), r("v[d]")), total("d<D", r("v[d]"), r("x[n,d]"), r("x[n,d]"))),
    )
    checked([e], (given("x[n<N, d<D]"), given("v[d<D]"), defined("y[n<N]")), {"N": 2, "D": 2})


def test_a_chain_of_strided_convolutions():
    half = Range("i", index("N-3").shift.floordiv(2) + 1)
    first = Equation("u", (half,), f("tanh", total("p<3", r("w[p]"), r("x[2i+p]"))))
    last = eq("y", "", total("i<1", r("u[i+1]"), r("u[i]")))
    u = Name("u", "defined", (half,), 1)
    checked([first, last], (given("x[n<N]"), *w("w[p<3]", written=1), u, defined("y")), {"N": 6})


def test_an_output_that_another_output_reads():
    one = eq("u", "n<N", f("tanh", r("x[n]")))
    two = eq("y", "n<N", mul(r("u[n]"), r("x[n]")))
    both = Program((one, two), (given("x[n<N]"), defined("u[n<N]"), defined("y[n<N]")), ("u", "y"))
    d = check_gradients(both, {"N": 3})
    assert [n.name for n in d.given("seed")] == ["ū", "∂y"]
    again = derive(d, wrt=("x",))
    assert isinstance(again.defining("∂₂x")[0].value, Apply | Read)
