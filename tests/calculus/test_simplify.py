"""Simplifying keeps the value and drops what does nothing, whatever the sizes."""

import numpy as np
from hypothesis import given as drawn_from
from hypothesis import strategies as st

from chalkgrad.calculus.simplify import box, canonical, distinct, needed, simplify
from chalkgrad.equations.ir import Apply, At, Condition, Const, Equation, Guard, Index, Program, Read, Reduce
from chalkgrad.equations.ops import add, mul, power
from chalkgrad.equations.verify import verify
from naive import evaluate
from shorthand import d as defined
from shorthand import index, r, ranges, total, when
from shorthand import x as given

N = box(ranges("n<N"))
TN = box(ranges("t<T, n<N"))


def condition(text: str) -> Condition:
    return Condition(index(text))


def test_a_guard_that_the_box_makes_sure_of_goes():
    assert simplify(when("n≥0, N-1-n≥0", r("x[n]")), N) == r("x[n]")
    kept = when("n-1≥0", r("x[n-1]"))
    assert simplify(kept, N) == kept


def test_a_guard_that_never_holds_is_zero():
    assert simplify(when("n-N≥0", r("x[n]")), N) == Const(0)
    assert simplify(when("n+1=0", r("x[n]")), N) == Const(0)
    assert simplify(add(r("x[n]"), when("n-N=0", r("x[n]"))), N) == r("x[n]")


def test_nested_guards_are_one():
    nested = when("n-1≥0", when("n-2≥0", when("2|n", r("x[n]"))))
    assert simplify(nested, N) == when("n-2≥0, 2|n", r("x[n]"))


def test_a_condition_that_another_implies_goes():
    assert needed((condition("n-1"), condition("n-3"), condition("n-2")), N, ()) == (condition("n-3"),)
    at = Condition(index("n-5"), "zero")
    assert needed((at, condition("n-2"), condition("7-n")), N, ()) == (at,)


def test_a_guard_inside_another_knows_what_holds():
    inner = when("n-1≥0", add(r("x[n]"), when("n≥0, n-1≥0", r("x[n-1]"))))
    assert simplify(inner, N) == when("n-1≥0", add(r("x[n]"), r("x[n-1]")))


def test_a_summed_axis_that_a_guard_bounds_has_a_shorter_range():
    assert simplify(total("t<T", when("t-1≥0", r("x[t-1]"))), {}) == total("1≤t≤T-1", r("x[t-1]"))
    assert simplify(total("t<T+1", when("T-1-t≥0", r("x[t]"))), {}) == total("t<T", r("x[t]"))


def test_a_range_is_not_cut_to_less_than_nothing():
    kept = total("t<T", when("t-2≥0", r("x[t-2]")))
    assert simplify(kept, {}) == kept


def test_what_does_not_vary_is_taken_out_of_a_sum():
    e = total("t<T", when("n-1≥0", mul(Const(-1), r("x[n]"), r("x[t]"), r("v[n]"))))
    assert simplify(e, N) == when("n-1≥0", mul(Const(-1), r("x[n]"), total("t<T", r("x[t]")), r("v[n]")))


def test_a_factor_stays_under_the_guard_that_lets_it_be_read():
    e = total("t<T", when("t-n-1≥0", mul(r("x[n+1]"), r("x[t]"))))
    assert simplify(e, TN) == e


def test_a_sum_over_one_point_is_that_point():
    assert simplify(total("t<T", when("t-n=0", r("x[t]"))), TN) == when("T-1-n≥0", r("x[n]"))
    assert simplify(total("-1≤t≤-1", r("x[t]")), {}) == r("x[-1]")


def test_sums_of_sums_are_one_and_sums_of_zero_nothing():
    assert simplify(total("t<T", total("n<N", r("x[t,n]"))), {}) == total("t<T, n<N", r("x[t,n]"))
    assert simplify(total("t<T", Apply("mul", (Const(0), r("x[t]")))), {}) == Const(0)


def test_equal_terms_and_factors_are_counted():
    twice = Apply("add", (total("t<T", r("x[t]")), total("s<T", r("x[s]")), r("v[n]")))
    assert simplify(twice, N) == add(mul(Const(2), total("t<T", r("x[t]"))), r("v[n]"))
    assert simplify(Apply("mul", (r("x[n]"), r("v[n]"), r("x[n]"))), N) == mul(power(r("x[n]"), 2), r("v[n]"))


def test_a_number_and_its_inverse_are_not_one_where_it_may_be_zero():
    quotient = mul(r("x[n]"), power(r("x[n]"), -1))
    assert simplify(quotient, N) == quotient


def test_letters_do_not_matter_to_the_canonical_form():
    assert canonical(total("s<T", r("x[s]"))) == canonical(total("t<T", r("x[t]")))
    assert canonical(total("s<T", r("x[s]"))) != canonical(total("t<N", r("x[t]")))


def test_bound_letters_are_made_distinct():
    e = total("n<N", r("x[n]"), total("n<N", r("x[n]")))
    renamed = distinct(e, frozenset({"n"}))
    whole = Equation("y", ranges("n<N"), renamed)
    verify(Program((whole,), (given("x[n<N]"), defined("y[n<N]")), ("y",)), "derived")
    assert canonical(renamed) == canonical(e)


# Random guarded sums over x[0..N-1], zero elsewhere: whatever is dropped, the numbers stay.
affine = st.builds(
    lambda t, n, size, c: Index.of({"t": t, "n": n}, index("N").shift * size + c),
    *(st.integers(-2, 2), st.integers(-2, 2), st.integers(-1, 1), st.integers(-3, 3)),
)
conditions = st.one_of(
    st.builds(Condition, affine),
    st.builds(Condition, affine, st.just("zero")),
    st.builds(Condition, affine, st.just("divisible"), st.integers(2, 3)),
)
safe = (condition("n+t"), condition("N-1-n-t"))
bodies = st.recursive(
    st.sampled_from([r("x[n]"), Guard(safe, r("x[n+t]")), Const(2), mul(r("v[t]"), r("x[n]"))]),
    lambda inner: st.one_of(
        st.builds(lambda c, b: Guard(tuple(c), b), st.lists(conditions, min_size=1, max_size=3), inner),
        st.builds(lambda a, b: Apply("add", (a, b)), inner, inner),
        st.builds(lambda a, b: Apply("mul", (a, b)), inner, inner),
        st.builds(lambda b: Reduce("sum", ranges("t<T"), b), inner),
    ),
    max_leaves=6,
)


@drawn_from(bodies, st.integers(1, 4), st.integers(1, 4))
def test_simplifying_keeps_the_value_at_every_size(body, n, t):
    whole = Reduce("sum", ranges("t<T"), body)
    names = (given("x[n<N]"), given("v[t<T]"), defined("y[n<N]"))
    numbers = {"N": n, "T": t}
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=n), "v": rng.normal(size=t)}

    def value(e):
        program = Program((Equation("y", ranges("n<N"), e),), names, ("y",))
        return evaluate(program, arrays, numbers, ["y"])["y"]

    np.testing.assert_allclose(value(simplify(whole, N)), value(whole), rtol=1e-12, atol=1e-12)


def test_reads_are_untouched():
    assert simplify(Read("x"), {}) == Read("x")


def test_a_size_above_and_below_the_line_goes() -> None:
    size = At(index("N"))
    assert simplify(mul(size, r("x[n]"), power(size, -1)), N) == r("x[n]")
    # What may be zero stays: a size less one, a position, a value.
    for other in (At(index("N-1")), At(index("n")), r("x[n]")):
        kept = mul(other, r("y[n]"), power(other, -1))
        assert simplify(kept, N) == kept
