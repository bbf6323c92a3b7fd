"""What runs as one compiled call: a start stands with its loop, whatever must be left to the library."""

from __future__ import annotations

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.eager.calls import with_calls
from chalkgrad.kernels.schedule import Compiled, Loop, Step, equations_of, schedule
from chalkgrad.language.resolve import read

TEXT = "h[t] = tanh(layernorm(x[t] W) + h[t-1] U)\nwhere x[t]: D, h[t]: H"


def targets(step: Step | Compiled) -> list[str]:
    return [e.target for e in equations_of(step)]


def test_a_start_stands_with_its_loop_whatever_is_left_out_before_it() -> None:
    program = normalise(batch(read(TEXT).program))
    steps = schedule(program, ["h"])
    left = next(e.target for e in program.equations if e.target.startswith("a_"))  # inside the root
    called = with_calls(steps, lambda step: left not in targets(step))
    [call] = [c for c in called if isinstance(c, Compiled)]
    assert [targets(s) for s in call.steps if not isinstance(s, Loop)] == [["m_h"], ["h"]]
    assert sum(isinstance(s, Loop) for s in call.steps) == 1
    made: set[str] = set()
    for step in called:  # each after what it reads
        read_by = {n for n in (call.given if step is call else ()) if n in program.table}
        assert all(n in made for n in read_by if program[n].role == "defined")
        made |= set(targets(step))
