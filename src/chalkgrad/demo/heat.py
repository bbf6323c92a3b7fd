"""The pictures of scene 2: a kernel at each of its places, what it does, sizes, and the two gradients.

``python -m chalkgrad.demo 2 --pictures docs/pictures`` draws those of the documentation.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

import chalkgrad
from chalkgrad.demo.convolution import EQUATION, KERNEL, PICTURE, steps
from chalkgrad.demo.filters import BLUR, EDGE, SHARPEN, SIZES, jump, maps
from chalkgrad.demo.shades import shirt
from chalkgrad.equations.walk import reads
from chalkgrad.files import write

INK, MARK = "#1f2328", "#d9480f"
MONO = {"family": "DejaVu Sans Mono", "color": INK}
ROW = 12
"""The row of the shirt that is drawn as a curve."""


def draw(folder: Path) -> list[Path]:
    """Write all pictures as PNG to a folder, which is made if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Path] = []
    for picture in (places, effects, sizes, gradients):
        content = io.BytesIO()
        picture().savefig(
            content, format="png", dpi=130, facecolor="white", metadata={"Software": "chalkgrad"}
        )
        found.append(folder / f"kernel_{picture.__name__}.png")
        write(found[-1], content.getvalue())
    return found


def places() -> Figure:
    """The kernel at each place of the worked example, its products and their sum."""
    figure = Figure(figsize=(10, 8.2), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(3.4, 1))
    left, right = halves
    panels = left.subplots(3, 3)
    w = torch.tensor(KERNEL, dtype=torch.float32)
    for k, line in enumerate(steps()):
        i, j = divmod(k, 3)
        axes = panels[i, j]
        numbers(axes, torch.tensor(PICTURE), cmap="Blues", most=6)
        frame(axes, i, j, 3, 3)
        for p in range(3):
            for q in range(3):
                axes.text(
                    j + q + 0.42,
                    i + p + 0.42,
                    f"·{w[p, q]:.0f}",
                    ha="right",
                    va="bottom",
                    fontsize=6.5,
                    color=MARK,
                )
        name, _, rest = line.partition(" = ")
        products, _, value = rest.rpartition(" = ")
        axes.set_title(f"{name} = {value}", fontsize=11, **MONO)
        terms = products.split(" + ")
        rows = [" + ".join(terms[a : a + 3]) for a in (0, 3, 6)]
        axes.set_xlabel("\n+ ".join(rows), fontsize=8, **MONO)
    left.suptitle(EQUATION.partition(" where")[0], fontsize=12, **MONO)
    upper, lower = right.subplots(2, 1)
    numbers(upper, w, cmap="Oranges", most=6)
    upper.set_title("w", fontsize=11, **MONO)
    y = chalkgrad.trace(EQUATION, {"x": PICTURE, "w": KERNEL}).values["y"]
    numbers(lower, y, cmap="Greens", most=40)
    lower.set_title("y", fontsize=11, **MONO)
    return figure


def effects() -> Figure:
    """A picture as three kernels see it, and one of its rows before and after."""
    x = shirt()
    kernels = {"blurred": BLUR, "sharpened": SHARPEN, "upright edges": EDGE}
    seen = maps(x, *kernels.values())
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    panels = figure.subplots(3, 4, height_ratios=(1, 2, 1.2))
    x = x[1:-1, 1:-1]  # the places that the maps have too
    panels[0, 0].axis("off")
    images = zip(("the picture", *kernels), (x, *seen), strict=True)
    for k, (name, image) in enumerate(images):
        if k:
            kernel = torch.tensor(list(kernels.values())[k - 1])
            parts = 16 if name == "blurred" else 1
            numbers(panels[0, k], kernel * parts, cmap="RdBu_r", most=10)
            if parts > 1:
                panels[0, k].set_xlabel(f"all divided by {parts}", fontsize=8, color=INK)
        axes = panels[1, k]
        signed = name == "upright edges"
        most = image.abs().max().item() if signed else 255
        axes.imshow(
            image.numpy(), cmap="PuOr_r" if signed else "gray", vmin=-most if signed else 0, vmax=most
        )
        axes.axhline(ROW, color=MARK, linewidth=1)
        axes.set_title(name, fontsize=11, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        curve = panels[2, k]
        curve.axhline(0, color="#adb5bd", linewidth=0.6)
        if k:
            curve.plot(x[ROW].numpy(), color="#868e96", linewidth=1, linestyle=":")
        curve.plot(image[ROW].numpy(), color=MARK, linewidth=1.5)
        curve.set_ylim(-820, 1060)
        curve.set_title("the row that is marked", fontsize=8, color=INK)
        curve.set_xlabel(f"from pixel to pixel, on average: {jump(image):.0f}", fontsize=8, color=INK)
        curve.tick_params(labelsize=7)
        if k:
            curve.set_yticklabels([])
    return figure


def sizes() -> Figure:
    """Which places of x (below) each place of y (above) reads; what is read outside is 0."""
    n, width = 8, 3
    figure = Figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(len(SIZES), 1)
    for axes, (name, page) in zip(panels, SIZES.items(), strict=True):
        net = chalkgrad.layer(page, P=width)
        equation = net.program.equations[-1]
        (read,) = [r for r in reads(equation.value) if r.name == "x"]
        where = read.at[0]
        count = net(torch.zeros(n)).shape[0]
        seen = [[where_is(where, i=i, p=p) for p in range(width)] for i in range(count)]
        for at in range(min(min(seen)), max(max(seen)) + 1) if seen else ():
            square(axes, at, 0, dashed=not 0 <= at < n)
        for at in range(n):
            square(axes, at, 0)
        for i, row in enumerate(seen):
            middle = sum(row) / width
            square(axes, middle, 2, colour="#d3f9d8")
            for at in row:
                marked = i == count // 2
                axes.plot(
                    [middle, at],
                    [2 - 0.42, 0.42],
                    color=MARK if marked else "#ced4da",
                    linewidth=2 if marked else 1,
                    zorder=2 if marked else 1,
                )
        size = net.program["y"].ranges[0].size
        axes.text(n + 1.2, 1.6, page.partition(" where")[0], fontsize=11, **MONO)
        axes.text(n + 1.2, 0.85, f"{name}: {size} places", fontsize=10, color=INK)
        axes.text(n + 1.2, 0.1, f"N = {n}, P = {width}: {count}", fontsize=10, color=INK)
        axes.set_xlim(-2, n + 7)
        axes.set_ylim(-0.6, 2.6)
        axes.set_aspect("equal")
        axes.axis("off")
    return figure


def gradients() -> Figure:
    """What comes back to x and to w: two convolutions, of the worked example and of a real picture."""
    figure = Figure(figsize=(10, 9.4), layout="constrained")
    rows: Any = figure.subfigures(3, 1, height_ratios=(1.15, 1, 1.15))
    y = chalkgrad.trace(EQUATION, {"x": PICTURE, "w": KERNEL}).values["y"]
    arrives = y - 12  # of the loss ½ Σ (y - 12)²
    found = chalkgrad.trace(EQUATION, {"x": PICTURE, "w": KERNEL, "∂y": arrives.tolist()}).gradients
    derived = str(chalkgrad.derive(EQUATION)).splitlines()
    padded = torch.nn.functional.pad(arrives, (2, 2, 2, 2))
    turned = torch.tensor(KERNEL).flip(0, 1)
    for row, line, parts in (
        (rows[0], derived[0], {"∂y, zero outside": padded, "w, turned": turned, "∂x": found["x"]}),
        (rows[1], derived[1], {"x": torch.tensor(PICTURE), "∂y": arrives, "∂w": found["w"]}),
    ):
        row.suptitle(line, fontsize=12, **MONO)
        panels = row.subplots(1, 3)
        for axes, sign, (name, values) in zip(panels, ("★", "=", ""), parts.items(), strict=True):
            numbers(axes, values.float(), cmap="RdBu_r")
            axes.set_title(name, fontsize=11, **MONO)
            if values is padded:
                frame(axes, 2, 2, 3, 3)
            axes.text(
                1.12, 0.5, sign, transform=axes.transAxes, fontsize=18, ha="center", va="center", color=INK
            )
    x = shirt() / 255
    blur, edge = maps(x, BLUR, EDGE)
    away = blur - edge
    page = EQUATION
    back = chalkgrad.trace(page, {"x": x.tolist(), "w": BLUR, "∂y": away.tolist()}).gradients
    row = rows[2]
    row.suptitle(
        "A blur that is to find edges: L = ½ Σ (y - edges)², so ∂y = y - edges", fontsize=11, color=INK
    )
    panels = row.subplots(1, 4)
    for axes, (name, values) in zip(
        panels, {"x": x, "∂y": away, "∂x": back["x"], "∂w": back["w"]}.items(), strict=True
    ):
        if name == "∂w":
            numbers(axes, values.float(), cmap="RdBu_r")
        else:
            most = values.abs().max().item()
            axes.imshow(
                values.numpy(),
                cmap="gray" if name == "x" else "RdBu_r",
                vmin=0 if name == "x" else -most,
                vmax=most,
            )
            axes.set_xticks([])
            axes.set_yticks([])
        axes.set_title(f"{name}  {values.shape[0]}×{values.shape[1]}", fontsize=11, **MONO)
    return figure


def where_is(index: Any, **axes: int) -> int:
    """An index of the equation at a place: 2i+p-1 at i=1, p=0 is 1."""
    return sum(number * axes[axis] for axis, number in index.terms) + index.shift.const


def numbers(axes: Any, values: Tensor, cmap: str, most: float | None = None) -> None:
    """A heat map with its numbers in it; white is nothing."""
    most = most or float(values.abs().max()) or 1.0
    low = -most if cmap == "RdBu_r" else 0
    axes.imshow(values.numpy(), cmap=cmap, vmin=low, vmax=most)
    for i, row in enumerate(values.tolist()):
        for j, x in enumerate(row):
            light = abs(x) > 0.6 * most
            axes.text(j, i, f"{x:.0f}", ha="center", va="center", fontsize=9, color="white" if light else INK)
    axes.set_xticks([])
    axes.set_yticks([])


def frame(axes: Any, i: int, j: int, high: int, wide: int) -> None:
    """A frame around a part of a heat map."""
    axes.add_patch(
        Rectangle((j - 0.5, i - 0.5), wide, high, fill=False, edgecolor=MARK, linewidth=2.5, clip_on=False)
    )


def square(axes: Any, x: float, y: float, colour: str = "#d0ebff", dashed: bool = False) -> None:
    """A place of a sequence."""
    axes.add_patch(
        Rectangle(
            (x - 0.42, y - 0.42),
            0.84,
            0.84,
            facecolor="white" if dashed else colour,
            edgecolor=INK,
            linestyle=":" if dashed else "-",
            zorder=3,
        )
    )
    axes.text(x, y, "0" if dashed else "", ha="center", va="center", fontsize=9, color=INK, zorder=4)


__all__ = ["draw"]
