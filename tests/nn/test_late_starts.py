"""States that begin late, because of a difference of inputs or a window on them, and what reads them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.language.resolve import read

F64 = torch.float64
LATE = "g[t] = tanh(g[t-1] + x[t] - x[t-1])"


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=F64)


def steps(text: str) -> dict[str, str]:
    """The steps of each state on a page, those of its start left out."""
    program = read(text).program
    return {s.name: str(program.defining(s.name)[-1].domain[s.position]) for s in program.states}


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_what_reads_a_late_state_begins_with_it(shift: int) -> None:
    net = chalkgrad.layer(f"{LATE}\nc[t] = tanh(c[t-1] + softmax(g[t-{shift}])) where g[t]: H", dtype=F64)
    x, starts = normal(2, 6, 3), normal(2, shift, 3)
    y, state = net(x, (starts[:, 0] if shift == 1 else starts, normal(2, 3)))
    before, c, found = [*starts.unbind(1)], normal(2, 3), list[Tensor]()
    for t in range(1, 6):
        c = torch.tanh(c + before[-shift].softmax(-1))
        before.append(torch.tanh(before[-1] + x[:, t] - x[:, t - 1]))
        found.append(c)
    torch.testing.assert_close(y.c, torch.stack(found, 1))
    torch.testing.assert_close(y.g, torch.stack(before[shift:], 1))
    torch.testing.assert_close(state.c, c)


TOGETHER = {
    "one after the other": f"{LATE}\nc[t] = tanh(c[t-1] + x[t] ⊙ g[t-2])",
    "each reads the other's last step": "c[t] = tanh(x[t] + g[t-1])\ng[t] = tanh(c[t-1] + x[t] - x[t-1])",
    "the early one is read in place": "c[t] = tanh(c[t-1] + g[t-2] + x[t])\ng[t] = tanh(c[t] - x[t-1])",
    "a chain": f"{LATE}\nc[t] = tanh(c[t-1] + g[t-1])\nd[t] = d[t-1] + c[t-1]\ne[t] = e[t-1] ⊙ d[t-1] + x[t]",
    "a start that is given": f"{LATE}\ng[0] = a\nc[t] = tanh(c[t-1] + x[t] + g[t-1])",
}


@pytest.mark.parametrize("page", TOGETHER)
@pytest.mark.parametrize("turned", [False, True])
def test_the_states_of_a_page_begin_together_whichever_stands_first(page: str, turned: bool) -> None:
    lines = TOGETHER[page].split("\n")
    text = "\n".join(lines[::-1] if turned else lines) + "\nwhere g[t]: H"
    assert set(steps(text).values()) == {"1≤t≤T - 1"}
    assert chalkgrad.check(text, H=3)


def test_a_page_begins_when_its_widest_window_is_full() -> None:
    text = "g[t] = tanh(g[t-1] + Σ[p] w[p] x[t-p])\nc[t] = tanh(c[t-1] + x[t] + g[t-1]) where w: P"
    assert steps(text) == {"g": "P - 1≤t≤T - 1", "c": "P - 1≤t≤T - 1"}
    assert chalkgrad.check(text, P=3)


def test_a_step_and_a_window_before_it_leave_the_window_its_size() -> None:
    text = "y[t] = x[t] + Σ[p] w[p] x[t-p] where x[t]: scalar, w: P"
    assert [str(r) for r in read(text).program["y"].ranges] == ["P - 1≤t≤T - 1"]
    net = chalkgrad.layer(text, P=3, dtype=F64)
    x = normal(2, 7)
    windows = x.unfold(1, 3, 1).flip(-1)
    torch.testing.assert_close(net(x), x[:, 2:] + windows @ net.w)


def test_what_reads_a_state_that_ends_early_from_ahead_ends_with_it() -> None:
    text = "g[t] = tanh(g[t+1] + x[t] - x[t+1])\nc[t] = tanh(c[t+1] + x[t] + g[t+1]) where g[t]: H"
    assert steps(text) == {"g": "t<T - 1", "c": "t<T - 1"}
    assert chalkgrad.check(text, H=3)


def test_what_reads_the_past_of_a_state_that_ends_early_ends_one_step_later() -> None:
    text = "g[t] = tanh(g[t-1] + x[t+2] - x[t])\nc[t] = tanh(c[t-1] + x[t] + g[t-1]) where g[t]: H"
    assert steps(text) == {"g": "t<T - 2", "c": "t<T - 1"}
    assert chalkgrad.check(text, H=3)


def test_a_state_that_only_reads_itself_takes_as_many_steps_as_the_inputs() -> None:
    text = "h[t] = tanh(h[t-1] + b)\nk[t] = tanh(k[t-1] - b)\ny[t] = x[t] + g[t]\ng[t] = tanh(g[t-1] + x[t])"
    assert set(steps(text).values()) == {"t<T"}
    assert [v.shape for v in chalkgrad.layer(text, h=4)(torch.zeros(2, 5, 3))[0]] == [
        (2, 5, 4),
        (2, 5, 4),
        (2, 5, 3),
    ]
