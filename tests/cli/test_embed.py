"""``chalkgrad embed`` as it is typed."""

from pathlib import Path

from typer.testing import CliRunner, Result

from chalkgrad.cli import app

TEXT = "The cat saw the small dog. Rain and cold wind came down. " * 40


def run(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_vectors_are_learned_shown_and_start_a_model(tmp_path: Path) -> None:
    text, vec = tmp_path / "text.txt", tmp_path / "words.vec"
    text.write_text(TEXT)
    made = run("embed", "train", "--text", text, "--out", vec, "--width", "8", "--epochs", "5")
    assert f"{vec}: 11 words of 8 numbers" in made.stdout
    with vec.open("a") as file:
        file.write("half 1 2\n")
    shown = run("embed", "neighbours", vec, "cat", "rain", "--count", "3")
    assert shown.exit_code == 0
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["cat", "rain"]
    assert len(rows) == 3
    assert "1 line was skipped (line 13: it is not a word and 8 numbers)" in shown.stderr
    small = ("--cell", "rnn", "--hidden", "8", "--batch", "2", "--steps", "2", "--truncate", "5")
    out = tmp_path / "out"
    begun = run("lm", "train", "--text", text, "--tokens", "words", "--embeddings", vec, *small, "--out", out)
    assert begun.exit_code == 0, begun.output


def test_a_mistake_is_one_line_and_code_two(tmp_path: Path) -> None:
    for words, says in (
        (("embed", "neighbours", tmp_path / "no.vec", "cat"), "error: cannot read"),
        (("embed", "train", "--text", tmp_path / "no.txt"), "error: cannot read"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert result.stderr.startswith(says)
        assert result.stderr.count("\n") == 1
