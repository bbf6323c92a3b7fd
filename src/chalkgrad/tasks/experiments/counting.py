"""A recurrent network of two numbers counts bits: both are 1, at the foot of a cliff.

With w_rec over 1 the last state grows with its T-th power, and so does the gradient.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss

from chalkgrad.nn.layer import layer
from chalkgrad.tasks.experiments.data import bits
from chalkgrad.tasks.experiments.outcome import Finding, Outcome, Tick, counted, silent
from chalkgrad.tasks.extra import extra

PAGE = "S[k] = X[k] w_x + S[k-1] w_rec\ny = S[T]\nwhere X[k]: scalar, S[k]: scalar"
ACROSS, UP = (-2.0, 3.0), (-2.2, 2.2)
"""What is drawn of the axes of w_x and of w_rec."""


@dataclass(frozen=True)
class Settings:
    """``start`` is w_x and w_rec, up on the cliff."""

    start: tuple[float, float] = (-1.5, 2.0)
    rates: tuple[float, ...] = (1e-7, 1e-5, 1e-3)
    rprop: float = 0.001
    rows: int = 20
    length: int = 10
    steps: int = 500
    seed: int = 1
    grid: int = 201


@dataclass
class Path:
    """Where the two weights went, and how large the first gradient was."""

    places: list[tuple[float, float]] = field(default_factory=list)
    first: float = 0.0
    loss: float = 0.0


def run(settings: Settings = Settings(), tick: Tick = silent) -> Outcome:
    """Plain gradient descent, and Rprop, which looks at signs only; the loss surface as a picture."""
    s = settings
    x, target = bits(s.rows, s.length, Generator().manual_seed(s.seed))
    step = counted(tick, (len(s.rates) + 1) * s.steps + s.rows)
    paths = {f"SGD, {rate:g}": walked(s, x, target, torch.optim.SGD, rate, step) for rate in s.rates}
    ours = walked(s, x, target, torch.optim.Rprop, s.rprop, step)
    paths[f"Rprop, {s.rprop:g}"] = ours
    flat = walked(s, x, target, torch.optim.Rprop, s.rprop, lambda: None, start=(0.5, 0.5), steps=1)
    w_x, w_rec = ours.places[-1]
    lost = [f"{rate:g}" for rate in s.rates if not near(paths[f"SGD, {rate:g}"].places[-1])]
    return Outcome(
        f"A network of two weights learns to count the ones among {s.length} bits",
        "The only solution is w_x = w_rec = 1: each bit once, the sum before it unchanged. With w_rec over 1 "
        "the gradient explodes, and a step along it leaves the surface.",
        ("optimiser, step size", "w_x", "w_rec", "mean squared error"),
        tuple(
            (name, *(f"{w:.3f}" if isfinite(w) else "lost" for w in path.places[-1]), f"{path.loss:.2g}")
            for name, path in paths.items()
        ),
        (
            Finding(f"Rprop finds w_x = {w_x:.3f}, w_rec = {w_rec:.3f}", near((w_x, w_rec))),
            Finding(
                f"the gradient at the start is {ours.first:.1e}, and {flat.first:.0f} at (0.5, 0.5)",
                ours.first > 1e4 * flat.first,
            ),
            Finding(f"SGD does not, with a step size of {' or '.join(lost)}", len(lost) == len(s.rates)),
        ),
        {"counting.png": picture(s, x, target, ours, step)},
    )


def near(place: tuple[float, float]) -> bool:
    """Whether a place is the solution, to a hundredth."""
    return all(abs(w - 1) < 0.01 for w in place)


def walked(
    s: Settings,
    x: Tensor,
    target: Tensor,
    kind: Any,
    rate: float,
    step: Any,
    start: tuple[float, float] | None = None,
    steps: int | None = None,
) -> Path:
    """The way of an optimiser from the start."""
    w_x, w_rec = start or s.start
    net = layer(PAGE, init={"w_x": torch.tensor(w_x), "w_rec": torch.tensor(w_rec)})
    optimizer = kind(net.parameters(), lr=rate)
    given = dict(net.named_parameters())
    path = Path([(w_x, w_rec)])
    for k in range(steps or s.steps):
        loss = mse_loss(net(x)[0], target)
        optimizer.zero_grad()
        loss.backward()
        if k == 0:
            gradients = [p.grad.flatten() for p in given.values() if p.grad is not None]
            path.first = torch.cat(gradients).norm().item()
        optimizer.step()
        path.places.append((given["w_x"].item(), given["w_rec"].item()))
        path.loss = loss.item()
        step()
    return path


def surface(s: Settings, x: Tensor, target: Tensor, step: Any) -> Tensor:
    """The loss at every place of a grid, ``(w_rec, w_x)``: the same page, the weights as its inputs."""
    axes = torch.linspace(*UP, s.grid), torch.linspace(*ACROSS, s.grid)
    w_rec, w_x = (w.flatten() for w in torch.meshgrid(*axes, indexing="ij"))
    net = layer(PAGE + ", w_x: scalar, w_rec: scalar", inputs="X, w_x, w_rec")
    total = torch.zeros(len(w_x))
    for row, count in zip(x, target, strict=True):
        y, _ = net(X=row.expand(len(w_x), -1), w_x=w_x, w_rec=w_rec)
        total += (y - count) ** 2
        step()
    return (total / len(x)).view(s.grid, s.grid)


def picture(s: Settings, x: Tensor, target: Tensor, path: Path, step: Any) -> bytes:
    """The loss surface from above and along w_x = 1, with the way of Rprop, as PNG."""
    loss = surface(s, x, target, step).log10().numpy()
    figure = extra("matplotlib.figure", "matplotlib").Figure(figsize=(9.5, 4.2), layout="constrained")
    above, along = figure.subplots(1, 2, width_ratios=(1.2, 1))
    image = above.imshow(loss, origin="lower", extent=(*ACROSS, *UP), cmap="viridis", aspect="auto")
    figure.colorbar(image, ax=above, label="log₁₀ of the mean squared error")
    way = torch.tensor(path.places).numpy()
    above.plot(way[:, 0], way[:, 1], color="white", linewidth=1.5)
    above.plot(*s.start, "o", color="white", markersize=5)
    above.plot(1, 1, "*", color="#ff922b", markersize=12)
    above.set_xlim(*ACROSS)
    above.set_ylim(*UP)
    above.set_xlabel("w_x")
    above.set_ylabel("w_rec")
    above.set_title("the way of Rprop to (1, 1)", fontsize=10)
    column = round((1 - ACROSS[0]) / (ACROSS[1] - ACROSS[0]) * (s.grid - 1))
    along.plot(torch.linspace(*UP, s.grid).numpy(), 10 ** loss[:, column], color="#d9480f")
    along.set_ylim(0, 200)
    along.set_xlabel("w_rec, where w_x = 1")
    along.set_ylabel("mean squared error")
    along.set_title("the cliff", fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, facecolor="white", metadata={"Software": "chalkgrad"})
    return content.getvalue()


__all__ = ["PAGE", "Settings", "run"]
