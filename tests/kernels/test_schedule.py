"""Loops are found, and what need not stand in one does not."""

import pytest
from tests.programs import CASES, mul, recurrence_2d, rnn
from tests.shorthand import d, eq, f, r, ranges, state, w, when, x

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Guard, Program, Reduce
from chalkgrad.equations.ops import add
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.schedule import Block, Loop, ScheduleError, equations_of, schedule


def read_by(step: Block | Loop) -> set[str]:
    return {read.name for e in equations_of(step) for read in reads(e.value)}


def loops(program: Program, wanted: tuple[str, ...]) -> list[Loop]:
    return [s for s in schedule(program, wanted) if isinstance(s, Loop)]


def test_the_product_with_the_input_stands_before_the_loop() -> None:
    steps = schedule(rnn(), ("h",))
    kinds = [type(s).__name__ for s in steps]
    assert kinds.index("Loop") == len(steps) - 1
    assert any("W_x" in read_by(s) for s in steps[:-1])
    assert "W_x" not in read_by(steps[-1])
    assert "W_h" in read_by(steps[-1])


def test_weight_gradients_stand_after_the_loop_that_runs_backwards() -> None:
    program = derive(normalise(rnn()))
    steps = schedule(program, program.outputs, frozenset({"h", "a"}))
    (at,) = [k for k, s in enumerate(steps) if isinstance(s, Loop)]
    loop = steps[at]
    assert isinstance(loop, Loop)
    assert loop.reverse
    for name in ("∂W_x", "∂W_h", "∂b", "∂x"):
        (place,) = [k for k, s in enumerate(steps) if any(e.target == name for e in equations_of(s))]
        assert place > at
    assert not {"x", "W_x"} & read_by(loop)


def test_the_loop_runs_ahead_for_reads_ahead() -> None:
    found = loops(CASES["bidirectional"].program, ("y",))
    assert {(s.body[-1].equation.target, s.reverse) for s in found if isinstance(s.body[-1], Block)} == {
        ("h", False),
        ("g", True),
    }


def test_a_recurrence_in_two_directions_is_a_loop_in_a_loop() -> None:
    (outer,) = loops(recurrence_2d(), ("h",))
    inner = [s for s in outer.body if isinstance(s, Loop)]
    assert (outer.axis, [s.axis for s in inner]) == ("i", ["j"])
    # What comes from the row before is one product per row.
    assert any(isinstance(s, Block) and "U" in read_by(s) for s in outer.body)


def test_a_guarded_sum_over_the_own_past_counts_as_carried() -> None:
    (loop,) = loops(CASES["own_past"].program, ("h",))
    assert not loop.reverse


def test_the_axis_of_a_loop_has_one_letter() -> None:
    program = Program(
        (
            eq("u", "s<T", when("s-1≥0", r("v[s-1]"))),
            eq("v", "n<T", f("tanh", add(r("u[n]"), r("x[n]")))),
        ),
        (x("x[n<T]"), d("u[s<T]"), d("v[n<T]")),
        ("v",),
    )
    (loop,) = loops(program, ("v",))
    assert all(loop.axis in e.axes for e in loop.equations)


def test_what_is_known_is_not_computed_again() -> None:
    steps = schedule(normalise(rnn()), ("h",), frozenset({"a"}))
    assert "W_x" not in {name for s in steps for name in read_by(s)}
    assert not any(isinstance(s, Loop) for s in steps)


def test_only_what_is_asked_for_is_computed() -> None:
    steps = schedule(CASES["last_step"].program, ("h",))
    assert "y" not in {e.target for s in steps for e in equations_of(s)}


def test_equations_that_need_each_other_at_one_point_are_named() -> None:
    program = Program(
        (eq("u", "t<T", r("v[t]")), eq("v", "t<T", f("tanh", r("u[t]")))), (d("u[t<T]"), d("v[t<T]")), ("v",)
    )
    with pytest.raises(ScheduleError, match="u, v"):
        schedule(program, ("v",))


def test_reads_both_ways_have_no_order() -> None:
    value = add(when("t-1≥0", r("h[t-1]")), when("T-2-t≥0", r("h[t+1]")))
    with pytest.raises(ScheduleError, match="h"):
        schedule(Program((eq("h", "t<T", value),), (d("h[t<T]"),), ("h",)), ("h",))


def test_a_guard_goes_with_the_product_it_stands_around() -> None:
    start, h = state("h", "-1≤t≤T-1", "-1≤t≤-1, k<H")
    inner = Reduce("sum", ranges("j<H"), mul(r("h[t-1,j]"), r("W[j,k]")))
    program = Program(
        (
            eq("h", "-1≤t≤-1, k<H", r("h₀[t,k]")),
            eq("h", "0≤t≤T-1, k<H", f("tanh", when("t-1≥0", inner))),
        ),
        (*w("W[j<H, k<H]"), start, h),
        ("h",),
    )
    (loop,) = loops(program, ("h",))
    taken = next(e for e in loop.equations if e.target != "h")
    assert isinstance(taken.value, Guard)
