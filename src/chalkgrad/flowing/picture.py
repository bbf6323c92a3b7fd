"""A record as a figure for a paper, drawn with matplotlib (the extra ``report``)."""

from __future__ import annotations

import io
from typing import Any

import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from chalkgrad.flowing.carry import Carry, carried
from chalkgrad.flowing.look import Look
from chalkgrad.flowing.seen import Seen

DECADES = 10
"""How far down colours go from the largest norm."""
DASHES = ("--", ":", "-.", (0, (4, 1.5)), (0, (1, 1)), (0, (6, 2, 1, 2, 1, 2)))


def picture(record: Seen) -> Figure:
    """Every state: its norm over training and time, and by path; below, what was noted, gates and states.

    Raises ValueError for a record that has seen nothing.
    """
    states, paths = carried(record), record.paths
    notes = {name: values for name, values in record.scalars.items() if len(values) > 1}
    look = record.looks[-1] if record.looks else None
    seen = {**look.gates, **look.states} if look else {}
    heights = [5.2] + [2.0] * bool(notes) + [1.9] * bool(seen)
    figure = Figure(figsize=(max(4.2 * len(states), 7.0), sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    above = parts[0].subplots(2, len(states), squeeze=False)
    for k, state in enumerate(states.values()):
        _over_training(above[0, k], state, record.steps)
        _by_path(above[1, k], state, paths[state.name])
    if notes:
        for axes, (name, values) in zip(
            parts[1].subplots(1, len(notes), squeeze=False)[0], notes.items(), strict=True
        ):
            _course(axes, name, values, record.steps)
    if look:
        for axes, (name, values) in zip(
            parts[-1].subplots(1, len(seen), squeeze=False)[0], seen.items(), strict=True
        ):
            _units(axes, name, values, look)
    return figure


def png(figure: Figure, dots: int = 160) -> bytes:
    """A figure as PNG, the same bytes each time."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dots, facecolor="white", metadata={"Software": "chalkgrad"})
    return content.getvalue()


def _over_training(axes: Any, state: Carry, steps: list[int]) -> None:
    norms = state.all
    there = norms[norms.isfinite() & (norms > 0)]
    high = float(there.max()) if len(there) else 1.0
    low = max(float(there.min()), high * 10.0**-DECADES) if len(there) else 0.1
    colours = LogNorm(low, max(high, low * 1.1))
    shown = norms.masked_fill(norms <= 0, float("nan")).clamp_min(low).numpy()
    axes.set_facecolor("#e5e1d8")  # exactly zero, and past the end of a sequence
    axes.imshow(
        shown, norm=colours, cmap="viridis", aspect="auto", interpolation="nearest", extent=_extent(norms)
    )
    bar = axes.figure.colorbar(ScalarMappable(colours, "viridis"), ax=axes, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    axes.set_title(f"‖∂L/∂{state.name}[t]‖", fontsize=10)
    axes.set_ylabel("training step", fontsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda row, _: str(steps[int(row) - 1]) if 1 <= row <= len(steps) else "")
    axes.tick_params(labelsize=7)


def _by_path(axes: Any, state: Carry, paths: dict[str, Tensor]) -> None:
    last = len(state.norms)
    whole = state.norms.nanmean(0)
    axes.plot(
        _positive(whole), color="black", linewidth=2, label="the whole", marker=_dot(whole), markersize=3
    )
    for k, (path, table) in enumerate(paths.items()):
        row = table[-last:].nanmean(0)
        style = {"linestyle": DASHES[k % len(DASHES)], "color": f"C{k % 10}", "linewidth": 1.3}
        axes.plot(_positive(row), label=path, marker=_dot(row), markersize=4, **style)
    axes.set_yscale("log")
    there = whole[whole.isfinite() & (whole > 0)]
    if len(there):
        high = float(there.max())
        axes.set_ylim(max(float(there.min()), high * 10.0 ** -(DECADES + 2)) / 3, high * 3)
    axes.set_xlim(-0.5, state.steps - 0.5)
    axes.set_xlabel("time t", fontsize=8)
    axes.set_title("by path, mean of the last quarter", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False, prop={"family": "DejaVu Sans Mono", "size": 7})


def _course(axes: Any, name: str, values: Tensor, steps: list[int]) -> None:
    axes.plot(
        steps if len(steps) == len(values) else range(1, len(values) + 1),
        values.numpy(),
        color="black",
        linewidth=1,
    )
    there = values[values.isfinite()]
    if len(there) and there.min() > 0 and there.max() > 100 * there.min():
        axes.set_yscale("log")
    axes.set_title("gradient norm" if name == "gradient" else name, fontsize=9)
    axes.set_xlabel("training step", fontsize=8)
    axes.tick_params(labelsize=7)


def _units(axes: Any, name: str, values: Tensor, look: Look) -> None:
    gate = name in look.gates
    most = float(values.nan_to_num().abs().max()) or 1.0
    colours = (
        {"cmap": "viridis", "vmin": 0, "vmax": 1} if gate else {"cmap": "PuOr_r", "vmin": -most, "vmax": most}
    )
    axes.imshow(values.T.numpy(), aspect="auto", interpolation="nearest", **colours)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    said = f", mean {look.saturation[name].mean:.2f}" if gate else ""
    axes.set_title(f"{'gate' if gate else 'state'} {name}{said}", fontsize=8)
    axes.set_xlabel("time t", fontsize=8)
    axes.tick_params(labelsize=6)


def _extent(norms: Tensor) -> tuple[float, float, float, float]:
    n, steps = norms.shape
    return (-0.5, steps - 0.5, n + 0.5, 0.5)


def _positive(row: Tensor) -> Any:
    return torch.where(row > 0, row, float("nan")).numpy()


def _dot(row: Tensor) -> str:
    """A mark where there is only one point, which is no line."""
    return "o" if int((row > 0).sum()) == 1 else ""


__all__ = ["picture", "png"]
