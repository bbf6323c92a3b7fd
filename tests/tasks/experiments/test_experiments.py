"""The classic experiments: their data are what they say, and what is not seen is not claimed."""

from collections.abc import Callable
from math import inf, isnan
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from chalkgrad.tasks.experiments import (
    EXPERIMENTS,
    Finding,
    Outcome,
    adding,
    clipping,
    counting,
    data,
    gates,
    learn,
    rmsprop,
    truncated,
    vanishing,
)


def drawn() -> Generator:
    return Generator().manual_seed(3)


def test_the_adding_problem_marks_one_number_of_each_half_and_asks_for_their_sum() -> None:
    x, y = data.adding(2000, 30, drawn())
    assert x.shape == (2000, 30, 2)
    marks = x[:, :, 1] == 1
    assert (marks[:, :15].sum(1) == 1).all()
    assert (marks[:, 15:].sum(1) == 1).all()
    torch.testing.assert_close(x[:, :, 0][marks].view(-1, 2).sum(1), y[:, 0])
    assert ((y - 1) ** 2).mean().item() == pytest.approx(data.BASELINE, rel=0.1)
    assert all(marks.any(0))  # every place is marked in some example


@pytest.mark.parametrize("length", [20, 50])
def test_temporal_order_hides_two_letters_and_asks_for_their_order(length: int) -> None:
    x, y = data.temporal_order(500, length, drawn())
    assert x.shape == (500, length, 6)
    assert (x.sum(2) == 1).all()
    letters = x.argmax(2)
    rows, places = (letters < 2).nonzero(as_tuple=True)
    assert torch.bincount(rows).tolist() == [2] * 500
    first, second = places.view(-1, 2).unbind(1)
    assert (int(first.min()), int(first.max())) == (length // 10, 2 * length // 10)
    assert (int(second.min()), int(second.max())) == (4 * length // 10, 5 * length // 10)
    every = torch.arange(500)
    assert (y == 2 * letters[every, first] + letters[every, second]).all()
    assert set(y.tolist()) == {0, 1, 2, 3}


def test_the_first_bit_stands_first_and_nowhere_else() -> None:
    x, bit = data.first_bit(400, 9, drawn())
    assert (x[:, 0, 0] == 2 * bit - 1).all()
    assert (x[:, 0, 1] == 1).all()
    assert (x[:, 1:, 1] == 0).all()
    correlation = torch.corrcoef(torch.cat([x[:, 1:, 0].T, bit[None].float()]))[-1, :-1]
    assert correlation.abs().max() < 0.2


@pytest.mark.parametrize("given", [{}, {"write": 1, "read": 7}])
def test_what_is_written_is_asked_for_where_it_is_read(given: dict[str, int]) -> None:
    x, y = data.held_value(300, 10, drawn(), **given)
    wrote, read = x[:, :, 1] == 1, x[:, :, 2] == 1
    assert (wrote[:, :5].sum(1) == 1).all()
    assert not wrote[:, 5:].any()
    assert (read[:, 5:].sum(1) == 2).all()
    first = read.float().argmax(1)
    assert read[torch.arange(300), first + 1].all()
    torch.testing.assert_close(y[:, :, 0], x[:, :, 0][wrote][:, None] * read)
    assert wrote.any(0).sum() == (1 if given else 5)
    assert not given or (wrote.float().argmax(1).eq(1).all() and first.eq(7).all())


def test_gates_set_by_hand_hand_the_gradient_on_whole_and_both_nets_are_drawn() -> None:
    outcome = gates.run(gates.Settings(steps=6, every=3, batch=4))
    assert outcome.findings[0].seen
    assert outcome.rows[0][1:7] == ("1.00", "0.00", "1.00", "1.00", "0.00", "1.0e+00")
    assert float(outcome.rows[0][7]) < 1e-6
    assert outcome.pictures["gates.png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert b"plain.h" in outcome.pictures["gates.html"]


def test_bits_are_counted() -> None:
    x, count = data.bits(5, 10, drawn())
    assert set(x.flatten().tolist()) == {0, 1}
    assert count.tolist() == [row.count(1.0) for row in x.tolist()]


SMALL: dict[str, tuple[Callable[..., Outcome], Any]] = {
    "clipping": (clipping.run, clipping.Settings(rates=(0.1,), seeds=(0,), steps=3)),
    "truncated": (truncated.run, truncated.Settings(lengths=(3, 6), windows=(4, None), seeds=(0,), steps=3)),
    "adding": (adding.run, adding.Settings(length=8, units=4, steps=8)),
    "gates": (gates.run, gates.Settings(length=10, reads=(8, 9), steps=6, every=3, batch=4)),
    "rmsprop": (rmsprop.run, rmsprop.Settings(length=6, units=4, steps=3, seeds=(0,))),
}


@pytest.mark.parametrize("name", SMALL)
def test_what_was_not_learned_is_not_said_to_be_seen(name: str) -> None:
    run, settings = SMALL[name]
    ticks: list[tuple[int, int]] = []
    outcome = run(settings, tick=lambda done, of: ticks.append((done, of)))
    assert not outcome.seen
    assert ticks[-1][0] == ticks[-1][1] == len(ticks)
    assert outcome.rows
    assert all(len(row) == len(outcome.columns) for row in outcome.rows)


def test_a_gradient_vanishes_and_explodes_with_the_scale_of_the_recurrent_weights() -> None:
    outcome = vanishing.run()
    assert outcome.seen
    assert [row[0] for row in outcome.rows] == ["0.5", "0.8", "1", "1.2", "1.5", "2", "3"]


def test_what_reaches_the_first_step_is_the_product_of_the_jacobians() -> None:
    settings = vanishing.Settings(units=5, examples=3, seed=4)
    generator = Generator().manual_seed(4)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    u = 1.7 * torch.linalg.qr(normal(5, 5))[0]
    w = normal(8, 5) / 10
    direction = torch.nn.functional.normalize(normal(3, 5), dim=1)
    x = normal(3, 6, 8)
    norms = []
    for n in range(3):
        h, jacobian = torch.zeros(5, dtype=torch.float64), torch.eye(5, dtype=torch.float64)
        for t in range(6):
            h = torch.tanh(x[n, t] @ w + h @ u)
            jacobian = jacobian @ u @ torch.diag(1 - h**2)
        norms.append((jacobian @ direction[n]).norm().item())
    assert vanishing.reaches(1.7, 6, settings) == pytest.approx(sum(norms) / 3, rel=1e-9)


def test_two_weights_learn_to_count_from_up_on_the_cliff() -> None:
    outcome = counting.run(counting.Settings(rates=(1e-5,), grid=9))
    assert outcome.seen
    assert outcome.rows[-1][1:3] == ("1.000", "1.000")
    assert outcome.rows[0][1:3] == ("lost", "lost")
    assert outcome.pictures["counting.png"][:8] == b"\x89PNG\r\n\x1a\n"


def test_the_surface_that_is_drawn_is_the_loss() -> None:
    settings = counting.Settings(grid=3, rows=4, length=5)
    x, target = data.bits(4, 5, drawn())
    loss = counting.surface(settings, x, target, lambda: None)
    for i, w_rec in enumerate(torch.linspace(*counting.UP, 3).tolist()):
        for j, w_x in enumerate(torch.linspace(*counting.ACROSS, 3).tolist()):
            s = torch.zeros(4)
            for k in range(5):
                s = x[:, k] * w_x + s * w_rec
            assert loss[i, j].item() == pytest.approx(((s - target) ** 2).mean().item(), rel=1e-4)


def test_training_clips_and_breaks_off_where_the_loss_is_no_number() -> None:
    net = learn.made("h[t] = tanh(x[t] W + h[t-1] U)", 0, x=2, h=3, y=1)
    before = [p.clone() for p in net.parameters()]

    def ill(n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return torch.full((n, 4, 2), torch.nan), torch.zeros(n, 1)

    step = torch.optim.SGD(net.parameters(), lr=1.0)
    broken = learn.learn(net, ill, torch.nn.functional.mse_loss, step, steps=5, batch=2, seed=0)
    assert len(broken.losses) == 1
    assert isnan(broken.last)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))

    def far(n: int, drawn: Generator) -> tuple[Tensor, Tensor]:
        return torch.ones(n, 4, 2), torch.full((n, 1), 100.0)

    for clip in (0.5, inf):
        before = [p.clone() for p in net.parameters()]
        found = learn.learn(net, far, torch.nn.functional.mse_loss, step, steps=1, batch=2, seed=0, clip=clip)
        moved = (
            torch.cat([(p - q).flatten() for p, q in zip(net.parameters(), before, strict=True)])
            .norm()
            .item()
        )
        assert found.norms[0] > 1
        assert moved == pytest.approx(min(clip, found.norms[0]), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_the_theory_says_is_seen(name: str) -> None:
    outcome = EXPERIMENTS[name]()
    assert [finding for finding in outcome.findings if not finding.seen] == []


def test_an_outcome_is_seen_where_all_its_findings_are() -> None:
    def of(*seen: bool) -> Outcome:
        return Outcome("", "", (), (), tuple(Finding("", s) for s in seen))

    assert of(True, True).seen
    assert not of(True, False).seen
