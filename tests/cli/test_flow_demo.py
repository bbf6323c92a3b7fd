"""``chalkgrad flow demo`` as it is typed."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chalkgrad.cli import app, flow
from chalkgrad.tasks import experiments
from chalkgrad.tasks.experiments import Finding, Outcome
from chalkgrad.tasks.experiments.outcome import Tick, silent


def typed(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


OUTCOME = Outcome(
    "A title",
    "A theory.",
    ("name", "number"),
    (("one", "1.0"),),
    (Finding("it is so", True),),
    {"a.png": b"png"},
)


def test_the_names_that_are_offered_are_those_there_are() -> None:
    assert tuple(experiments.EXPERIMENTS) == flow.EXPERIMENTS


def test_a_table_says_what_was_seen() -> None:
    result = typed("flow", "demo", "vanishing")
    assert result.exit_code == 0
    assert "scale of U" in result.stdout
    assert result.stdout.count("seen: ") == 3
    assert "NOT SEEN" not in result.stdout


def test_pictures_are_written_and_what_was_not_seen_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def well(tick: Tick = silent) -> Outcome:
        tick(1, 1)
        return OUTCOME

    def ill(tick: Tick = silent) -> Outcome:
        return replace(OUTCOME, findings=(*OUTCOME.findings, Finding("it is not", False)), pictures={})

    monkeypatch.setitem(experiments.EXPERIMENTS, "counting", well)
    monkeypatch.setitem(experiments.EXPERIMENTS, "adding", ill)
    good = typed("flow", "demo", "counting", "--out", tmp_path / "new")
    assert good.exit_code == 0
    assert (tmp_path / "new" / "a.png").read_bytes() == b"png"
    assert f"See {tmp_path / 'new' / 'a.png'}" in good.stdout
    bad = typed("flow", "demo", "adding", "counting", "--out", tmp_path)
    assert bad.exit_code == 1
    assert "NOT SEEN: it is not" in bad.stdout
    assert bad.stdout.index("it is not") < bad.stdout.rindex("it is so")  # the others are still done


def test_an_experiment_that_is_not_there_is_refused() -> None:
    result = typed("flow", "demo", "vanishing", "cliffs")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: there is no experiment 'cliffs': "
        "vanishing, counting, clipping, truncated, adding, gates, rmsprop\n"
    )
    assert result.stdout == ""
