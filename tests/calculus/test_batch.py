"""A batch axis goes where examples differ, and nowhere else."""

import numpy as np
import pytest

from chalkgrad.calculus.batch import batch
from chalkgrad.equations.ir import Program
from chalkgrad.equations.ops import mul
from chalkgrad.equations.verify import verify
from gradients import drawn
from naive import evaluate
from programs import CASES
from shorthand import d as defined
from shorthand import eq, r, w
from shorthand import x as given


@pytest.mark.parametrize("name", CASES)
def test_each_example_of_a_batch_is_computed_by_itself(name):
    case = CASES[name]
    together = verify(batch(case.program), "resolved")
    numbers = {**case.numbers, "batch": 2}
    arrays = drawn(together, numbers)
    whole = evaluate(together, arrays, numbers, together.outputs)
    for b in range(2):
        one = {n: a if together[n].role == "parameter" else a[b] for n, a in arrays.items()}
        alone = evaluate(case.program, one, case.numbers, case.program.outputs)
        for output in case.program.outputs:
            np.testing.assert_array_equal(whole[output][b], alone[output])


def test_parameters_and_what_is_made_of_them_only_lack_the_axis():
    program = Program(
        (eq("u", "n<N", mul(r("w[n]"), r("w[n]"))), eq("y", "n<N", mul(r("u[n]"), r("x[n]")))),
        (given("x[n<N]"), *w("w[n<N]", written=1), defined("u[n<N]"), defined("y[n<N]")),
        ("y",),
    )
    together = batch(program, "example")
    assert [r.axis for r in together["u"].ranges] == ["n"]
    assert [r.axis for r in together["y"].ranges] == ["example", "n"]
    assert [r.axis for r in together["w"].ranges] == ["n"]


def test_an_output_has_the_axis_and_what_it_is_made_of_lacks_it():
    program = Program(
        (eq("u", "n<N", mul(r("w[n]"), r("w[n]"))), eq("z", "n<N", mul(r("u[n]"), r("u[n]")))),
        (*w("w[n<N]", written=1), defined("u[n<N]"), defined("z[n<N]")),
        ("z",),
    )
    together = verify(batch(program), "resolved")
    assert [r.axis for r in together["u"].ranges] == ["n"]
    assert [r.axis for r in together["z"].ranges] == ["batch", "n"]


def test_the_axis_counts_as_written_and_moves_the_states():
    together = batch(CASES["rnn"].program)
    assert together["h"].written == 2
    assert together.states[0].position == 1
    assert together["W_h"].written == 0
