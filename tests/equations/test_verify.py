"""A program that a pass must not hand on is caught, with the equation that breaks it."""

import re

import pytest

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Apply, ArgMax, At, Condition, Guard, Index, Name, Program, Read
from chalkgrad.equations.ops import add, mul
from chalkgrad.equations.verify import IllegalProgram, verify
from programs import CASES
from shorthand import d as defined
from shorthand import eq, f, index, name, r, ranges, total
from shorthand import x as given


@pytest.mark.parametrize("case", CASES)
def test_every_pass_makes_legal_programs(case):
    for program in (CASES[case].program, batch(CASES[case].program)):
        verify(program, "resolved")
        verify(normalise(program), "normalised")
        first = verify(derive(program), "derived")
        verify(normalise(first), "normalised")
        verify(derive(first), "derived")


def y(value, domain="n<N"):
    return Program((eq("y", domain, value),), (given("x[n<N]"), defined("y[n<N]")), ("y",))


half = Index((("n", 1),), divisor=2)
FAULTS = {
    "z is read and not known: y[n] = z[n]": y(r("z[n]")),
    "x has 1 axes and is read at 2": y(r("x[n,n]")),
    "the axis m is free": y(r("x[m]")),
    "x is read at (n)/2, which is not whole": y(Read("x", (half,))),
    "the position (n)/2 is not whole": y(At(half)),
    "the guard (n)/2≥0 is not affine": y(Guard((Condition(half),), r("x[n]"))),
    "a guard has no condition": y(Guard((), r("x[n]"))),
    "sine is not a function": y(Apply("sine", (r("x[n]"),))),
    "tanh has 2 arguments": y(Apply("tanh", (r("x[n]"), r("x[n]")))),
    "leaves y's interval n<N": y(r("x[n]"), "n<N+1"),
    "y has 1 axes and a domain of 2": y(r("x[n]"), "n<N, m<N"),
    "the position along q is asked of a maximum over p": y(ArgMax(ranges("p<2"), "q", r("x[p]"))),
    "the output z is not known": Program((), (), ("z",)),
    "y is defined by no equation": Program((), (defined("y"),), ("y",)),
    "h has the role start and an equation": Program(
        (eq("h", "n<N", r("x[n]")),), (given("x[n<N]"), name("h[n<N]", "start")), ("h",)
    ),
    "b has 0 axes, of which 1 are written": Program((), (Name("b", "parameter", (), 1),), ("b",)),
    "two names in the table are the same": Program((), (given("x"), given("x")), ("x",)),
    "two equations hold at one point": Program(
        (eq("y", "n<N", r("x[n]")), eq("y", "n<1", r("x[n]"))),
        (given("x[n<N]"), defined("y[n<N]")),
        ("y",),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(fault):
    with pytest.raises(IllegalProgram, match=re.escape(fault)):
        verify(FAULTS[fault], "resolved")


def test_boxes_that_touch_do_not_meet():
    verify(CASES["rnn"].program, "resolved")


def test_an_axis_may_be_bound_twice_only_before_normalising():
    program = y(mul(r("x[n]"), total("n<N", r("x[n]"))))
    verify(program, "resolved")
    with pytest.raises(IllegalProgram, match="n is bound twice"):
        verify(program, "derived")


@pytest.mark.parametrize(
    "value",
    [
        add(r("x[n]"), f("tanh", r("x[n]"))),
        f("tanh", mul(r("x[n]"), r("x[n]"))),
        f("exp", total("m<N", r("x[m]"))),
    ],
)
def test_a_function_inside_a_right_side_is_not_normal(value):
    verify(y(value), "resolved")
    with pytest.raises(IllegalProgram, match="stands inside a right side"):
        verify(y(value), "normalised")
    verify(normalise(y(value)), "normalised")


def test_sizes_may_stand_in_functions_of_a_normal_program():
    verify(y(mul(r("x[n]"), f("sqrt", At(index("N"))))), "normalised")
