"""Which products become one, and that nothing else changes."""

from __future__ import annotations

import pytest
import torch
from tests.pages import PAGES

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.eager import Runner
from chalkgrad.kernels.eager.merging import planned
from chalkgrad.kernels.eager.steps import Joined, Looped, Merged, Parted
from chalkgrad.language.resolve import read
from chalkgrad.nn.operator import system_of

NUMBERS = {"batch": 2, "T": 3, "|x|": 4, "|h|": 5}


def steps(text: str, backward: bool = False) -> tuple[Merged, ...]:
    system = system_of(normalise(batch(read(text).program)), "c")
    program, known = system.program, ()
    if backward:
        given = tuple(n.name for n in program.given("input", "parameter", "start"))
        known, program = system.saved_for(given), system.derived(given).program
    return planned(program, program.outputs, known, NUMBERS).steps


def joined(found: tuple[Merged, ...]) -> list[tuple[str, ...]]:
    """The parts of all that is put side by side, in loops too."""
    inside = [parts for step in found if isinstance(step, Looped) for parts in joined(step.body)]
    return [step.parts for step in found if isinstance(step, Joined)] + inside


def test_the_inputs_of_all_gates_are_one_product() -> None:
    found = steps(PAGES["G1"].text)
    assert sorted(joined(found)[0]) == ["W_xf", "W_xg", "W_xi", "W_xo"]
    (parted,) = (step for step in found if isinstance(step, Parted))
    assert parted.sizes == (5, 5, 5, 5)


def test_the_gradients_of_all_weights_share_one_table() -> None:
    found = steps(PAGES["G1"].text, backward=True)
    adjoints = [parts for parts in joined(found) if parts[0].startswith("∂")]
    assert len(adjoints) == 1  # joined once, for the input's gradient, the weights' and the biases'
    assert len([step for step in found if isinstance(step, Parted)]) == 3


def test_a_plain_rnn_has_nothing_to_merge() -> None:
    assert not joined(steps("h[t] = tanh(x[t] W + h[t-1] U + b)"))


@pytest.mark.parametrize("text", [
    "y[i] = x[i] A[i]\nz[i] = Σ[j] x[j] B[j,i] + Σ[j] y[j] C[j,i] where x: input, B: 3×3",
    "a[i] = Σ[j] x[j] B[j,i]\nb[k] = Σ[j] x[j] C[j,k]\ny[i,k] = a[i] b[k] where x: input, B: 3×2, C: 3×5",
    "y[i,k] = Σ[j] x[i,j] x[j,k] + Σ[j] x[i,j] B[j,k] where x: input 3×3, B: 3×3",
    "a[i] = Σ[j] B[i,j]\nb[i] = Σ[j] C[i,j]\ny[i] = x[i] a[i] b[i] where x: input, B: 3×4, C: 3×4",
    "y[i] = Σ[j] x[j] B[j,i] + Σ[j] z[j] C[j,i] where x: input 3, z: input 4, B: 3×2, C: 4×2",
])  # fmt: skip
def test_what_is_merged_gives_the_same_numbers(text: str) -> None:
    program = normalise(batch(read(text).program))
    numbers = {"batch": 2, **{s: 3 for s in program.symbols if s != "batch"}}
    draw = torch.Generator().manual_seed(0)
    given = {
        n.name: torch.randn([r.size.value(numbers) for r in n.ranges], generator=draw, dtype=torch.float64)
        for n in program.given()
    }
    (name,) = program.outputs
    (got,) = Runner(program)(given, numbers, [name]).values()
    # One example after the other, each definition by itself, leaves nothing to merge.
    values = dict(given)
    for e in program.equations:
        one = type(program)((e,), program.names, (e.target,))
        rest = {n.name: values[n.name] for n in program.names if n.name in values}
        values[e.target] = Runner(one)(rest, numbers, [e.target], known={})[e.target]
    torch.testing.assert_close(got, values[name], rtol=1e-12, atol=1e-12)
