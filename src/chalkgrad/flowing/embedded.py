"""The numbers of a record that its page holds: few enough for a page, as what JSON can say."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from chalkgrad.flowing.carry import Carry, carried
from chalkgrad.flowing.look import Look
from chalkgrad.flowing.sampled import Sample, packed, sampled, shaded, span
from chalkgrad.flowing.seen import Seen

NUMBERS = 330_000
"""How many numbers all tables of norms may have together; each takes 2⅔ characters."""
SHADES = 300_000
"""The same for gates and states, of 1⅓ characters each."""
ROWS, COLUMNS = 400, 300
LOOKS, UNITS, POINTS = 40, 32, 600


def embedded(record: Seen) -> dict[str, Any]:
    """What the script of the page draws. Raises ValueError for a record that has seen nothing."""
    tables = record.paths
    count = sum(1 + len(of) for of in tables.values())
    # A row for each training step matters as much as a column for each step in time.
    columns = min(COLUMNS, max(24, math.isqrt(NUMBERS // count)))
    rows = min(ROWS, max(24, NUMBERS // (count * columns)))
    numbers = record.steps
    tall = math.ceil(len(numbers) / rows)
    return {
        "steps": len(record),
        "tall": tall,
        "numbers": [[s[0], s[-1]] for s in (numbers[k : k + tall] for k in range(0, len(numbers), tall))],
        "quarter": numbers[-max(1, len(numbers) // 4)],
        "states": [_state(s, tables[s.name], rows, columns) for s in carried(record).values()],
        "scalars": [
            _course(name, values, numbers if len(values) == len(numbers) else [*range(1, len(values) + 1)])
            for name, values in record.scalars.items()
            if len(values) > 1
        ],
        "looks": _looks(record.looks, numbers),
        "through": through(record),
    }


def _state(state: Carry, paths: dict[str, Tensor], rows: int, columns: int) -> dict[str, Any]:
    samples = {path: sampled(t, rows, columns) for path, t in {"": state.all, **paths}.items()}
    whole = samples[""]
    low, high = span([*samples.values()])
    late = {
        path: sampled(_late(t, len(state.norms)), 1, columns) for path, t in {"": state.all, **paths}.items()
    }
    return {
        "name": state.name,
        "steps": state.steps,
        "columns": whole.means.shape[1],
        "tall": whole.tall,
        "wide": whole.wide,
        "span": [round(low, 4), round(high, 4)],
        "shown": _shown(whole),
        "backward": state.backward,
        "tables": {path: packed(s, low, high) for path, s in samples.items()},
        "late": {path: _numbers(s.means[0]) for path, s in late.items()},
    }


def _late(table: Tensor, rows: int) -> Tensor:
    """The mean of the last rows, over those that reach so far: (1, T)."""
    return table[-rows:].nanmean(0, keepdim=True)


def _shown(whole: Sample) -> list[float]:
    """The logarithms that colours go from and to: all but the outmost hundredths, ten decades at most."""
    means = whole.means[whole.means.isfinite() & (whole.means > 0)].log10()
    if not len(means):
        return [-1.0, 0.0]
    high = float(means.quantile(0.995)) if len(means) > 200 else float(means.max())
    low = max(float(means.quantile(0.005)) if len(means) > 200 else float(means.min()), high - 10)
    return [round(min(low, high - 0.1), 3), round(high, 3)]


def _course(name: str, values: Tensor, steps: list[int]) -> dict[str, Any]:
    """A number over training, at most so many points, each the mean of neighbours."""
    wide = math.ceil(len(values) / POINTS)
    means = sampled(values[None], 1, POINTS).means[0]
    return {"name": name, "steps": steps[::wide], "values": _numbers(means)}


def _looks(looks: list[Look], numbers: list[int]) -> list[dict[str, Any]]:
    chosen = looks[:: math.ceil(len(looks) / LOOKS)] if looks else []
    chosen += looks[-1:] if looks and chosen[-1] is not looks[-1] else []
    tables = sum(len(look.gates) + len(look.states) for look in chosen)
    columns = min(COLUMNS, max(32, SHADES // (UNITS * max(1, tables))))
    most = {
        name: max(float(look.states[name].nan_to_num().abs().max()) for look in chosen if name in look.states)
        for look in chosen
        for name in look.states
    }
    found: list[dict[str, Any]] = []
    for look in chosen:
        seen: dict[str, Any] = {}
        for name, values in {**look.gates, **look.states}.items():
            small = sampled(values.T[:UNITS].nan_to_num(nan=math.inf), UNITS, columns)
            low, high = (0.0, 1.0) if name in look.gates else (-most[name], most[name])
            seen[name] = {
                "units": small.means.shape[0],
                "columns": small.means.shape[1],
                "wide": small.wide,
                "steps": len(values),
                "most": float(f"{high:.3g}"),
                "shades": shaded(small.means, low, high),
            }
        said = {
            n: f"mean {g.mean:.2f}, open {g.open:.0%}, shut {g.shut:.0%}" for n, g in look.saturation.items()
        }
        number = numbers[look.step - 1] if look.step else 0
        found.append({"step": look.step, "number": number, "seen": seen, "said": said})
    return found


def through(record: Seen) -> list[dict[str, Any]]:
    """Of each layer that was looked at, what one picture shows over time: gates, states, and gradients.

    The gradients, as places among the states, are its own and those of layers that nobody looked at, which
    are there to be compared with.
    """
    gates = dict.fromkeys(n for look in record.looks for n in look.gates)
    states = dict.fromkeys(n for look in record.looks for n in look.states)
    holders = dict.fromkeys(n.rpartition(".")[0] for n in (*gates, *states))
    found: list[dict[str, Any]] = []
    for holder in holders:
        own = {n: k for k, n in enumerate(record.norm) if n.rpartition(".")[0] == holder}
        beside = {n: k for k, n in enumerate(record.norm) if n.rpartition(".")[0] not in holders}
        found.append(
            {
                "layer": holder,
                "gates": [n for n in gates if n.rpartition(".")[0] == holder],
                "states": [n for n in states if n.rpartition(".")[0] == holder],
                "gradients": [*own.values(), *beside.values()],
            }
        )
    return found


def _numbers(values: Tensor) -> list[float | None]:
    """Numbers for JSON, to four figures; None for what is no number."""
    return [float(f"{x:.4g}") if math.isfinite(x) else None for x in values.tolist()]


__all__ = ["UNITS", "embedded", "through"]
