"""``with chalkgrad.flow(layer) as record``: gradients through time are watched, and shown in many ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from chalkgrad.drawing.draw import needs_matplotlib
from chalkgrad.flowing.measures import Gate
from chalkgrad.flowing.seen import Seen
from chalkgrad.flowing.verdict import Verdict, verdict
from chalkgrad.language.source import EquationError
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.levels import Level

if TYPE_CHECKING:  # only the figure needs matplotlib
    from matplotlib.figure import Figure

    from chalkgrad.flowing.board import Writer


class Record(Seen):
    """What was seen, as a verdict in words, a page, a picture, or for TensorBoard."""

    def verdict(self, gates: Mapping[str, Gate] | None = None) -> Verdict:
        """What it means, in words, and what to try; see :func:`chalkgrad.flowing.verdict.verdict`.

        ``gates`` is their saturation; where it is left out, that of the last :meth:`look`, if there was one.
        Raises ValueError for a record that has seen nothing.
        """
        return verdict(self, gates)

    def report(self, path: str | Path, title: str = "Gradients through time") -> Path:
        """Write it as one page of HTML that needs nothing else: pictures, verdict, equations, numbers.

        Raises ValueError for a record that has seen nothing, EquationError where it cannot be written.
        """
        from chalkgrad.files import write
        from chalkgrad.flowing.report import page

        write(path, page(self, title))
        return Path(path)

    def tensorboard(self, writer: Writer) -> None:
        """Write it to TensorBoard: scalars by training step, and for every state an image of its log-norms.

        ``writer`` is a ``torch.utils.tensorboard.SummaryWriter``, or whatever has its ``add_scalar`` and
        ``add_image``.
        """
        from chalkgrad.flowing.board import write

        write(self, writer)

    def picture(self) -> Figure:
        """The same for a paper: a figure of matplotlib, that belongs to no window.

        Raises ValueError for a record that has seen nothing, EquationError without matplotlib.
        """
        needs_matplotlib()
        from chalkgrad.flowing.picture import picture

        return picture(self)

    def save(self, path: str | Path) -> Path:
        """Write the figure as .png, or the page as .html, by the ending of the name.

        Raises EquationError for another ending, without matplotlib, and where it cannot be written.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".html":
                return self.report(path)
            case ".png":
                figure = self.picture()
            case _:
                raise EquationError(
                    f"{path}: a record is written as .html or .png",
                    help=f"name it {path.stem or 'flow'}.html",
                )
        from chalkgrad.files import write
        from chalkgrad.flowing.picture import png

        write(path, png(figure))
        return path


@contextmanager
def flow(module: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[Record]:
    """Watch the gradient of every state of a layer, or of all layers in a module, while it trains.

    Each backward pass adds a row to the record. The norms are written out by the backward kernels as they
    run; nothing else is computed, and nothing is kept but them. Within a module of several layers a state is
    called by its layer too: ``encoder.h``, and ``l0.h``, ``l1.h`` in an LSTM of two. A compiled layer
    is called outside of its graph meanwhile. Given the optimizer, each of its steps notes the norm of all
    gradients together, and how far every parameter moved.

    Raises EquationError where there is no recurrence.

    >>> from chalkgrad import layer
    >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
    >>> with flow(net) as record:
    ...     y, state = net(torch.randn(8, 20, 3))
    ...     y[:, -1].square().sum().backward()
    >>> record.norm["h"].shape, list(record.paths["h"])
    (torch.Size([1, 20]), ['h[t+1]', 'loss'])
    """
    layers = {
        (f"{path}." if path else "") + name: of
        for path, m in module.named_modules()
        for name, of in ({"": m} if isinstance(m, Layer) and m.program.states else Level.of(m, path)).items()
    }
    if not layers:
        raise EquationError(
            "there is no recurrence whose gradient could be followed through time",
            help="give a layer whose equations read a state, such as h[t-1], or a module that holds one",
        )
    record, before = Record(), {name: m.watch for name, m in layers.items()}
    hooks = record._follow(module, optimizer) if optimizer is not None else []
    for name, m in layers.items():
        prefix = name if len(layers) > 1 else ""
        record._layers[prefix] = m
        m.watch = record._watch(prefix)
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()
        for name, m in layers.items():
            m.watch = before[name]


__all__ = ["Record", "flow"]
