"""Pairs: what is kept, what is left out and counted, and that no document is on both sides."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.translate.data import (
    Numbered,
    Pair,
    buckets,
    clean,
    in_batches,
    messages,
    pairs_in,
    split,
    tsv,
)
from chalkgrad.tasks.translate.make import MESSAGES, english, table


def test_messages_are_there_in_fourteen_languages_and_keep_their_placeholders() -> None:
    corpus = messages("en", "ko")
    every = (*corpus.train, *corpus.validation, *corpus.test)
    assert len(every) > 2000
    assert Pair("Identifier expected.", "식별자가 필요합니다.", "20") in every
    for language in ("cs", "de", "es", "fr", "it", "ja", "pl", "pt-br", "ru", "tr", "zh-cn", "zh-tw"):
        assert len(messages("en", language).train) > 1500
    kept = sum(sorted(set(p.source.split("{")[1:2])) != [] for p in every if "{0}" in p.source)
    both = sum("{0}" in p.target for p in every if "{0}" in p.source)
    assert both >= 0.99 * kept > 500


def test_messages_are_composed_and_hold_no_line_twice() -> None:
    corpus = messages("en", "ko")
    every = (*corpus.train, *corpus.validation, *corpus.test)
    assert all(unicodedata.is_normalized("NFC", text) for pair in every for text in pair)
    assert len({pair[:2] for pair in every}) == len(every)


def test_no_document_is_learned_from_and_tested_on() -> None:
    corpus = messages("en", "de")
    parts = [{pair.document for pair in part} for part in (corpus.train, corpus.validation, corpus.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert min(len(corpus.validation), len(corpus.test)) > 100


@pytest.mark.parametrize(
    ("source", "target", "said"), [("en", "fi", "not in 'fi'"), ("ko", "ko", "nothing to")]
)
def test_languages_that_are_not_there_are_named(source: str, target: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        messages(source, target)


def test_the_licence_and_a_notice_stand_beside_the_messages() -> None:
    assert "Apache License" in MESSAGES.with_name("LICENSE").read_text()
    assert "Microsoft" in MESSAGES.with_name("NOTICE").read_text()
    assert sum(file.stat().st_size for file in MESSAGES.parent.iterdir()) < 600_000


def test_a_sentence_that_differs_in_quoted_words_alone_is_not_tested_on() -> None:
    pairs = [Pair(f"word {chr(97 + n)}", "x", str(n)) for n in range(9)]
    corpus = split(
        [*pairs, Pair("'a' Expected.", "y", "0"), Pair("'b' expected", "y", "9"), Pair("new", "z", "9")]
    )
    assert [p.source for p in corpus.test] == ["new"]
    assert corpus.skipped == {"of the test, almost as learned from": 1}


def test_bad_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    good = [f"word {n} {chr(97 + n)}\tWort {n} {chr(97 + n)}".encode() for n in range(20)]
    bad = [b"one column", b"a\tb\tc\td", b"\xff\xfe\tbytes", b"\tempty", b"long\t" + b"x" * 3000]
    file.write_bytes(b"\xef\xbb\xbf" + b"\n".join([*bad, *good, good[0]]) + b"\n")
    pairs, skipped = pairs_in([file])
    assert pairs[0][:2] == ("word 0 a", "Wort 0 a")
    assert len(pairs) == 21
    assert skipped == {
        "not two columns": 2, "not UTF-8": 1, "empty on one side": 1, "longer than 2000 characters": 1,
    }  # fmt: skip
    assert "the same pair again" in tsv([file]).said()


def test_named_documents_are_kept_together(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    lines = [f"w{chr(97 + n)}\tv{n}\tbook {n % 11}" for n in range(22)]
    file.write_text("\n".join(lines), encoding="utf-8")
    corpus = tsv([file])
    assert [p.document for p in corpus.test] == ["book 9", "book 9"]
    assert [p.document for p in corpus.validation] == ["book 4", "book 4"]


def test_too_few_pairs_and_no_file_are_explained(tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("a\tb\nnothing\n")
    with pytest.raises(TaskError, match=r"too few pairs in .*1 left out: 1 not two columns"):
        tsv([tmp_path / "few.tsv"])
    with pytest.raises(TaskError, match="cannot read"):
        tsv([tmp_path / "none.tsv"])


def test_korean_typed_in_parts_is_composed() -> None:
    decomposed = unicodedata.normalize("NFD", "식별자")
    assert decomposed != "식별자"
    assert clean(f" {decomposed}\u3000x ") == "식별자 x"


def test_batches_hold_every_pair_once_and_are_of_about_one_length() -> None:
    lengths = torch.randint(1, 50, (203,), generator=torch.Generator().manual_seed(0))
    order = torch.randperm(203, generator=torch.Generator().manual_seed(1))
    batches = buckets(lengths, order, 16)
    assert sorted(torch.cat(batches).tolist()) == list(range(203))
    spread = [int(lengths[b].max() - lengths[b].min()) for b in batches]
    assert max(spread) <= 8
    means = [float(lengths[b].float().mean()) for b in batches]
    assert means != sorted(means)  # short and long ones come mixed
    assert [b.tolist() for b in buckets(lengths, order, 16)] == [b.tolist() for b in batches]


def test_a_batch_is_filled_up_with_its_own_padding() -> None:
    pairs = Numbered(((5, 2), (6, 7, 2)), ((1, 8, 2), (1, 2)), (0, 9))
    [(chosen, batch)] = list(in_batches(pairs, 4))
    assert chosen == [1, 0]
    assert batch.source.tolist() == [[6, 7, 2], [5, 2, 0]]
    assert batch.lengths.tolist() == [3, 2]
    assert batch.target.tolist() == [[1, 2, 9], [1, 8, 2]]


COMPILER = """
  A_0: diag(1001, 1 /* Error */, "A_0_1001", "A  '{0}' \\"quoted\\"."),
  B: diag(
    1000,
    3 /* Message */,
    "B_1000",
    "B"
  ),
  C: diag(1002, 1 /* Error */, "C_1002", "Not translated."),
"""


def test_messages_are_made_of_what_was_fetched(tmp_path: Path) -> None:
    (tmp_path / "_tsc.js").write_text(COMPILER, encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}")
    korean = unicodedata.normalize("NFD", "가 '{0}'")
    (tmp_path / "ko.json").write_text(
        f'{{"A_0_1001": "{korean}", "B_1000": "나", "D": "다"}}', encoding="utf-8"
    )
    assert english(COMPILER)["A_0_1001"] == (1001, "A  '{0}' \"quoted\".")
    assert table(tmp_path) == "number\ten\tko\n1000\tB\t나\n1001\tA '{0}' \"quoted\".\t가 '{0}'\n"
