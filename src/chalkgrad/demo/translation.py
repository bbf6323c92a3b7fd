"""Scene 8: dates translated, and where a translator looks for each character, while it learns to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

import torch
from rich.console import Console
from rich.live import Live
from rich.text import Text
from torch import Generator, nn

from chalkgrad.demo.board import equations, heading, say
from chalkgrad.tasks.tokens import Characters
from chalkgrad.tasks.translate.config import SPECIAL, Card, Config
from chalkgrad.tasks.translate.data import Pair
from chalkgrad.tasks.translate.picture import in_terminal
from chalkgrad.tasks.translate.train import built, numbered, summed
from chalkgrad.tasks.translate.translate import Looks, Trained, looks, translate
from chalkgrad.zoo import page

SECONDS = 10.0
WIDTH, BATCH, LR, UNSEEN = 48, 64, 1e-2, 200
MOST = 12
"""Characters of a translation, at most: one that does not know yet writes on and on."""
SHOWN = "21 November 2026"
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)  # whatever language this machine speaks


def scene(console: Console, seconds: float = SECONDS) -> None:
    heading(console, 8, "Attention: a translator shows where it looks")
    lines = [line for line in page("attention_decoder").splitlines() if not line.startswith("#")]
    console.print(equations("\n".join(f"    {line}" for line in lines[2:5])), "\n")
    say(
        console,
        "Dates as people write them become dates as files do, a character at a time. Nobody says which",
        f"character comes from where. A row is a written character: what it looked at, after {seconds:g} s.",
    )
    now = Now(0, 0.0, None)
    with Live(console=console, transient=True, auto_refresh=False) as screen:
        for now in learning(seconds):
            screen.update(shown(now), refresh=True)
    console.print(shown(now))
    console.print(f"\n{now.steps} steps; of {UNSEEN} dates never seen {now.right:.0%} are right.\n")


class Now(NamedTuple):
    """After so many steps: the part of the dates that is right (0 until it is over), and where it looks."""

    steps: int
    right: float
    looks: Looks | None


def shown(now: Now) -> Text:
    return Text(in_terminal(now.looks) if now.looks else "")


def learning(seconds: float) -> Iterator[Now]:
    """A model that learns dates for so long, looked at twice a second."""
    random = Generator().manual_seed(0)
    every = [
        pair(date(1950, 1, 1) + timedelta(days=n)) for n in torch.randperm(36525, generator=random).tolist()
    ]
    every = [p for p in every if p.source != SHOWN]
    unseen, learned = every[:UNSEEN], tuple(every[UNSEEN:])
    vocabularies = (
        Characters.of("".join(p.source for p in every), SPECIAL),
        Characters.of("".join(p.target for p in every), SPECIAL),
    )
    config = Config(tokens="characters", width=WIDTH, dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = Trained(built(config, vocabularies), Card(config, vocabularies, ""))
    pairs = numbered(learned, vocabularies)
    optimizer = torch.optim.Adam(trained.model.parameters(), lr=LR)
    step, begun, told = 0, time.monotonic(), 0.0
    while (spent := time.monotonic() - begun) < seconds or not step:
        batch = pairs.batch(torch.randint(len(pairs), (BATCH,), generator=random).tolist())
        loss = summed(trained.model, batch, pairs.pads[1])
        optimizer.zero_grad()
        (loss.total / loss.items).backward()
        nn.utils.clip_grad_norm_(trained.model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if spent > told + 0.5:
            told = spent
            yield Now(step, 0.0, seen(trained))
    found = translate(trained, [p.source for p in unseen], beam=1, most=MOST)
    right = sum(t.text == p.target for t, p in zip(found, unseen, strict=True)) / len(unseen)
    yield Now(step, right, seen(trained))


def seen(trained: Trained) -> Looks:
    """Where the model looks while it writes the date that is shown."""
    [found] = translate(trained, [SHOWN], beam=1, most=MOST)
    return looks(trained, SHOWN, found)


def pair(day: date) -> Pair:
    """A date as people write it, and as files do.

    >>> pair(date(1987, 3, 3))[:2]
    ('3 March 1987', '1987-03-03')
    """
    return Pair(f"{day.day} {MONTHS[day.month - 1]} {day.year}", day.isoformat())
