"""The step size over a run: up and down once, however few the steps are."""

import math

import pytest
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from chalkgrad.tasks.pace import Cycle

WARM_UPS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.75, 1.0)


def optimizer() -> AdamW:
    return AdamW(nn.Linear(1, 1).parameters(), lr=0.1)


def sizes(cycle: OneCycleLR, steps: int) -> list[tuple[float, float]]:
    """The step size and the momentum of each of the steps."""
    made: list[tuple[float, float]] = []
    for _ in range(steps):
        [group] = cycle.optimizer.param_groups
        made.append((group["lr"], group["betas"][0]))
        cycle.optimizer.step()
        cycle.step()
    return made


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("warm_up", WARM_UPS)
def test_a_run_of_any_number_of_steps_has_a_step_size(warm_up: float, momentum: bool) -> None:
    for steps in (*range(1, 42), 99, 100, 199, 399):
        made = sizes(Cycle(optimizer(), 0.1, steps, warm_up, momentum=momentum), steps)
        assert all(math.isfinite(x) for pair in made for x in pair)
        assert all(0 < size <= 0.1 for size, _ in made)
        if steps > 1:
            assert made[1][0] > made[0][0]  # it grows


@pytest.mark.parametrize("made", [0, 1, 8, 30])
def test_a_cycle_that_is_gone_on_with_may_be_longer(made: int) -> None:
    first, second, whole = optimizer(), optimizer(), optimizer()
    begun = Cycle(first, 0.1, 30, momentum=True)
    sizes(begun, made)
    second.load_state_dict(first.state_dict())
    longer = Cycle(second, 0.1, 60, momentum=True)
    longer.load_state_dict(begun.state_dict())
    expected = sizes(Cycle(whole, 0.1, 60, momentum=True), 60)
    assert sizes(longer, 60 - made) == expected[made:]


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("warm_up", WARM_UPS)
def test_many_steps_are_torchs_cycle(warm_up: float, momentum: bool) -> None:
    steps = 250
    torchs = OneCycleLR(optimizer(), 0.1, total_steps=steps + 1, pct_start=warm_up, cycle_momentum=momentum)
    ours = Cycle(optimizer(), 0.1, steps, warm_up, momentum=momentum)
    assert sizes(ours, steps) == sizes(torchs, steps)
