"""A layer computed by hand: every intermediate value, forward and backward, step by step."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from chalkgrad.equations.ir import Program
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.nn.claims import hold_claims
from chalkgrad.nn.sizes import Given
from chalkgrad.tracing.blocks import Style
from chalkgrad.tracing.computed import Computed, compute
from chalkgrad.tracing.entries import Entry, Ledger
from chalkgrad.tracing.given import given
from chalkgrad.tracing.page import Progress, Sheet
from chalkgrad.tracing.terms import MARK
from chalkgrad.tracing.values import load
from chalkgrad.zoo import source_of


class Trace:
    """The outcome of :func:`trace`: ``str()`` is the page to follow, ``values`` the numbers behind it."""

    def __init__(self, computed: Computed, style: Style) -> None:
        self._computed, self._style = computed, style
        self._ledger = Ledger(computed)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of each size symbol."""
        return dict(self._computed.start.numbers)

    @property
    def program(self) -> Program:
        """The equations in index form, about one example."""
        return self._computed.resolved.program

    @property
    def given(self) -> dict[str, Tensor]:
        """What the trace began with, axes as the program has them; seeds are in ``values``."""
        return dict(self._computed.start.tensors)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably not meant, such as a definition that reaches no output."""
        return self._computed.resolved.warnings

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """A float64 tensor for every name, axes as written, states without their start (h₀ has that)."""
        c, p = self._computed, self._ledger.program
        names = [n for n in p.names if not n.name.startswith(MARK)]
        return {
            n.name: self._ledger.at(n.name, c.system.own(n.of if n.role == "seed" else n.name), {})
            for n in names
        }

    @cached_property
    def gradients(self) -> dict[str, Tensor]:
        """The gradient of each input, parameter and start, by its name."""
        return {name: self.values[adjoint] for name, adjoint in self._computed.adjoints.items()}

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every line in the order of the page."""
        return tuple(self._ledger.entries())

    def text(self, width: int = 80, progress: Progress | None = None) -> str:
        """The page, at most so many columns wide; ``progress`` is told (done, total) in lines."""
        style = Style(self._style.digits, width)
        return Sheet(self._ledger, self.entries, style).text(progress)

    def __str__(self) -> str:
        return self.text(self._style.width)

    __repr__ = __str__

    def json(self) -> str:
        """All numbers, unrounded: ``sizes``, ``values`` by name, ``gradients``, and ``lines`` in order.

        What is not a finite number, the logarithm of a negative one, is null.
        """
        lines: list[dict[str, Any]] = []
        for e in self.entries:
            line: dict[str, Any] = {
                "pass": "backward" if e.backward else "forward",
                "steps": dict(e.steps),
                "name": e.name,
                "shown": e.shown,
                "equation": e.equation,
                "value": _plain(e.value),
            }
            lines.append({**line, "so far": _plain(e.total)} if e.grows else line)
        whole = {
            "equations": self._computed.resolved.source,
            "sizes": self.sizes,
            "values": {n: _plain(x) for n, x in self.values.items()},
            "gradients": {n: _plain(x) for n, x in self.gradients.items()},
            "lines": lines,
        }
        return json.dumps(whole, ensure_ascii=False, indent=1)


def trace(
    what: str | Path,
    values: Mapping[str, Any] | str | Path | None = None,
    *,
    random: bool = False,
    steps: int | None = None,
    digits: int = 4,
    seed: int = 0,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    **sizes: Given,
) -> Trace:
    """Every intermediate value of one example, forward and backward, step by step, in float64.

    ``values`` holds a number, lists or a tensor by name (or is a JSON file): inputs and parameters; ``h0``
    for a start other than zero; ``ȳ`` for what arrives from the loss, one where it is not given. With
    ``random``, what is missing is drawn, ``steps`` long. Raises EquationError.

    >>> found = trace("y[i] = Σ[j] V[j] x[i+j] where x: input", {"x": [1, 2, 0], "V": [3, -1]})
    >>> found.values["y"].tolist(), found.gradients["V"].tolist()
    ([1.0, 6.0], [3.0, 2.0])
    >>> print("\\n".join(str(found).splitlines()[5:8]))
      y[i] = Σ[j] V[j] x[i+j]
        y[0] = 3·1 + (-1)·2 = 1
        y[1] = 3·2 + (-1)·0 = 6
    """
    if not 1 <= digits <= 17:
        raise EquationError(f"--digits {digits}: a number has 1 to 17 digits", help="--digits 4")
    counts = {n: k for n, k in sizes.items() if isinstance(k, int)}
    resolved = read(source_of(what), inputs, functions, counts)
    sizes = {n: k for n, k in sizes.items() if n not in resolved.axes}
    if values is None and not random:
        needed = [n.name for n in resolved.program.given("input", "parameter")]
        raise EquationError(
            "a trace needs numbers: " + ", ".join(needed),
            help="--values FILE.json with a list for each, or --random",
        )
    hold_claims(resolved)
    found = load(values) if isinstance(values, str | Path) else dict(values or {})
    computed = compute(resolved, given(resolved, found, sizes, steps, random, seed))
    if computed.start.chosen and not all(bool(x.isfinite().all()) for x in computed.values.values()):
        computed = compute(resolved, given(resolved, found, sizes, steps, random, seed, positive=True))
    return Trace(computed, Style(digits, 80))


def _plain(x: Tensor) -> Any:
    """A number, or lists of numbers, as JSON has them."""

    def finite(v: Any) -> Any:
        if isinstance(v, list):
            return [finite(part) for part in v]
        return v if math.isfinite(v) else None

    return finite(x.tolist())
