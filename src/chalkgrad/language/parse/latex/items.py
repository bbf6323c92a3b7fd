"""Units → items: names with what stands below and above them, fractions, roots, signs, breaks."""

from __future__ import annotations

from dataclasses import replace

from chalkgrad.language.parse.cursor import DEEPEST
from chalkgrad.language.parse.latex import commands
from chalkgrad.language.parse.latex.tree import (
    Bare,
    Break,
    Digits,
    Fraction,
    Item,
    Matrix,
    Name,
    Root,
    Scripted,
    Sign,
)
from chalkgrad.language.parse.latex.units import Unit
from chalkgrad.language.source import EquationError, Span


def items(source: str, units: list[Unit]) -> tuple[Item, ...]:
    """What the units say. Raises EquationError for braces and scripts that do not fit."""
    return _Items(source, units).all()


class _Items:
    def __init__(self, source: str, units: list[Unit]) -> None:
        self.source, self.units, self.at = source, units, 0
        self.depth = 0
        self.rows = 0  # how many environments are open

    def fail(self, problem: str, span: Span, note: str, help: str) -> EquationError:
        return EquationError(problem, self.source, ((span, note),), help)

    def all(self) -> tuple[Item, ...]:
        found: list[Item] = []
        while self.at < len(self.units):
            self.one(found)
        return tuple(found)

    def sees(self, kind: str, text: str = "") -> bool:
        if self.at >= len(self.units):
            return False
        unit = self.units[self.at]
        return unit.kind == kind and (not text or unit.text == text)

    def take(self) -> Unit:
        self.at += 1
        return self.units[self.at - 1]

    def skip_lines(self) -> None:
        while self.sees("break", "line"):
            self.at += 1

    # --- one item after the other ----------------------------------------------------------------------

    def one(self, found: list[Item]) -> None:
        """Read what stands next, and add it; scripts go to what stands before them."""
        unit = self.take()
        match unit.kind:
            case "letter" | "word":
                found.append(Name(unit.text, unit.span, unit.kind == "word", unit.gap))
            case "number":
                found.append(Digits(unit.text, unit.span, unit.gap))
            case "sign":
                found.append(Sign(unit.text, unit.span, unit.gap))
            case "prime" if not found:
                found.append(Sign("′", unit.span))  # ^{\prime(t)}
            case "sub" | "sup" | "prime":
                self.at -= 1
                self.scripts(found)
            case "open":
                self.at -= 1
                found += self.grouped(self.group(), unit)
            case "break":
                self.break_(unit, found)
            case "command":
                self.command(unit, found)
            case "close":
                raise self.fail(
                    "the brace `}` closes nothing", unit.span, "no brace is open here", "remove it"
                )

    def break_(self, unit: Unit, found: list[Item]) -> None:
        if unit.text == "begin rows":
            self.rows += 1
            found.append(Break("row", unit.span))
        elif unit.text == "end rows":
            self.rows = max(0, self.rows - 1)
            found.append(Break("row", unit.span))
        elif unit.text != "line" or not self.rows:
            found.append(Break(unit.text, unit.span))  # pyright: ignore[reportArgumentType]

    def group(self) -> tuple[Item, ...]:
        """What stands in braces; lines do not count in there."""
        opened = self.take()
        self.deeper(opened.span)
        found: list[Item] = []
        while not self.sees("close"):
            if self.at >= len(self.units):
                raise self.fail(
                    "the brace `{` is not closed", opened.span, "opened here", "add the missing `}`"
                )
            if self.sees("break", "line"):
                self.at += 1
            else:
                self.one(found)
        self.at += 1
        self.depth -= 1
        return tuple(found)

    def deeper(self, span: Span) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail(
                f"braces nest deeper than {DEEPEST}",
                span,
                "too deep here",
                "give the inner part a name and an equation of its own",
            )

    def grouped(self, inside: tuple[Item, ...], opened: Unit) -> list[Item]:
        """``{a b}`` is a b; with a script behind it, (a b)."""
        if len(inside) > 1 and (self.sees("sub") or self.sees("sup")):
            end = self.units[self.at - 1].span
            return [Sign("(", opened.span, True), *inside, Sign(")", end)]
        return list(inside)

    def argument(self, after: Unit) -> tuple[Item, ...]:
        """The argument of a command: a group, or the one unit that follows."""
        self.skip_lines()
        if self.sees("open"):
            return self.group()
        if after.kind == "command" and self.sees("number") and self.units[self.at].text.isdigit():
            return (self.digit(),)
        if self.at >= len(self.units) or self.sees("break") or self.sees("close"):
            raise self.fail(
                "this command stands without its argument",
                after.span,
                "its braces are missing",
                "write {…} after it",
            )
        found: list[Item] = []
        self.deeper(after.span)
        self.one(found)
        self.depth -= 1
        return tuple(found)

    def digit(self) -> Digits:
        """The next digit alone: the 1 of \\frac12."""
        unit = self.units[self.at]
        first = Span(unit.span.start, unit.span.start + 1)
        if len(unit.text) > 1:
            rest = Span(first.end, unit.span.end)
            self.units[self.at] = replace(unit, text=unit.text[1:], span=rest, gap=False)
        else:
            self.at += 1
        return Digits(unit.text[0], first, unit.gap)

    # --- commands --------------------------------------------------------------------------------------

    def command(self, unit: Unit, found: list[Item]) -> None:
        name = unit.text
        if name in commands.FONTS:
            if self.sees("open"):
                inside = self.group()
                found += [_blackboard(i) for i in inside] if name == "mathbb" else inside
        elif name in commands.ACCENTS:
            self.accent(unit, found)
        elif name in commands.BRACES:
            found += self.argument(unit)
            if self.sees("sub" if name == "underbrace" else "sup"):
                self.argument(self.take())  # what the brace says
        elif name == "frac":
            above = self.argument(unit)
            below = self.argument(unit)
            found.append(Fraction(above, below, self.since(unit)))
        elif name == "sqrt":
            degree: list[Item] = []
            if self.sees("sign", "["):
                self.at += 1
                self.deeper(unit.span)
                while not self.sees("sign", "]"):
                    if self.at >= len(self.units):
                        raise self.fail(
                            "the bracket `[` is not closed", unit.span, "of this root", "add the missing `]`"
                        )
                    self.one(degree)
                self.at += 1
                self.depth -= 1
            found.append(Root(self.argument(unit), tuple(degree), self.since(unit)))
        elif name == "begin matrix":
            found.append(self.matrix(unit))
        else:
            raise self.fail(
                "this matrix is not opened", unit.span, "closed here", "write \\begin{bmatrix} first"
            )

    def since(self, unit: Unit) -> Span:
        return unit.span.to(self.units[self.at - 1].span)

    def accent(self, unit: Unit, found: list[Item]) -> None:
        inside = self.argument(unit)
        suffix = commands.ACCENTS[unit.text]
        if not inside or not isinstance(inside[0], Name | Scripted):
            raise self.fail(
                f"`\\{unit.text}` stands over no letter",
                self.since(unit),
                "here",
                "an accent belongs to a name",
            )
        first, *rest = inside
        base = first.base if isinstance(first, Scripted) else first
        if rest or not isinstance(base, Name):
            raise self.fail(
                f"`\\{unit.text}` stands over more than one letter",
                self.since(unit),
                "here",
                "an accent belongs to one name: give what it stands over a name and an equation of its own",
            )
        named = replace(base, text=f"{base.text}_{suffix}", span=self.since(unit), word=True)
        found.append(named if isinstance(first, Name) else replace(first, base=named))

    def matrix(self, unit: Unit) -> Matrix:
        self.deeper(unit.span)
        rows: list[list[tuple[Item, ...]]] = [[]]
        entry: list[Item] = []
        while not self.sees("command", "end matrix"):
            if self.at >= len(self.units):
                raise self.fail(
                    "this matrix is not closed", unit.span, "opened here", "write \\end{bmatrix} after it"
                )
            if self.sees("break", "row"):
                self.at += 1
                rows[-1].append(tuple(entry))
                rows.append([])
                entry = []
            elif self.sees("break"):
                self.at += 1
            elif entry and self.units[self.at].gap and not _joins(entry[-1], self.units[self.at]):
                rows[-1].append(tuple(entry))
                entry = []
            else:
                self.one(entry)
        self.at += 1
        self.depth -= 1
        rows[-1].append(tuple(entry))
        kept = tuple(tuple(e for e in row if e) for row in rows)
        return Matrix(tuple(row for row in kept if row), self.since(unit))

    # --- scripts ---------------------------------------------------------------------------------------

    def scripts(self, found: list[Item]) -> None:
        first = self.units[self.at]
        if not found or isinstance(found[-1], Break):
            raise self.fail(
                "a script stands below or above nothing", first.span, "here", "write a name before it"
            )
        base = self.base(found)
        sub, sup = (base.sub, base.sup) if isinstance(base, Scripted) else (None, None)
        bare = base.base if isinstance(base, Scripted) else base
        while self.sees("sub") or self.sees("sup") or self.sees("prime"):
            mark = self.take()
            if mark.kind == "prime":
                bare = self.primed(bare, mark)
                continue
            inside = self.argument(mark)
            while mark.kind == "sup" and inside and inside[0] == Sign("′", inside[0].span):
                bare, inside = self.primed(bare, mark), inside[1:]
            if (sub if mark.kind == "sub" else sup) is not None:
                raise self.fail(
                    f"two {mark.kind}erscripts stand at one name"
                    if mark.kind == "sup"
                    else "two subscripts stand at one name",
                    self.since(mark),
                    "the second one",
                    "write them as one, in braces: h_{t,i}"
                    if mark.kind == "sub"
                    else "write (h^{(t)})^2, or W_a^{(1)}",
                )
            if mark.kind == "sub":
                sub = inside or None
            else:
                sup = inside or None
        span = base.span.to(self.units[self.at - 1].span)
        if sub is None and sup is None and isinstance(bare, Name):
            found.append(replace(bare, span=span))
        else:
            found.append(Scripted(bare, sub, sup, span, base.gap))

    def base(self, found: list[Item]) -> Bare | Scripted:
        """What a script stands at, taken off; ``[W]_{ij}`` is W_{ij}."""
        opened, name, closed = (None, None, None) if len(found) < 3 else found[-3:]
        before = found[-4] if len(found) > 3 else None
        around = (
            isinstance(opened, Sign)
            and isinstance(closed, Sign)
            and opened.text + closed.text in ("[]", "()")
        )
        applied = isinstance(before, Name) and before.word
        if around and not applied and self.sees("sub") and isinstance(name, Name | Scripted):
            del found[-3:]
            return name
        base = found.pop()
        assert not isinstance(base, Break)
        return base

    def primed(self, base: Bare, mark: Unit) -> Bare:
        """y' is a name of its own."""
        if not isinstance(base, Name):
            raise self.fail("a prime belongs to a name", mark.span, "here", "write it at a letter: y', W'")
        return replace(base, text=base.text + "'")


def _blackboard(item: Item) -> Item:
    r"""``\mathbb{Z}`` is the set of whole numbers, ``\mathbb{R}`` of the real ones."""
    if isinstance(item, Name) and item.text in ("Z", "R", "N"):
        return Sign({"Z": "ℤ", "R": "ℝ", "N": "ℕ"}[item.text], item.span, item.gap)
    return item


def _joins(before: Item, unit: Unit) -> bool:
    """Whether a unit goes on with the entry of a matrix: its sign has just been read."""
    return (isinstance(before, Sign) and before.text in "+-") or unit.kind in ("sub", "sup", "prime")
