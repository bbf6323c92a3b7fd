"""Directories that hold no model, another kind, another version or half of one: all are refused in a line."""

import json
import random
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from chalkgrad.cli import app


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that each command could work on."""
    here = tmp_path_factory.mktemp("files")
    (here / "text.txt").write_text("the cat sat on the mat\n" * 60)
    (here / "labels.tsv").write_text("cat\tthe cat sat\nmat\ton the mat\n" * 5)
    (here / "tagged.tsv").write_text("the cat sat\tD N V\na dog\tD N\n" * 6)
    (here / "series.csv").write_text("id,time,x\n" + "".join(f"a,{t},{t % 4}\n" for t in range(80)))
    (here / "nbest.tsv").write_text("a\t-1\tthe cat sat\na\t-2\tthe mat sat\n")
    (here / "words.vec").write_text("2 3\ncat 1 2 3\nmat 3 2 1\n")
    draw = random.Random(0)
    words = [["".join(draw.choices("abcdefghij", k=6)) for _ in range(8)] for _ in range(60)]
    (here / "pairs.tsv").write_text(
        "".join(f"{' '.join(w[:4])}\t{' '.join(w[4:])}\td{k % 20}\n" for k, w in enumerate(words))
    )
    (here / "pictures").mkdir()
    for k in range(20):
        Image.new("RGB", (16, 16), (k * 10, 255 - k * 10, k * 5)).save(here / "pictures" / f"{k}.png")
    (here / "pictures" / "captions.tsv").write_text(
        "".join(f"{k}.png\ta red {'cat' if k % 2 else 'dog'}\n" for k in range(20))
    )
    return here


USES = {
    "lm score": ("lm", "lm score {dir} --text {here}/text.txt"),
    "lm generate": ("lm", "lm generate {dir}"),
    "lm rescore": ("lm", "lm rescore {dir} --nbest {here}/nbest.tsv --weight 1"),
    "lm finetune": ("lm", "lm finetune {dir} --data {here}/labels.tsv --steps 1 --out {here}/new"),
    "lm train": ("lm", "lm train --resume --out {dir}"),
    "embed compare": ("lm", "embed compare {here}/words.vec cat mat --model {dir}"),
    "tag run": ("tag", "tag run {dir} {here}/text.txt"),
    "sequence run": ("sequence", "sequence run {dir} {here}/series.csv"),
    "sequence train": ("sequence", "sequence train --resume --out {dir}"),
    "translate run": ("translate", "translate run {dir} cat"),
    "translate evaluate": ("translate", "translate evaluate {dir} --data {here}/pairs.tsv"),
    "translate train": ("translate", "translate train --resume --out {dir}"),
    "caption run": ("caption", "caption run {dir} {here}/pictures/0.png"),
    "caption evaluate": ("caption", "caption evaluate {dir} --data {here}/pictures"),
    "caption train": ("caption", "caption train --resume --out {dir}"),
    "classify run": ("classify", "classify run {dir} {here}/pictures/0.png"),
}
"""Each command that reads a model, by the kind that it reads."""


def refused(use: str, directory: Path, place: Path) -> str:
    """What a command says of a directory: in one line, with code 2, and nothing is written."""

    def there() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for folder in (directory, place) for p in folder.rglob("*")}

    before = there()
    result = run(*(word.format(dir=directory, here=place) for word in USES[use][1].split()))
    assert result.exit_code == 2, (result.output, result.exception)
    *notes, said = result.stderr.splitlines()  # how many pictures were read may be noted before
    assert said.startswith("error: ")
    assert len(notes) <= ("caption" in use)
    assert result.stdout == ""
    assert there() == before
    return said


@pytest.mark.parametrize("use", USES)
def test_a_directory_of_another_kind_or_version_is_refused(use: str, place: Path, tmp_path: Path) -> None:
    kind, _ = USES[use]
    assert "holds no model (config.json is missing)" in refused(use, tmp_path, place)
    card = tmp_path / "config.json"
    for other in {own for own, _ in USES.values()} - {kind}:
        card.write_text(json.dumps({"task": other, "format": 1}))
        says = f"holds a model of `chalkgrad {other}`, and one of `chalkgrad {kind}` is needed"
        assert says in refused(use, tmp_path, place)
    card.write_text(json.dumps({"task": kind, "format": 99}))
    assert "is of another version of chalkgrad: its format is 99" in refused(use, tmp_path, place)
    for text in ("", "{", "[]", "{}", json.dumps({"task": kind, "format": 2 if kind == "lm" else 1})):
        card.write_text(text)
        assert "config.json is not the description of a model" in refused(use, tmp_path, place)


TRAININGS = {
    "lm": "lm train --text {here}/text.txt --hidden 4 --batch 4 --steps 1 --truncate 6",
    "tag": "tag train --data {here}/tagged.tsv --hidden 4 --batch 4 --steps 1",
    "sequence": "sequence train --data {here}/series.csv --hidden 4 --steps 1 --horizon 2",
    "translate": "translate train --data {here}/pairs.tsv --source en --target fi --tokens characters "
    "--width 8 --batch 4 --steps 1",
    "caption": "caption train --data {here}/pictures --pixels 16 --epochs 1 --hidden 8 --embedding 8",
}


@pytest.mark.parametrize("kind", TRAININGS)
def test_weights_of_another_size_or_cut_short_are_refused_by_each_command(
    kind: str, place: Path, tmp_path: Path
) -> None:
    words = TRAININGS[kind].format(here=place).split()
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    directory = tmp_path / "out" / "one-side" if kind == "tag" else tmp_path / "out"
    assert json.loads((directory / "config.json").read_text())["task"] == kind
    again = run(*words, "--out", tmp_path / "out")
    assert again.exit_code == 2
    assert "is not empty" in again.stderr
    weights = [file for file in directory.iterdir() if file.suffix in (".pt", ".safetensors")]
    whole = {file: file.read_bytes() for file in weights}
    card = directory / "config.json"
    described = card.read_text()
    size = "embedding" if kind == "caption" else "width" if kind == "translate" else "hidden"
    other = re.sub(rf'("{size}": )(\d+|null)', r"\g<1>20", described)
    assert other != described
    card.write_text(other)
    for use in (use for use, (own, how) in USES.items() if own == kind and "--resume" not in how):
        assert "size mismatch for" in refused(use, directory, place), use
    card.write_text(described)
    for damaged in ("half", "noise", "gone"):
        for file, content in whole.items():
            match damaged:
                case "half":
                    file.write_bytes(content[: len(content) // 2])
                case "noise":
                    file.write_bytes(b"\x00\xff" * 500)
                case _:
                    file.unlink()
        for use in (use for use, (own, _) in USES.items() if own == kind):
            no = "holds no trained (model|weights)"
            says = (
                no if damaged == "gone" else "is not this model's checkpoint|does not hold this net's weights"
            )
            assert re.search(says, refused(use, directory, place)), use
