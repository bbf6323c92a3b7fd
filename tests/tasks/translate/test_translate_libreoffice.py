"""Pairs of LibreOffice: read from pages and from files of words, left out for a reason, fetched and found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.tasks.classify.made_clothes import deb

from chalkgrad.tasks import sets
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.packages import fetch, whole
from chalkgrad.tasks.translate import Config, corpus_of
from chalkgrad.tasks.translate.data import Pair, tsv
from chalkgrad.tasks.translate.libreoffice import catalogue, pages, paired, paragraphs, table, words
from chalkgrad.tasks.translate.located import located

FOLDER = "libreoffice/program/resource/ko/LC_MESSAGES"


def mo(texts: Mapping[str, str], order: str = "<") -> bytes:
    """A file of translated words as msgfmt writes it."""
    keys = sorted(texts)
    raw = [key.encode() for key in keys] + [texts[key].encode() for key in keys]
    tables, text, at = b"", b"", 28 + 8 * len(raw)
    for each in raw:
        tables += struct.pack(f"{order}2I", len(each), at + len(text))
        text += each + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, at)
    return head + tables + text


def page(*paragraphs: str) -> bytes:
    body = "\n".join(f'<p id="par_{n}" dir="auto">{text}</p>' for n, text in enumerate(paragraphs))
    head = '<p id="par_0">not of the text</p>'
    return f'<html><body>{head}<div id="DisplayArea">{body}</div></body></html>'.encode()


@pytest.mark.parametrize("order", "<>")
def test_words_come_with_their_window_and_without_the_letter_that_chooses_them(order: str) -> None:
    content = mo(
        {
            "": "Language: ko\n",
            "savedialog|ok\x04_Save": "저장(_S)",
            "STR_PAGE_NEXT\x04~Next page": "다음 쪽(~N)",
            "STR_PAGE_COUNT\x04%1 page\0%1 pages": "%1쪽",
        },
        order,
    )
    assert catalogue(content, "sw.mo")["STR_PAGE_COUNT", "%1 page"] == "%1쪽"
    assert list(words({"sw.mo": content, "copyright": b""})) == [
        Pair("%1 page", "%1쪽", "sw.mo str_page"),
        Pair("Next page", "다음 쪽", "sw.mo str_page"),
        Pair("Save", "저장", "sw.mo savedialog"),
    ]


@pytest.mark.parametrize(
    ("content", "said"), [(b"not words at all, but text", "is not a file of"), (b"\xde", "is damaged")]
)
def test_a_file_that_holds_no_words_is_named(content: bytes, said: str) -> None:
    with pytest.raises(TaskError, match=rf"sw\.mo {said}"):
        catalogue(content, "sw.mo")


def test_words_cut_anywhere_are_a_clear_error() -> None:
    content = mo({"STR_A\x04Open": "열기", "STR_B\x04Close": "닫기"})
    for length in range(len(content) - 1):
        with pytest.raises(TaskError, match=r"sw\.mo is (damaged|cut off)"):
            catalogue(content[:length], "sw.mo")


def test_paragraphs_of_one_name_are_pairs_and_a_page_is_their_document() -> None:
    kept = {
        "en/a/1.html": page("Open a file.", "Only English."),
        "ko/a/1.html": page("파일을 엽니다."),
        "en/b.html": page("No such page in Korean."),
    }
    told: list[tuple[int, int]] = []
    assert list(pages("ko", kept, lambda *so_far: told.append(so_far))) == [
        Pair("Open a file.", "파일을 엽니다.", "a/1.html")
    ]
    assert told == [(0, 2), (1, 2)]


def test_of_words_for_several_systems_the_default_is_read() -> None:
    choice = (
        '<span class="switchinline"><span hidden="true" id="MAC_1"><i class="emph">Settings</i> x</span>'
        '<span hidden="true" id="default_1"><span class="emph">Options</span></span></span>'
    )
    read = paragraphs(
        page(f"Choose {choice}, or<br>{choice}.", '<img src="x.png" alt="x">A &lt;b&gt; &amp; c')
    )
    assert read == {"par_0": "Choose Options, or Options.", "par_1": "A <b> & c"}


def test_a_paragraph_inside_what_is_hidden_is_read() -> None:
    block = b'<span hidden="true" id="CALC_1"><h2 id="hd_1">Cells</h2></span><p id="par_2">After.</p>'
    assert paragraphs(block) == {"hd_1": "Cells", "par_2": "After."}


def test_what_is_no_pair_is_counted_by_its_fault() -> None:
    decomposed = unicodedata.normalize("NFD", "저장하기")
    kept, skipped = paired(
        [
            Pair("Save  as", decomposed, "a"),
            Pair("Save as", "저장하기", "b"),
            Pair("Save as", "save as…", "a"),
            Pair("A1 + 2", "A1 더하기 2", "a"),
            Pair("", "비어 있음", "a"),
            Pair("word " * 100, "낱말 " * 100, "a"),
            Pair("a sentence that is long " * 4, "글", "a"),
        ]
    )
    assert kept == [Pair("Save as", "저장하기", "a")]
    assert skipped == {
        "the same pair again": 1, "not translated": 1, "no word in it": 1, "empty on one side": 1,
        "longer than 400 characters": 1, "one side far longer": 1,
    }  # fmt: skip


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Tiny packages in the place of LibreOffice's, fetched into a data folder of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    letters = "abcdefghijklmnopqrst"
    english = {f"{n}.html": page(f"Open {n}{n}.", f"Close {n}{n} again.") for n in letters}
    korean = {f"{n}.html": page(f"{n}{n} 열기.", f"Close {n}{n} again.") for n in letters}
    archives = [
        deb(
            {f"libreoffice/help/en-US/text/shared/{name}": content for name, content in english.items()}
            | {"doc/libreoffice-help-en-us/copyright": b"MPL-2.0"}
        ),
        deb({f"libreoffice/help/ko/text/shared/{name}": content for name, content in korean.items()}),
        deb({f"{FOLDER}/sw.mo": mo({"STR_A\x04~Print": "인쇄(~P)"})}),
    ]
    packages = tuple(
        dataclasses.replace(package, sha256=hashlib.sha256(archive).hexdigest())
        for package, archive in zip(sets.LIBREOFFICE_KO.packages, archives, strict=True)
    )
    wanted = dataclasses.replace(sets.LIBREOFFICE_KO, packages=packages)
    monkeypatch.setitem(sets.SETS, "libreoffice-ko", wanted)
    source = tmp_path / "packages"
    source.mkdir()
    for package, archive in zip(packages, archives, strict=True):
        (source / f"{package.name}-7.4.7.deb").write_bytes(archive)
    assert fetch(wanted, source=str(source))
    return wanted.home


def test_a_fetch_makes_pairs_of_the_packages_and_says_what_it_left_out(fetched: Path) -> None:
    assert sorted(path.name for path in fetched.iterdir()) == [
        "copyright", "counts.json", "en-ko.tsv", "ko-en.tsv", "manifest.json",
    ]  # fmt: skip
    assert whole(sets.SETS["libreoffice-ko"])
    lines = (fetched / "en-ko.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["Print\t인쇄\tsw.mo str_a", "Open aa.\taa 열기.\tshared/a.html"]
    assert json.loads((fetched / "counts.json").read_text()) == {
        "pairs": 21,
        "left out": {"not translated": 20},
    }
    (fetched / "en-ko.tsv").write_text("other\tpairs\n")
    assert not whole(sets.SETS["libreoffice-ko"])


def test_a_name_stands_for_its_pairs_in_either_direction(fetched: Path) -> None:
    there = corpus_of(Config(data=("libreoffice-ko",)))
    back = corpus_of(Config(data=("libreoffice-ko",), source="ko", target="en"))
    assert there.digest == tsv([fetched / "en-ko.tsv"]).digest
    assert [p.source for p in back.test] == [p.target for p in there.test]
    parts = [{pair.document for pair in part} for part in (there.train, there.validation, there.test)]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))


@pytest.mark.usefixtures("fetched")
def test_a_language_that_was_not_fetched_is_named() -> None:
    with pytest.raises(TaskError, match="no pairs from en to de, but from en to ko, ko to en"):
        located("libreoffice-ko", "en", "de")


def test_a_data_set_that_is_not_there_says_how_to_bring_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(TaskError, match="run `chalkgrad data fetch libreoffice-de`"):
        located("libreoffice-de", "en", "de")
    assert located("mine.tsv", "en", "de") == Path("mine.tsv")
    assert located("typescript", "en", "de") == Path("typescript")  # messages, and not lines of pairs


def test_nothing_is_made_of_pages_that_nobody_translated() -> None:
    same = page("Open.")
    with pytest.raises(TaskError, match="no pair of English and ko"):
        table("ko", {"en/a.html": same, "ko/a.html": same, "copyright": b""})
