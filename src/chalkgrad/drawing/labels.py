"""How large a formula is when it is set, in points."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

SETTINGS: dict[Any, Any] = {
    "mathtext.fontset": "stix",
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    "svg.hashsalt": "chalkgrad",
    "path.simplify": False,
}
"""How pictures are set, whatever the user's own settings are: the same input gives the same file."""


class NoGlyph(Exception):  # noqa: N818  (what it says, not that it is an error)
    """A formula with a letter that the fonts of the picture do not have."""


@lru_cache(maxsize=4096)
def extent(latex: str, size: float) -> tuple[float, float, float]:
    """Width, height above the baseline and depth below it of a formula. Raises NoGlyph."""
    # matplotlib draws a dummy for a letter that it lacks, and says so in its log alone.
    lacking = _Lacking()
    log = logging.getLogger("matplotlib.mathtext")
    log.addFilter(lacking)
    try:
        with rc_context(SETTINGS):
            parsed = MathTextParser("path").parse(f"${latex}$", 72, FontProperties(size=size))
    except ValueError as e:
        raise NoGlyph(latex) from e
    finally:
        log.removeFilter(lacking)
    if lacking.found:
        raise NoGlyph(latex)
    return float(parsed.width), float(parsed.height - parsed.depth), float(parsed.depth)


class _Lacking(logging.Filter):
    """Keeps to itself what matplotlib says of a missing glyph."""

    found = False

    def filter(self, record: logging.LogRecord) -> bool:
        lacks = "does not have a glyph" in record.getMessage()
        self.found = self.found or lacks
        return not lacks


def broken(pieces: tuple[str, ...], size: float, widest: float) -> tuple[str, ...]:
    """Pieces of an equation in lines, as few as fit."""
    lines = [pieces[0]] if pieces else []
    for piece in pieces[1:]:
        longer = f"{lines[-1]} {piece}"
        if extent(longer, size)[0] <= widest:
            lines[-1] = longer
        else:
            lines.append(r"\quad " + piece)
    return tuple(lines)
