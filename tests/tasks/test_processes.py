"""Two processes that train one model come to what one comes to, and go on with what one has begun."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chalkgrad.tasks import sequence
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.processes import Alone, sharable

TEXT = "In winter, when the fields are white, I sing this song for your delight.\n" * 12

PROGRAM = """
import sys
from chalkgrad.tasks.language_model import Config, train
from chalkgrad.tasks.processes import together

if __name__ == "__main__":
    count, steps, text, out = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5]
    config = Config(
        text=(text,), cell="lstm", hidden=8, batch=4, steps=steps, truncate=7, evaluate_every=10
    )
    train(config, out, group=together(count), resume="resume" in sys.argv)
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "song.txt").write_text(TEXT)
    return [sys.executable, str(tmp_path / "program.py")]


def run(program: list[str], count: int, steps: int, out: Path, *words: str) -> list[dict[str, float]]:
    text = out.parent / "song.txt"
    done = subprocess.run(
        [*program, str(count), str(steps), str(text), str(out), *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def close(a: list[dict[str, float]], b: list[dict[str, float]]) -> bool:
    return len(a) == len(b) and all(
        x[k] == pytest.approx(y[k], rel=1e-5) for x, y in zip(a, b, strict=True) for k in x
    )


class Three(Alone):
    """The first of three processes."""

    count = 3


def test_a_batch_that_processes_cannot_share_is_named(tmp_path: Path) -> None:
    sharable(3, "pairs", Three())
    sharable(4, "pairs", Three())
    sharable(6, "streams", Three(), equally=True)
    with pytest.raises(TaskError, match="a batch of 2 pairs cannot be shared by 3 processes: change batch"):
        sharable(2, "pairs", Three())
    with pytest.raises(TaskError, match="a batch of 4 streams cannot be shared equally by 3 processes"):
        sharable(4, "streams", Three(), equally=True)
    with pytest.raises(TaskError, match="a batch of 2 sequences cannot be shared by 3 processes"):
        sequence.train(sequence.Config(batch=2), tmp_path / "out", group=Three())
    assert not (tmp_path / "out").exists()


def test_two_processes_lose_what_one_loses(program: list[str], tmp_path: Path) -> None:
    alone = run(program, 1, 10, tmp_path / "alone")
    assert close(run(program, 2, 10, tmp_path / "two"), alone)


@pytest.mark.slow
def test_one_process_goes_on_with_what_two_have_begun(program: list[str], tmp_path: Path) -> None:
    alone = run(program, 1, 20, tmp_path / "alone")
    assert close(run(program, 2, 10, tmp_path / "two"), alone[:1])
    assert close(run(program, 1, 20, tmp_path / "two", "resume"), alone)


@pytest.mark.slow
def test_torchrun_starts_the_processes_where_it_is_used(program: list[str], tmp_path: Path) -> None:
    alone = run(program, 1, 10, tmp_path / "alone")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", program[1]]
    assert close(run(torchrun, 1, 10, tmp_path / "two"), alone)


TAGGER = """
import sys
from pathlib import Path
from chalkgrad.tasks import labels
from chalkgrad.tasks.processes import together

if __name__ == "__main__":
    count, steps, data, out = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5]
    config = labels.Config("tag", data, steps=steps, batch=5, dropout=0.0)
    found = labels.load("tag", data)
    start = labels.fresh(found.training, "gru", 6, both=True)
    done = labels.train(config, start, found, out, group=together(count))
    assert done.finished
"""


@pytest.mark.slow
def test_a_tagger_of_two_processes_loses_what_one_loses(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(TAGGER)
    (tmp_path / "song.txt").write_text("the cat sat\tD N V\na dog ran on\tD N V P\n" * 6)
    program = [sys.executable, str(tmp_path / "program.py")]
    alone, two = (run(program, count, 6, tmp_path / str(count)) for count in (1, 2))
    assert close(two, alone)
    tested = [json.loads((tmp_path / name / "test.json").read_text()) for name in ("1", "2")]
    assert tested[0] == tested[1]


@pytest.mark.slow
def test_commands_of_two_processes_speak_once_and_lose_what_one_loses(tmp_path: Path) -> None:
    def chalkgrad(*words: object) -> str:
        command = [sys.executable, "-m", "chalkgrad", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def losses(out: str) -> list[dict[str, float]]:
        return [json.loads(line) for line in (tmp_path / out / "metrics.jsonl").read_text().splitlines()]

    small = ("sequence", "train", "--hidden", 6, "--steps", 6, "--dropout", 0)
    alone = chalkgrad(*small, "--out", "alone")
    two = chalkgrad(*small, "--out", "two", "--devices", 2)
    assert close(losses("two"), losses("alone"))
    assert two.splitlines()[0] == alone.splitlines()[0]
    assert len(two.splitlines()) == len(alone.splitlines())
    (tmp_path / "tagged.tsv").write_text("the cat sat\tD N V\na dog ran on\tD N V P\n" * 6)
    said = chalkgrad("tag", "train", "--data", "tagged.tsv", "--hidden", 4, "--steps", 2, "--devices", 2)
    assert said.count("of 7 words tagged") == said.count("both sides") == 1
