"""What is said of wrong input: every text is pinned, and nothing but an EquationError ever comes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.language.cases import CASES
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.language.source import EquationError

GOLDEN = Path(__file__).parents[1] / "golden" / "errors"


def error(name: str) -> str:
    with pytest.raises(EquationError) as caught:
        CASES[name].run()
    return f"{caught.value}\n"


def report(name: str) -> str:
    return f"{CASES[name]}\n{error(name)}"


def golden(name: str) -> str:
    return f"{name.replace(' ', '_')}.txt"


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_is_pinned(name: str, pinned: Callable[[str, str], None]) -> None:
    pinned(f"errors/{golden(name)}", report(name))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.keywords and c.call is None])
def test_the_command_line_says_the_same_and_ends_with_code_2(name: str) -> None:
    # Whether parameters have their sizes is asked when a layer is made, not when it is derived or checked.
    result = CliRunner().invoke(app, ["check", "--", CASES[name].text])
    if "is not fixed" in error(name):
        assert result.exit_code == 0
    else:
        assert (result.exit_code, result.stderr) == (2, error(name))


def test_every_pinned_text_has_its_case() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {golden(n) for n in CASES}


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
