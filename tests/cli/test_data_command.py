"""``chalkgrad data`` as it is typed."""

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
from click.testing import Result
from tests.tasks.classify.made_clothes import clothes, deb
from typer.testing import CliRunner

from chalkgrad.cli import app
from chalkgrad.tasks import sets


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Tiny files in the place of Fashion-MNIST's, as a package, and a data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    files = clothes()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    packages = (dataclasses.replace(sets.FASHION_MNIST.packages[0], files=sums),)
    monkeypatch.setitem(
        sets.SETS, "fashion-mnist", dataclasses.replace(sets.FASHION_MNIST, packages=packages)
    )
    (tmp_path / "set.deb").write_bytes(deb(files))
    return tmp_path / "set.deb"


def here(name: str) -> str:
    line = re.search(rf"^ ?{name} +[\d.]+ +(\w+)", typed("data", "list").stdout, re.MULTILINE)
    assert line
    return line[1]


def test_fetching_says_where_it_put_what_it_brought_and_the_list_shows_it(package: Path) -> None:
    assert here("fashion-mnist") == "no"
    folder = package.parent / "chalkgrad" / "fashion-mnist"
    words = ("data", "fetch", "fashion-mnist", "--from", package)
    assert typed(*words).stdout == f"{folder}: brought\n"
    assert typed(*words).stdout == f"{folder}: there already, and whole\n"
    assert here("fashion-mnist") == "yes"
    assert here("emoji") == "no"
    assert typed(*words, "--out", package.parent / "there").stdout == f"{package.parent / 'there'}: brought\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("mnist",), "there is no data set 'mnist' to fetch: fashion-mnist, emoji"),
        (("fashion-mnist", "--from", "nowhere.deb"), "cannot read nowhere.deb"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_a_line_and_leaves_nothing(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    result = typed("data", "fetch", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
