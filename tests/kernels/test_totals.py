"""Totals of what a loop makes are taken in the loop where its tables are then not needed."""

import pytest
import torch
from tests.kernels.comparing import F64

import chalkgrad
from chalkgrad.kernels.schedule import Loop, equations_of, schedule
from chalkgrad.kernels.totals import totals_inside
from chalkgrad.language.resolve import read

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)\n"
NORM = RNN + "n[t] = Σ[j] h[t,j]²\nwhere x[t]: D, h[t]: H, n: output"


def in_loops(page: str, *wanted: str) -> set[str]:
    program = read(page).program
    steps = totals_inside(schedule(program, wanted), wanted)
    return {e.target for s in steps if isinstance(s, Loop) for e in equations_of(s)}


def test_a_total_joins_the_loop_whose_table_nobody_else_needs() -> None:
    assert "n" in in_loops(NORM, "n")


def test_it_stays_outside_where_the_table_is_wanted_anyway() -> None:
    assert "n" not in in_loops(NORM, "n", "h")


@pytest.mark.parametrize(
    "line",
    [
        "n[t] = h[t] V",  # a product: one for all steps is faster
        "n[t] = Σ[j] h[t,j] h[t-1,j]",  # of two steps
        "n[j] = Σ[t] h[t,j]",  # over the steps
    ],
)
def test_what_is_no_total_of_one_step_stays_outside(line: str) -> None:
    program = chalkgrad.layer(f"{RNN}{line}\nwhere x[t]: D, h[t]: H, V: H×2, n: output", D=3, H=4)
    assert "n" not in in_loops(program.equations, "n")


ROWS = "h[t] = x[t] ⊙ tanh(x[t] W + h[t-1] U)\nn[t] = Σ[j] {}\nwhere h: output, n: output"


def test_a_total_of_rows_that_the_loop_reads_joins_it() -> None:
    assert "n" in in_loops(ROWS.format("x[t,j]²"), "n", "h")
    assert "n" not in in_loops(ROWS.format("x[t,j] x[t-1,j]"), "n", "h")  # also of another step
    assert "n" not in in_loops(ROWS.format("x[t,j]²").replace("x[t] ⊙ ", ""), "n", "h")


def test_a_total_of_rows_is_what_it_is_outside() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(ROWS.format("x[t,j]²"), x=20, dtype=F64)
    for batch in (1, 3, 40):
        x = torch.randn(batch, 9, 20, dtype=F64)
        (_, n), _ = net(x)
        torch.testing.assert_close(n, x.square().sum(-1), rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_values_are_those_of_whole_tables(batch: int) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(NORM, D=3, H=20, dtype=F64)
    whole = chalkgrad.layer(RNN + "where x[t]: D, h[t]: H", D=3, H=20, dtype=F64)
    whole.load_state_dict(net.state_dict())
    x = torch.randn(batch, 9, 3, dtype=F64)
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0], whole(x)[0].square().sum(-1), rtol=1e-12, atol=0)
