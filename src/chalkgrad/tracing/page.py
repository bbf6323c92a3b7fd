"""A trace as it is printed: what is given, then every line forward and backward with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

from torch import Tensor

from chalkgrad.equations.formula import Formula, Hadamard, Product, Sum, bracketed
from chalkgrad.tracing.blocks import (
    Block,
    NoBlock,
    Numbers,
    Style,
    array,
    beside,
    block,
    brackets,
    columns,
    padded,
    signed,
    slices,
    wide,
)
from chalkgrad.tracing.elements import MOST_ELEMENTS, Elements
from chalkgrad.tracing.entries import Entry, Ledger

INDENT = "  "

Progress = Callable[[int, int], None]
"""Told how many lines are done, of how many."""


class Sheet:
    """Lays out the entries of a trace in lines of at most ``style.width`` columns, where words allow it."""

    def __init__(self, ledger: Ledger, entries: tuple[Entry, ...], style: Style) -> None:
        self.ledger, self.entries, self.style = ledger, entries, style
        self.computed = ledger.computed
        self.elements = Elements(ledger.system, ledger.values, style)

    def text(self, progress: Progress | None = None) -> str:
        """The whole page."""
        lines = [*self._given()]
        done = 0
        went_back = stepped = False
        timed = any(e.steps for e in self.entries)
        for (backward, steps), group in groupby(self.entries, key=lambda e: (e.backward, e.steps)):
            if backward and not went_back:
                lines += self._seeds()
                went_back, stepped = True, False
            at = "".join(f", {axis} = {n}" for axis, n in steps)
            if timed and not steps:
                at = ", after the steps" if stepped else ", before the steps"
            stepped = stepped or bool(steps)
            lines += ["", self._rule(("backward" if backward else "forward") + at)]
            for e in group:
                lines += self._entry(e)
                done += 1
                if progress is not None:
                    progress(done, len(self.entries))
        lines += self._gradients()
        if any("…" in line or "⋮" in line for line in lines):
            lines.append("")
            lines += self._wrapped(
                "", "… and ⋮ stand for numbers left out here; a JSON file holds them all (--json)."
            )
        return "\n".join(line.rstrip() for line in lines)

    def _rule(self, title: str) -> str:
        return f"── {title} ".ljust(min(self.style.width, 72), "─")

    # --- what is given ---------------------------------------------------------------------------------

    def _given(self) -> Iterator[str]:
        p, start = self.computed.resolved.program, self.computed.start
        sizes = ", ".join(f"{s}={n}" for s, n in start.numbers.items() if s.isidentifier())
        yield self._rule("given" + (f" ({sizes})" if sizes else ""))
        drawn = [n.name for n in p.given("input", "parameter") if n.name in start.chosen]
        if drawn:
            yield from self._wrapped(f"{INDENT}drawn at random: ", ", ".join(drawn))
        rows: list[tuple[str, Tensor, str]] = []
        for n in p.given("input", "parameter", "start"):
            remark = "the start" if n.role == "start" else ""
            rows += [(label, x, remark) for label, x in self.ledger.places(n)]
        yield from self._table(rows)

    def _seeds(self) -> Iterator[str]:
        seeds = self.ledger.program.given("seed")
        if not seeds:
            return
        yield ""
        yield self._rule("what arrives from the loss")
        rows: list[tuple[str, Tensor, str]] = []
        for n in seeds:
            places = list(self.ledger.places(n))
            alike = len(places) > 1 and all(bool((x == places[0][1]).all()) for _, x in places)
            every = f"{n.name}[{','.join(n.ranges[k].axis for k in self.ledger.system.timed[n.name])}]"
            rows += (
                [(every, places[0][1], "at every step")] if alike else [(label, x, "") for label, x in places]
            )
        yield from self._table(rows)

    def _gradients(self) -> Iterator[str]:
        p = self.ledger.program
        rows: list[tuple[str, Tensor, str]] = []
        for adjoint in self.computed.adjoints.values():
            if p[adjoint].role == "defined":
                rows += [(label, x, "") for label, x in self.ledger.places(p[adjoint])]
        if rows:
            yield ""
            yield self._rule("the gradients")
            yield from self._table(rows)

    def _table(self, rows: list[tuple[str, Tensor, str]]) -> Iterator[str]:
        wide = max((columns(label) for label, x, _ in rows if x.dim() < 3), default=0)
        for label, x, remark in rows:
            if x.dim() > 2:
                name, _, place = label.rstrip("]").partition("[")
                before = [k for k in place.split(",") if k]
                yield from (INDENT + line for line in slices(name, before, x, self._within((INDENT,))))
                continue
            head = (f"{INDENT}{padded(label, wide)} = ",)
            beyond = (f"   ({remark})" if remark else "",)
            yield from beside(head, array(x, self._within(beside(head, beyond))), beyond)

    def _within(self, head: Block) -> Style:
        return replace(self.style, width=max(20, self.style.width - wide(head)))

    # --- one line --------------------------------------------------------------------------------------

    def _entry(self, e: Entry) -> Iterator[str]:
        sign = "+=" if e.grows else "="
        head = f"{INDENT}{e.shown} {sign} "
        if e.equation != e.shown:  # what is called tanh(c[1]) is tanh(c[1])
            yield from self._wrapped(head, e.equation)
        under = " " * (columns(head) - 2) + "= "
        if len(e.elements) == 1 and e.elements[0][0] == e.shown:
            ((_, value, at),) = e.elements
            number = self.style.number(e.value.item())
            yield from self._wrapped(under, f"{self.elements.written(value, at)} = {number}")
        elif e.elements:
            yield from self._elements(e)
            yield from self._value(e, under)
        else:
            worked = [] if e.worked is None else self._worked(e, under)
            shown = [*worked, *self._value(e, under)]
            if e.equation == e.shown:
                shown[0] = head + shown[0][columns(head) :]
            yield from shown
        if e.grows and e.total is not e.value:
            yield from self._so_far(e)

    def _value(self, e: Entry, under: str) -> Iterator[str]:
        yield from self._array(e, e.value, under)

    def _so_far(self, e: Entry) -> Iterator[str]:
        yield from self._array(e, e.total, f"{INDENT}{e.shown} so far = ")

    def _array(self, e: Entry, x: Tensor, head: str) -> Iterator[str]:
        if x.dim() > 2:
            gap = INDENT * 2
            before = () if e.grows else [n for _, n in e.steps]
            yield from (gap + line for line in slices(e.name, before, x, self._within((gap,))))
        else:
            yield from beside((head,), array(x, self._within((head,))))

    def _worked(self, e: Entry, under: str) -> list[str]:
        """The equation with its numbers: on one line, or a term to a line, or not at all."""
        assert e.worked is not None
        style = replace(self.style, width=self.style.width - columns(under), elementwise=e.closed)
        try:
            found = _stacked(e.worked, "=", e.symbols, style)
        except NoBlock:
            return []
        gap = under[:-2]
        return [line for sign, made in found for line in beside((f"{gap}{sign} ",), made)]

    def _elements(self, e: Entry) -> Iterator[str]:
        """Each element with every product."""
        sign = "+=" if e.grows else "="
        numbers = e.value.reshape(-1).tolist()
        for (shown, value, at), number in zip(e.elements[:MOST_ELEMENTS], numbers, strict=False):
            words, result = self.elements.written(value, at), self.style.number(number)
            whole = words if words == result else f"{words} = {result}"
            yield from self._wrapped(f"{INDENT * 2}{shown} {sign} ", whole)
        if len(e.elements) > MOST_ELEMENTS:
            yield f"{INDENT * 2}and {len(e.elements) - MOST_ELEMENTS} more in the same way"

    def _wrapped(self, head: str, words: str) -> Iterator[str]:
        """Words after a head, broken before + and - where they are too long."""
        line, gap, first = head, " " * columns(head), True
        room = self.style.width - columns(head)
        chunks = words.replace(" + ", "\0+ ").replace(" - ", "\0- ").replace(" = ", "\0= ").split("\0")
        if any(columns(c) > room for c in chunks):
            chunks = words.split(" ")
        for chunk in chunks:
            if not first and columns(line) + 1 + columns(chunk) > self.style.width:
                yield line
                # A result stands under the equals sign of its equation.
                back = 2 if chunk.startswith("= ") and head.endswith("= ") else 0
                line = gap[back:] + chunk
            else:
                line += ("" if first else " ") + chunk
            first = False
        yield line


def _stacked(f: Formula, sign: str, numbers: Numbers, style: Style, deep: int = 0) -> list[tuple[str, Block]]:
    """A formula in numbers that fits the width: whole, or a term or a factor to a line.

    Raises NoBlock where even that is too wide.
    """
    whole = block(f, numbers, style)
    if wide(whole) + 2 * deep <= style.width:
        return [(sign, whole)]
    if isinstance(f, Sum) and not deep:
        parts = [(sign, f.terms[0]), *signed(f.terms[1:])]
        return [line for s, term in parts for line in _stacked(term, s, numbers, style, 1)]
    if isinstance(f, Hadamard | Product) and deep < 2:
        times = "⊙" if isinstance(f, Hadamard) or style.elementwise else "·"
        place = "element" if isinstance(f, Hadamard) else "factor"
        first, *rest = f.factors
        lines = [(sign, block(first, numbers, style))]
        for g in rest:
            made = block(g, numbers, style)
            lines.append(("  " * deep + times, brackets(made) if bracketed(g, place) else made))
        if all(wide(made) + 2 * deep <= style.width for _, made in lines):
            return lines
    raise NoBlock
