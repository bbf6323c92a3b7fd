"""Fonts for words in pictures: found by the characters that they have."""

import io
from pathlib import Path
from typing import Any

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph

from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.fonts import families, lettering

RARE = "\U00105555"  # a character for private use: no font that anybody has installed holds it


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    manager: Any = extra("matplotlib.font_manager", "matplotlib").fontManager
    monkeypatch.setattr(manager, "ttflist", list(manager.ttflist))
    return tmp_path / "chalkgrad" / "korean-font"


def font(path: Path, characters: str) -> None:
    """A font whose characters are all empty."""
    names = [".notdef", *(f"u{ord(c):x}" for c in characters)]
    made = FontBuilder(1000)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({ord(c): name for c, name in zip(characters, names[1:], strict=True)})
    made.setupGlyf(dict.fromkeys(names, Glyph()))
    made.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    made.setupHorizontalHeader()
    made.setupNameTable({"familyName": "Tiny", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(path)


def test_what_the_own_font_has_needs_no_other() -> None:
    assert families(["a café", "σ(x) → y"]) == (["DejaVu Sans"], "")


def test_a_character_that_no_font_has_is_said() -> None:
    family, note = families(["ab", RARE])
    assert family == ["DejaVu Sans"]
    assert note == f"no font on this machine has {RARE}, which is drawn as boxes: install one"


def test_the_fetched_font_is_taken_where_it_has_what_is_lacking(home: Path) -> None:
    font(home / "NanumGothic.ttf", RARE)
    assert families(["ab", RARE]) == (["DejaVu Sans", "Tiny"], "")
    family, note = families([RARE, "\U00105556"])
    assert family == ["DejaVu Sans", "Tiny"]
    assert "\U00105556" in note
    assert RARE not in note


def test_for_korean_the_note_says_how_to_bring_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    manager: Any = extra("matplotlib.font_manager", "matplotlib").fontManager
    monkeypatch.setattr(manager, "ttflist", [f for f in manager.ttflist if f.name == "DejaVu Sans"])
    assert "`chalkgrad data fetch korean-font`" in families(["뛰는 사람"])[1]


def test_a_picture_with_boxes_is_drawn_without_a_warning() -> None:
    figure = extra("matplotlib.figure", "matplotlib").Figure(figsize=(1, 1))
    with lettering([RARE]) as note:
        figure.text(0.5, 0.5, RARE)
        figure.savefig(io.BytesIO(), format="png")
    assert "drawn as boxes" in note
