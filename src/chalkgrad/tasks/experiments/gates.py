"""Gates set by hand, and learned: write, hold, read at 32 and 33; a plain network's gradient beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from chalkgrad.flowing.record import Record, flow
from chalkgrad.flowing.report import page
from chalkgrad.nn.layer import Layer, layer
from chalkgrad.tasks.experiments.data import held_value
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, silent
from chalkgrad.tasks.extra import extra
from chalkgrad.zoo import source_of

GATED, PLAIN = "gated", "plain"
STATES = {GATED: "gated.c", PLAIN: "plain.h"}
"""Of each of the two nets the state whose gradient is compared."""


@dataclass(frozen=True)
class Settings:
    """One unit is enough for the gated net, whose forget gate begins open; the plain one has one, too."""

    cells: tuple[str, str] = ("lstm", "rnn")
    units: tuple[int, int] = (1, 1)
    forget: float = 3.0
    length: int = 34
    write: int = 1
    reads: tuple[int, int] = (32, 33)
    batch: int = 64
    steps: int = 1200
    every: int = 30
    rates: tuple[float, float] = (0.03, 0.01)
    seed: int = 0

    def shown(self) -> tuple[Tensor, Tensor]:
        """A batch that is written and read at the steps of the picture."""
        drawn = Generator().manual_seed(self.seed + 1)
        return held_value(self.batch, self.length, drawn, write=self.write, read=self.reads[0])


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """Both nets learn side by side, and are looked at every so often; a page with a slider, and a picture."""
    s = settings
    hand, (seen, errors) = by_hand(s), learned(s, tick)
    x, _ = s.shown()
    write, read = x[0, :, 1] == 1, x[0, :, 2] == 1
    looks = (("by hand", hand, -1), ("at first", seen, 0), ("learned", seen, -1))
    rows: list[tuple[str, ...]] = []
    for name, record, k in looks:
        gates = {n.rpartition(".")[2]: gate[:, 0] for n, gate in record.looks[k].gates.items()}
        i, f, o = (gates[n] for n in "ifo")
        open_ = (i[write], i[~write], f[~write], o[read], o[~read])
        left = [arrives(record, net, k)[s.write].item() for net in STATES]
        rows.append((name, *(f"{gate.mean():.2f}" for gate in open_), *(f"{share:.1e}" for share in left)))
    last = {n.rpartition(".")[2]: gate[:, 0] for n, gate in seen.looks[-1].gates.items()}
    held = last["f"][s.write + 1 : s.reads[0]].mean().item()
    at, beside = last["o"][read].mean().item(), last["o"][~read].mean().item()
    whole = arrives(hand, GATED, -1)
    kept, lost = (arrives(seen, net, -1)[s.write].item() for net in STATES)
    gated, plain = (cell.upper() for cell in s.cells)
    return Outcome(
        f"Written at {s.write}, held, read at {s.reads[0]} and {s.reads[1]}: one unit, {gated} and {plain}",
        "With f = 1 and i = 0 the gradient goes back along the cell as it is, however far. Gates that are "
        "learned come to do what gates set by hand do. ∂ is what of the last answer's gradient arrives where "
        "it was written.",
        ("gates", "i, write", "i, else", "f, hold", "o, read", "o, else", f"∂ {gated}", f"∂ {plain}"),
        tuple(rows),
        (
            Finding(
                f"by hand the gradient is the same at every step, to {(whole - 1).abs().max():.0e}",
                bool(((whole - 1).abs() < 1e-5).all()),
            ),
            Finding(f"the {gated} learns it: error {errors[GATED]:.4f} (saying 0: 1)", errors[GATED] < 0.1),
            Finding(f"the {plain} does not: {errors[PLAIN]:.2f}", errors[PLAIN] > 0.5),
            Finding(f"the forget gate learned to hold: {held:.3f} while nothing is written", held > 0.95),
            Finding(
                f"the output gate learned to wait: {at:.2f} where it is read, {beside:.2f} elsewhere",
                at - beside > 0.3,
            ),
            Finding(
                f"after learning {kept:.2g} of the gradient arrives at step {s.write} in the {gated}, "
                f"{lost:.2g} in the {plain}",
                kept > 0.5 and lost < kept / 4,
            ),
        ),
        {
            "gates.html": page(seen, "Gates, learned").encode(),
            "gates.png": picture(s, looks),
        },
    )


def arrives(record: Record, net: str, k: int) -> Tensor:
    """How much of the gradient at the last step there is at each, (T,), at one of the looks."""
    norms = record.norm[STATES[net]][k]
    return norms / norms[-1]


def nets(s: Settings, gated: dict[str, Any], plain: dict[str, Any], answer: bool) -> nn.ModuleDict:
    """The two nets, with an answer at every step or without."""
    made: list[Layer] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)
        for cell, units, init in zip(s.cells, s.units, (gated, plain), strict=True):
            text, where, shapes = source_of(cell).partition("\nwhere ")
            text += f"\ny[t] = h[t] V_y + b_y{where}{shapes}, y[t]: output 1" if answer else where + shapes
            made.append(layer(text, D=3, H=units, init=init))
    return nn.ModuleDict(dict(zip((GATED, PLAIN), made, strict=True)))


def by_hand(s: Settings) -> Record:
    """The gated net with i open where it is told to write, o where it is told to read, f always."""
    flag, shut = 80.0, -40.0

    def column(*weights: float) -> Tensor:
        return torch.tensor(weights)[:, None]

    gated: dict[str, Any] = {"W_xi": column(0, flag, 0), "W_xo": column(0, 0, flag), "W_xg": column(1, 0, 0)}
    gated |= {"b_i": shut, "b_o": shut, "b_g": 0.0, "W_xf": 0.0, "b_f": -shut}
    gated |= {f"W_h{gate}": 0.0 for gate in "ifgo"}
    both = nets(Settings(cells=s.cells, units=(1, 1)), gated, {"W_x": 1.0, "W_h": 0.9, "b": 0.0}, False)
    x, _ = s.shown()
    with flow(both) as record:
        sum(net(x)[0][:, -1].sum() for net in both.values()).backward()  # pyright: ignore
        record.look(both[GATED], x)
    return record


def learned(s: Settings, tick: Tick) -> tuple[Record, dict[str, float]]:
    """What was seen while both learned, on the batch that is shown, and their errors on it.

    They learn from sequences that are written and read at other steps each time. The gradient that is seen is
    that of the last answer alone.
    """
    both = nets(s, {"b_f": s.forget}, {}, True)
    optimizers = [
        torch.optim.Adam(net.parameters(), lr=rate) for net, rate in zip(both.values(), s.rates, strict=True)
    ]
    drawn, (x, target) = Generator().manual_seed(s.seed), s.shown()
    errors: dict[str, float] = {}

    def losses(x: Tensor, target: Tensor) -> list[Tensor]:
        """Of each net; 1 for whoever says nothing."""
        return [mse_loss(net(x)[0], target) * s.length / 2 for net in both.values()]

    with flow(both) as record:
        watching = [(net, net.watch) for net in both.values() if isinstance(net, Layer)]
        for k in range(s.steps + 1):
            if k % s.every == 0:
                record.at(k)
                at_end = [mse_loss(net(x)[0][:, -1], target[:, -1]) for net in both.values()]
                torch.stack(at_end).sum().backward()
                with torch.no_grad():
                    errors = dict(zip(both, (e.item() for e in losses(x, target)), strict=True))
                record.note(**{f"loss, {n}": e for n, e in errors.items()})
                record.look(both[GATED], x)
            if k == s.steps:
                break
            for net, _ in watching:  # training itself is not watched
                net.watch = None
            for optimizer, loss, net in zip(
                optimizers, losses(*held_value(s.batch, s.length, drawn)), both.values(), strict=True
            ):
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
            for net, watch in watching:
                net.watch = watch
            tick(k + 1, s.steps)
    return record, errors


def picture(s: Settings, looks: Sequence[tuple[str, Record, int]]) -> bytes:
    """Gates, the cell, and the gradient of both nets over time, in a column for each look, as PNG."""
    figure = extra("matplotlib.figure", "matplotlib").Figure(figsize=(10.5, 6.2), layout="constrained")
    axes = figure.subplots(3, len(looks), sharex=True, sharey="row")
    for column, (name, record, k) in zip(axes.T, looks, strict=True):
        look = record.looks[k]
        styles = ("-", "--", ":")
        for (n, gate), style in zip(look.gates.items(), styles, strict=False):
            column[0].plot(gate[:, 0], style, label=n.rpartition(".")[2], linewidth=1.6)
        column[0].set_title(f"gates {name}", fontsize=10)
        column[1].plot(look.states[STATES[GATED]][:, 0], color="black", linewidth=1.6)
        for net, cell, style in zip(STATES, s.cells, styles, strict=False):
            state = STATES[net].rpartition(".")[2]
            label = f"∂L/∂{state}[t], {cell.upper()}"
            column[2].plot(arrives(record, net, k), style, label=label, linewidth=1.8)
        column[2].set_yscale("log")
        column[2].set_xlabel("time t", fontsize=9)
    for row, label in zip(axes, ("gate", "cell c", "norm, the last step 1"), strict=True):
        row[0].set_ylabel(label, fontsize=9)
    axes[0, 0].legend(fontsize=8, ncols=3)
    axes[2, 0].legend(fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, facecolor="white", metadata={"Software": "chalkgrad"})
    return content.getvalue()


__all__ = ["Settings", "run"]
