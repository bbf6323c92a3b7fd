"""Tables of measurements: a line for each group, Markdown and CSV, written whole or not at all."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from math import exp, log
from pathlib import Path

Row = tuple[str | int | float, ...]
Job = Callable[[], Iterable[Row]]


class MissingError(Exception):
    """Something cannot be measured on this machine: what is missing, and how to get it."""


@dataclass(frozen=True)
class Plan:
    """How much is to be measured: seconds for each pair, and on how many threads."""

    quick: bool
    threads: int
    seconds: float


@dataclass(frozen=True)
class Kind:
    """One kind of measurement, and so one table.

    A row's first ``named`` columns say what was measured; ``figure`` is the column that counts, ``worst``
    which of its values is the worst one, ``unit`` what is said after it. ``left_out`` is what ``--quick``
    does not measure.
    """

    name: str
    says: str
    columns: tuple[str, ...]
    named: int
    figure: str
    unit: str
    worst: Callable[[Iterable[float]], float]
    jobs: Callable[[Plan], list[Job]]
    left_out: str = ""

    def summary(self, rows: Sequence[Row]) -> list[str]:
        """A line for each thing measured: the geometric mean of the figures, and the worst."""
        at = self.columns.index(self.figure)
        found: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            found[", ".join(map(str, row[: self.named]))].append(float(row[at]))
        wide = max(map(len, found), default=0)
        return [
            f"{what:{wide}}  {mean(f):8.3g} {self.unit}, at worst {self.worst(f):.3g}"
            for what, f in found.items()
        ]


def mean(figures: Sequence[float]) -> float:
    """The geometric mean.

    >>> mean([1.0, 4.0])
    2.0
    """
    return exp(sum(map(log, figures)) / len(figures))


def write(kind: Kind, rows: Sequence[Row], notes: Sequence[str], heading: str, folder: Path) -> None:
    """``folder/NAME.md`` and ``folder/NAME.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [all(isinstance(row[k], int | float) for row in rows) for k in range(len(kind.columns))]
    lines = [heading, "", kind.says, ""]
    lines += [f"    {line}" for line in kind.summary(rows)]
    lines += [line for note in notes for line in ("", f"Not measured: {note}")]
    lines += ["", _line(kind.columns), _line(["--:" if number else "---" for number in numbers])]
    lines += [_line([f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]) for row in rows]
    table = StringIO()
    csv.writer(table, lineterminator="\n").writerows([kind.columns, *rows])
    for ending, text in (("md", "\n".join(lines) + "\n"), ("csv", table.getvalue())):
        work = folder / f"{kind.name}.{ending}.new"
        work.write_text(text, encoding="utf-8")
        work.replace(folder / f"{kind.name}.{ending}")


def _line(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"
