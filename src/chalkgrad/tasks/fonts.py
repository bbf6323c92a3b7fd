"""Fonts for words in pictures: matplotlib's own has Latin and Greek, for others one is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.sets import KOREAN_FONT

OWN = "DejaVu Sans"
"""The font that comes with matplotlib."""


def families(texts: Iterable[str]) -> tuple[list[str], str]:
    """The fonts that together have the characters of some texts, and what to say where there is none.

    The names are for matplotlib's ``family``, which takes each character from the first that has it. Of the
    installed fonts, and the one that ``chalkgrad data fetch korean-font`` brings, the one is chosen that has
    most of what matplotlib's own lacks.

    >>> families(["un café", "σ(x)"])
    (['DejaVu Sans'], '')
    """
    manager: Any = extra("matplotlib.font_manager", "matplotlib").fontManager
    characters = {c for text in texts for c in text if not c.isspace()}
    own = next(each.fname for each in manager.ttflist if each.name == OWN)
    lacking = characters - held(own)
    if not lacking:
        return [OWN], ""
    fetched = KOREAN_FONT.home / "NanumGothic.ttf"
    if fetched.is_file() and str(fetched) not in {each.fname for each in manager.ttflist}:
        manager.addfont(fetched)
    fonts = {each.fname: each.name for each in manager.ttflist if "Last Resort" not in each.name}
    found = max(sorted(fonts), key=lambda path: len(lacking & held(path)))
    family = [OWN, fonts[found]] if lacking & held(found) else [OWN]
    if left := sorted(lacking - held(found)):
        korean = any("가" <= c <= "힣" for c in left)
        help = "run `chalkgrad data fetch korean-font`, or install one" if korean else "install one"
        return family, f"no font on this machine has {''.join(left[:8])}, which is drawn as boxes: {help}"
    return family, ""


@cache
def held(path: str) -> frozenset[str]:
    """The characters that a font file has."""
    charmap = extra("matplotlib.ft2font", "matplotlib").FT2Font(path).get_charmap()
    return frozenset(map(chr, charmap))


@contextmanager
def lettering(texts: Iterable[str]) -> Iterator[str]:
    """Pictures drawn inside have the fonts for these texts; what to tell the user is given, or nothing."""
    import warnings

    matplotlib: Any = extra("matplotlib", "matplotlib")
    family, note = families(texts)
    with matplotlib.rc_context({"font.family": family}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # that is what the note says
        yield note


__all__ = ["families", "lettering"]
