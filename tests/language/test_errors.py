"""What is said of wrong input: every text is pinned, and nothing but an EquationError ever comes out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES

from chalkgrad.language.source import EquationError

GOLDEN = Path(__file__).parents[1] / "golden" / "errors"


def report(name: str) -> str:
    with pytest.raises(EquationError) as caught:
        CASES[name].run()
    return f"{CASES[name]}\n{caught.value}\n"


def golden(name: str) -> Path:
    return GOLDEN / f"{name.replace(' ', '_')}.txt"


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_is_pinned(name: str, request: pytest.FixtureRequest) -> None:
    said = report(name)
    if request.config.getoption("--update-golden"):
        golden(name).write_text(said, encoding="utf-8")
    assert golden(name).read_text(encoding="utf-8") == said


def test_every_pinned_text_has_its_case() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {golden(n).name for n in CASES}


@pytest.mark.parametrize("name", CASES)
def test_every_error_proposes_something(name: str) -> None:
    assert "\nhelp: " in report(name)


def test_the_page_on_errors_shows_what_is_said() -> None:
    page = (GOLDEN.parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    pinned = {
        p.read_text(encoding="utf-8").partition("\n---")[2].partition("\n")[2] for p in GOLDEN.iterdir()
    }
    assert len(shown) >= 10
    assert set(shown) <= pinned
