"""Language models of about equal size, for equal time on one text; our LSTM beside torch's: docs/results.md.

python -m bench.language_models                     what is still missing, on the plays that ship: 20 minutes
python -m bench.language_models --text all          on all 42 texts (chalkgrad data fetch plays)
python -m bench.language_models --only lstm         one row; a row that is there is left as it is
python -m bench.language_models --again --only gru  measured once more

Each row is written when it is measured, into bench/results/language_models.jsonl; the page is made of them.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch import Tensor, nn

from bench.measure import machine
from chalkgrad.cli.lm.train import bar
from chalkgrad.files import write_atomically
from chalkgrad.tasks import training
from chalkgrad.tasks.directory import Directory
from chalkgrad.tasks.language_model import Config, TaskError, train
from chalkgrad.tasks.language_model.bodies import Body, States
from chalkgrad.tasks.language_model.config import Card, Metrics
from chalkgrad.tasks.language_model.data import Streams, plays, read
from chalkgrad.tasks.language_model.model import Net, evaluate, net
from chalkgrad.tasks.language_model.ngram import counted
from chalkgrad.tasks.language_model.train import CHUNK, Material, Run
from chalkgrad.tasks.packages import whole
from chalkgrad.tasks.sets import PLAYS
from chalkgrad.zoo import torchs_page

ROWS = Path(__file__).parent / "results" / "language_models.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

PARAMETERS = 200_000
"""What each net has, as nearly as its width allows."""

ORDERS = range(1, 9)

TRIED = 8.0
"""Seconds, at most, in which a pace is found: the steps of a cycle are those that fit into its minutes."""

COMMON = Config(batch=50, truncate=50, optimizer="adam", steps=10**9, evaluate_every=10**9)
NETS = {
    "mlp": replace(COMMON, model="mlp", context=12, embedding=32, lr=8e-3),
    "rnn": replace(COMMON, cell="rnn", lr=8e-3),
    "gru": replace(COMMON, cell="gru", lr=8e-3),
    "lstm": replace(COMMON, cell="lstm", lr=1.6e-2),
    "lstm_peephole": replace(COMMON, cell="lstm_peephole", lr=1.6e-2),
    "transformer": replace(COMMON, model="transformer", context=50, layers=3, lr=1.6e-2),
}
"""The step sizes did best of two or three in half a minute each."""

CALLED = {
    "ngram": "n-gram, modified Kneser-Ney",
    "mlp": "feed-forward net (Bengio)",
    "rnn": "RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "lstm_peephole": "peephole LSTM",
    "transformer": "Transformer",
    "ours": "LSTM of equations, as torch.nn.LSTM parametrises it",
    "torch.nn.LSTM": "torch.nn.LSTM",
}

BESIDE = Config(
    layers=2, hidden=128, truncate=50, batch=50, optimizer="rmsprop", lr=2e-3, schedule="constant", steps=2000
)
"""How our LSTM is compared with torch's, from the same first weights."""

GATES = "ifgo"

Name = StrEnum("Name", {name: name for name in CALLED})
Text = StrEnum("Text", ["plays", "all"])


@dataclass(frozen=True)
class Row:
    """A model, what it came to on the held-out part of a text, and what that took."""

    text: str
    model: str
    how: str
    parameters: int
    bits: float
    nats: float
    tokens: int
    rate: float
    minutes: float
    machine: str
    day: str


# --- what is measured --------------------------------------------------------------------------------------


def width(config: Config, tokens: int, parameters: int) -> Config:
    """The settings with the width whose net comes nearest to so many parameters."""
    step = config.heads if config.model == "transformer" else 1

    def size(n: int) -> int:
        made = net(replace(config, hidden=n * step), config.cell, tokens)
        return sum(p.numel() for p in made.parameters())

    low, high = 1, 2
    while size(high) < parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < parameters else (low, middle)
    best = min((low, high), key=lambda n: abs(size(n) - parameters))
    return replace(config, hidden=best * step)


@dataclass
class Pace:
    """Told of each step, it knows how many tokens a second one takes; measurements are not counted."""

    show: Callable[[Any], object]
    at: float = 0.0
    tokens: int = 0

    def __post_init__(self) -> None:
        self.rates: list[float] = []

    def __call__(self, now: training.Progress[Any]) -> None:
        before, self.at = self.at, time.perf_counter()
        if before and not now.measured:
            self.rates.append(now.items / (self.at - before))
        self.tokens += now.items
        self.show(now)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates or [0.0])


def timed(name: str, config: Config, minutes: float, material: Material) -> dict[str, Any]:
    """A net of :data:`PARAMETERS` parameters, trained for so many minutes."""
    config = width(config, len(material.vocabulary), PARAMETERS)
    size = sum(p.numel() for p in net(config, config.cell, len(material.vocabulary)).parameters())

    def trained(config: Config, seconds: float = inf) -> tuple[Pace, Metrics, float]:
        begun = time.perf_counter()
        with TemporaryDirectory() as folder, bar() as show:
            pace = Pace(show)
            result = train(config, Path(folder) / name, report=pace, seconds=seconds)
        if result.interrupted:
            raise typer.Exit(130)
        assert result.metrics is not None
        return pace, result.metrics, (time.perf_counter() - begun) / 60

    tried, _, _ = trained(config, min(TRIED, 15 * minutes))
    fit = int(60 * minutes * tried.rate / (config.batch * config.truncate))
    pace, metrics, taken = trained(replace(config, steps=max(1, fit)))
    layers = f"{config.layers} layers, " if config.layers > 1 else ""
    context = f", {config.context} back" if config.context else ""
    how = f"{layers}width {config.hidden}{context}, Adam {config.lr:g}"
    found = {"how": how, "parameters": size, "nats": metrics.validation, "minutes": taken}
    return found | measured(pace)


def measured(pace: Pace) -> dict[str, Any]:
    return {"tokens": pace.tokens, "rate": pace.rate}


def ngrams(material: Material) -> dict[str, Any]:
    """The order is chosen on the end of what is learned from, then all of that is counted."""
    tokens, learned = len(material.vocabulary), material.learned
    cut = len(learned) - len(material.held_out)

    def nats(ids: Tensor, order: int, held_out: Tensor) -> tuple[float, int]:
        model = counted(ids, order, tokens)
        return evaluate(model, Streams.side_by_side(held_out, 1).chunks(CHUNK)).mean, model.size

    order = min(ORDERS, key=lambda n: nats(learned[:cut], n, learned[cut:])[0])
    begun = time.perf_counter()
    counted(learned, order, tokens)
    rate = len(learned) / (time.perf_counter() - begun)
    loss, size = nats(learned, order, material.held_out)
    how = f"order {order} of {ORDERS[0]} to {ORDERS[-1]}"
    return {"how": how, "parameters": size, "nats": loss, "tokens": len(learned) - 1, "rate": rate}


class TorchLSTM(Body):
    """torch.nn.LSTM in the place of our layers; the first weights are theirs."""

    def __init__(self, ours: nn.ModuleList, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(hidden, hidden, len(ours), batch_first=True)
        with torch.no_grad():
            for layer, cell in enumerate(ours):
                for side, letter in (("ih", "i"), ("hh", "h")):
                    for kind, first in (("weight", "W"), ("bias", "b")):
                        rows = [cell.get_parameter(f"{first}_{letter}{gate}") for gate in GATES]
                        self.lstm.get_parameter(f"{kind}_{side}_l{layer}").copy_(torch.cat(rows))

    def forward(self, values: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        given = None if states is None else tuple(s.transpose(0, 1).contiguous() for s in states[0])
        y, (h, c) = self.lstm(values, given)
        return y, ((h.transpose(0, 1), c.transpose(0, 1)),)


def beside(kind: str, config: Config, material: Material, steps: int) -> dict[str, Any]:
    """Our LSTM or torch's, both from our first weights, for so many steps."""
    cell = torchs_page("lstm")
    config = replace(config, cell=cell, steps=steps, evaluate_every=steps)

    def begin() -> Run:
        model = net(config, cell, len(material.vocabulary))
        if kind == "torch.nn.LSTM":
            theirs = Net(
                TorchLSTM(model.body.get_submodule("layers"), config.hidden),  # pyright: ignore[reportArgumentType]
                len(material.vocabulary),
                width=config.hidden,
                hidden=config.hidden,
            )
            theirs.embedding.load_state_dict(model.embedding.state_dict())
            theirs.readout.load_state_dict(model.readout.state_dict())
            model = theirs
        streams = Streams.side_by_side(material.learned, config.batch)
        return Run(config, model, streams, material.validation)

    with TemporaryDirectory() as folder, bar() as show:
        pace = Pace(show)
        ended = training.follow(
            begin,
            Directory(Path(folder) / "run"),
            lambda _: Card(config, cell, material.vocabulary.dump(), "").dump(),
            Metrics.of,
            seed=config.seed,
            steps=steps,
            every=steps,
            report=pace,
        )
    if ended.interrupted:
        raise typer.Exit(130)
    assert ended.measured is not None
    how = f"{config.layers} × {config.hidden}, {steps} steps, RMSprop {config.lr:g}"
    size = sum(p.numel() for p in net(config, cell, len(material.vocabulary)).parameters())
    return {"how": how, "parameters": size, "nats": ended.measured.validation, **measured(pace)}


# --- rows and page -----------------------------------------------------------------------------------------


def rows_in(file: Path) -> list[Row]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Row(**json.loads(line)) for line in lines]


def page(rows: list[Row]) -> str:
    """What docs/results.md says of the rows."""
    parts = [HEAD]
    for text, title in (("plays", "The nine plays that ship"), ("all", "All 42 texts")):
        here = [r for r in rows if r.text == text]
        raced = sorted((r for r in here if r.model == "ngram" or r.model in NETS), key=lambda r: r.bits)
        pair = {r.model: r for r in here if r.model in ("ours", "torch.nn.LSTM")}
        if not here:
            continue
        parts.append(f"## {title}\n\n    python -m bench.language_models --text {text}\n")
        if raced:
            parts.append(f"{winner(raced)}\n\n{table(raced)}")
        if len(pair) == 2:
            ours, theirs = pair["ours"], pair["torch.nn.LSTM"]
            parts.append(
                f"### Beside torch.nn.LSTM\n\nTwo layers of {BESIDE.hidden}, chunks of {BESIDE.truncate}, "
                f"{BESIDE.batch} streams, the same first weights: the losses differ by "
                f"{abs(ours.nats - theirs.nats):.4f} nats a character.\n\n{table([ours, theirs])}"
            )
        days = sorted({r.day for r in here})
        parts.append(f"Measured {' and '.join(days)}: {here[-1].machine}.\n")
    return "\n".join(parts)


HEAD = """# Which language model predicts Shakespeare best

Characters, the last 5 % of the text held out. Nets have about 200,000 parameters each and are trained for the
same time on the same machine, by Adam, with gradients through 50 steps, 50 places side by side; the step size
grows for a tenth of the steps that fit into the time, then falls to nothing. The n-gram's order is chosen on
the end of the text that is learned. An n-gram's parameters are the n-grams it has seen. Each net's largest
step size did best, on the held-out text, of two or three that were tried for half a minute.
This page is written by

    python -m bench.language_models

from the rows of bench/results/language_models.jsonl: what is there is not measured again but with
`--again --only NAME`.
"""


def winner(rows: list[Row]) -> str:
    first, *others = rows
    said = f"**{CALLED[first.model]} won**, with {first.bits:.3f} bits a character"
    if others:
        said += f"; {CALLED[others[0].model]} came second with {others[0].bits:.3f}"
        said += f", {CALLED[others[-1].model]} last with {others[-1].bits:.3f}" * (len(others) > 1)
    return said + "."


def table(rows: list[Row]) -> str:
    lines = [
        "| model | bits/character | nats/character | parameters | tokens/s | tokens seen | minutes | how |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {CALLED[r.model]} | {r.bits:.3f} | {r.nats:.4f} | {r.parameters:,} | {r.rate:,.0f} "
        f"| {r.tokens / 1e6:.1f} M | {r.minutes:.1f} | {r.how} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def run(
    text: Annotated[Text, typer.Option(help="The plays that ship, or all 42 texts.")] = Text["plays"],
    only: Annotated[list[Name] | None, typer.Option(help="A row; may be repeated.")] = None,
    minutes: Annotated[float, typer.Option(help="How long each net is trained.")] = 2.0,
    steps: Annotated[int, typer.Option(help="Steps of our LSTM and torch's.")] = BESIDE.steps,
    threads: Annotated[int, typer.Option(help="Threads for torch and the kernels.")] = 2,
    again: Annotated[bool, typer.Option("--again", help="Measure rows that are there already.")] = False,
    rows: Annotated[Path, typer.Option(metavar="FILE", help="Where the rows are kept.")] = ROWS,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page made of them.")] = PAGE,
) -> None:
    """Train what is still missing, one model after another, and write the page."""
    torch.set_num_threads(threads)
    told = Console(stderr=True, highlight=False, soft_wrap=True)
    if text == "all" and not whole(PLAYS):
        raise SystemExit("error: bring all of them first: chalkgrad data fetch plays")
    files = sorted(PLAYS.home.glob("*.txt")) if text == "all" else plays()
    content = read(files)
    material = Material.of(content, COMMON)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    told.print(f"{len(content):,} characters ({digest}), {len(files)} texts")
    given = tuple(map(str, files))
    heading = machine()
    for name in only or list(Name):
        found = rows_in(rows)
        if not again and any((r.text, r.model) == (text, name) for r in found):
            continue
        told.print(f"{name}:")
        begun = time.perf_counter()
        try:
            if name == "ngram":
                row = ngrams(material)
            elif name in NETS:
                row = timed(name, replace(NETS[name], text=given), minutes, material)
            else:
                row = beside(name, replace(BESIDE, text=given), material, steps)
        except TaskError as error:
            raise SystemExit(f"error: {error}") from None
        taken = (time.perf_counter() - begun) / 60
        bits = row["nats"] / torch.tensor(2.0).log().item()
        known = {"minutes": taken, "bits": bits, "machine": heading, "day": str(date.today())}
        made = Row(text=text, model=name, **(known | row))
        kept = [r for r in rows_in(rows) if (r.text, r.model) != (text, name)]
        lines = "".join(json.dumps(asdict(r)) + "\n" for r in [*kept, made])
        write_atomically(rows, lines.encode())
        write_atomically(out, page([*kept, made]).encode())
        told.print(f"  {made.bits:.3f} bits/character, {made.rate:,.0f} tokens/s, {made.minutes:.1f} minutes")


if __name__ == "__main__":
    typer.run(run)
