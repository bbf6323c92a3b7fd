"""The torch backend against the meaning of a program, point by point."""

import numpy as np
import pytest
import torch
from tests.naive import evaluate
from tests.programs import CASES

from chalkgrad.equations.ir import Program
from chalkgrad.kernels.eager import Runner


def some(program: Program, numbers: dict[str, int], seed: int = 0) -> dict[str, torch.Tensor]:
    """A tensor for everything that is given."""
    rng = torch.Generator().manual_seed(seed)
    return {
        n.name: torch.randn([r.size.value(numbers) for r in n.ranges], generator=rng, dtype=torch.float64)
        for n in program.given()
    }


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_meaning_point_by_point(case: str) -> None:
    program, numbers = CASES[case].program, CASES[case].numbers
    given = some(program, numbers)
    names = [n.name for n in program.names if n.role == "defined"]
    expected = evaluate(program, {k: v.numpy() for k, v in given.items()}, numbers, names)
    found = Runner(program)(given, numbers, names)
    for name in names:
        np.testing.assert_allclose(found[name].numpy(), expected[name], rtol=1e-12, atol=1e-12, err_msg=name)
