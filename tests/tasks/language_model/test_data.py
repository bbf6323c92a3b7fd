"""Texts, vocabularies and streams."""

from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.data import Streams, plays, read, split
from chalkgrad.tasks.tokens import Characters


def test_the_split_is_by_position_and_loses_nothing() -> None:
    text = "".join(chr(0x4E00 + i) for i in range(1000))
    training, validation = split(text, 0.05)
    assert training + validation == text
    assert len(validation) == 50


def test_even_a_short_text_keeps_something_to_measure_on() -> None:
    assert split("abc", 0.01) == ("ab", "c")


def test_the_shipped_plays_are_a_megabyte_of_whole_plays_without_boilerplate() -> None:
    assert "hamlet" in [play.stem for play in plays()]
    text = read(plays())
    assert len(text) > 1_000_000
    assert "Gutenberg" not in text
    assert "\r" not in text


def test_line_ends_and_the_byte_order_mark_do_not_become_characters(tmp_path: Path) -> None:
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert read([file]) == "one\ntwo\n"


def test_several_files_are_read_one_after_another(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name * 3)
    assert read([tmp_path / "a", str(tmp_path / "b")]) == "aaabbb"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read .*No such file"),
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xc7\xd1", "is not UTF-8"),
    ],
)
def test_a_text_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "text.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TaskError, match=says) as caught:
        read([file])
    assert "text.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_not_a_text(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot read"):
        read([tmp_path])


def test_streams_predict_every_character_from_the_one_before_it() -> None:
    text = "abcdefghij"
    vocabulary = Characters.of(text + "\n")
    streams = Streams.of(text, vocabulary, batch=2)
    assert [vocabulary.decode(row) for row in streams.inputs.tolist()] == ["\nabcd", "efghi"]
    assert [vocabulary.decode(row) for row in streams.targets.tolist()] == ["abcde", "fghij"]


def test_chunks_laid_side_by_side_are_the_streams() -> None:
    text = "abcdefghijklmno"
    streams = Streams.of(text, Characters.of(text), batch=2)
    inputs, targets = zip(*streams.chunks(3), strict=True)
    assert [chunk.shape[1] for chunk in inputs] == [3, 3, 1]
    assert torch.equal(torch.cat(inputs, 1), streams.inputs)
    assert torch.equal(torch.cat(targets, 1), streams.targets)
