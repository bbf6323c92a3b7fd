"""``chalkgrad trace``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chalkgrad.cli import app

C7 = "y[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] where x: input"
VALUES = '{"x": [[3, 3, 2], [0, 0, 1], [3, 1, 2]], "w": [[0, 1, 2], [2, 2, 0], [0, 1, 2]]}'


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["trace", *args])


WRONG = {
    ("rnn",): "a trace needs numbers: x, W_x, W_h, b",
    ("lstn", "--random"): "did you mean lstm",
    ("rnn", "--random", "--size", "D=two"): "a size is a whole number",
    ("rnn", "--random", "--size", "D"): "a name, `=` and a value",
    ("rnn", "--random", "--size", "Q=2"): "no size and no name `Q`",
    ("rnn", "--random", "--steps", "0"): "at least one step",
    ("rnn", "--random", "--digits", "99"): "1 to 17 digits",
    ("rnn", "--values", "nothing.json"): "there is no file nothing.json",
    ("rnn", "--random", "--json", "no/such/folder.json"): "cannot be written",
    ("rnn", "--random", "--steps", "9999999"): "too long to follow",
}


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_wrong_input_is_explained_and_ends_with_code_2(command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert WRONG[command] in result.stderr
    assert "help: " in result.stderr
    assert not result.stdout


def test_the_worked_example_of_a_convolution_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text(VALUES)
    result = run(C7, "--values", str(path))
    assert result.exit_code == 0
    assert "y[0,0] = 0·3 + 1·3 + 2·2 + 2·0 + 2·0 + 0·1 + 0·3 + 1·1 + 2·2 = 12" in result.stdout


def test_sizes_and_steps_are_followed() -> None:
    result = run("rnn", "--random", "--size", "D=2", "H=4", "--steps", "2")
    assert result.stdout.startswith("── given (T=2, D=2, H=4) ─")
    assert "backward, t = 2" in result.stdout


def test_all_numbers_are_written_to_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    path.write_text("what was there before")
    result = run("rnn", "--random", "--json", str(path))
    assert result.stdout.endswith(f"all numbers: {path}\n")
    assert set(json.loads(path.read_text())) == {"equations", "sizes", "values", "gradients", "lines"}
    assert [p.name for p in tmp_path.iterdir()] == ["all.json"]


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert run("gru", "--random").stdout == run("gru", "--random").stdout
    assert run("gru", "--random").stdout != run("gru", "--random", "--seed", "1").stdout


def test_what_is_probably_not_meant_is_said_beside_it() -> None:
    result = run("h[t] = tanh(x[t] W)\ng[t] = σ(x[t] U)\ny[t] = h[t] V\nwhere y: output", "--random")
    assert result.exit_code == 0
    assert "warning: " in result.stderr
