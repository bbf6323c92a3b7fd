"""Vocabularies: what is written is read again, in every script."""

import json

import pytest

from chalkgrad.tasks import tokens
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.data import plays, read
from chalkgrad.tasks.tokens import UNKNOWN, BytePairs, Characters, Vocabulary, Words, load, made, written

TEXT = "To be, or not to be:\nthat's  the question.\n나랏말싸미 듕귁에 달아\n" * 3
SPECIAL = ("pad", "begin", "end")


def vocabulary(kind: str, special: tuple[str, ...] = ()) -> Vocabulary:
    return made(kind, TEXT, None if kind == "characters" else 330, special)


@pytest.mark.parametrize("special", [(), SPECIAL])
@pytest.mark.parametrize("kind", tokens.KINDS)
def test_what_is_encoded_is_decoded_and_survives_a_file(kind: str, special: tuple[str, ...]) -> None:
    known = vocabulary(kind, special)
    ids = known.ids(TEXT)
    assert known.decode(ids) == TEXT
    assert min(ids) >= known.first == 1 + len(special)
    assert max(ids) < len(known)
    again = load(json.loads(json.dumps(known.dump())))
    assert again == known
    assert again.ids(TEXT) == ids
    assert again.name == kind


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_special_tokens_come_after_the_unknown_one_and_are_not_written(kind: str) -> None:
    known = vocabulary(kind, SPECIAL)
    assert (UNKNOWN, known.pad, known.begin, known.end) == (0, 1, 2, 3)
    assert known.decode([known.begin, *known.ids("To be"), known.end, known.pad]) == "To be"
    assert known.decode([UNKNOWN]) == "�"
    with pytest.raises(KeyError, match="mask"):
        known.id("mask")


@pytest.mark.parametrize("text", ["한글과 漢字, ﷽ 😀👩‍🚀", "\x00 <pad> begin\r\n\t", "각", ""])
def test_byte_pairs_bring_every_text_back(text: str) -> None:
    known = vocabulary("bpe", SPECIAL)
    assert known.decode(known.ids(text)) == text
    assert known.unknown(text) == []
    assert all(i >= known.first for i in known.ids(text))


def test_one_text_has_one_vocabulary_of_byte_pairs_no_larger_than_asked() -> None:
    assert vocabulary("bpe") == vocabulary("bpe")
    assert len(vocabulary("bpe")) <= 330
    assert len(vocabulary("bpe").ids(TEXT)) < len(TEXT) / 2


def test_a_word_that_is_not_known_is_spelled() -> None:
    known = Words.of("to be or not to be", size=1 + 7 + 2)
    assert [known.decode([i]) for i in known.ids("not be to")] == ["n", "o", "t", " be", " ", "t", "o"]
    assert known.unknown("to bé") == ["é"]
    assert known.decode(known.ids("to bé")) == "to b�"


def test_or_it_is_one_unknown_token() -> None:
    known = Words.of("to be or not to be", spell=False)
    assert [known.decode([i]) for i in known.ids("to see or")] == ["to", "�", " or"]
    assert known.unknown("to see or") == [" see"]
    assert load(json.loads(json.dumps(known.dump()))) == known


def test_the_commonest_words_are_kept() -> None:
    known = Words.of("a a a b b c " * 2, size=1 + 4 + 2)
    assert set(known.tokens) == {"a", "b", "c", " ", " a", " b"}


def test_half_a_character_waits_for_its_other_bytes() -> None:
    known = BytePairs.of("abc", size=257)
    ids = known.ids("a각😀")
    assert len(ids) == 1 + 3 + 4
    assert list(written(known, ids)) == ["a", "각", "😀"]
    assert "".join(written(known, ids[:-1])) == "a각�"


def test_a_play_is_a_third_as_many_byte_pairs_as_characters() -> None:
    text = read(plays()[:1])[:60_000]
    assert len(text) / len(made("bpe", text, 1500).ids(text)) > 2.5


@pytest.mark.parametrize(
    ("kind", "size", "says"),
    [
        ("characters", 9, "as many as the text has"),
        ("words", 5, "no room for the"),
        ("bpe", 256, "at least 257 tokens"),
        ("syllables", None, "tokens must be one of characters, words, bpe"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(kind: str, size: int | None, says: str) -> None:
    with pytest.raises(TaskError, match=says):
        made(kind, TEXT, size)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"kind": "runes", "special": []},
        {"kind": "bpe", "special": [], "model": {"what": 1}},
        {"kind": "characters", "special": []},
    ],
)
def test_what_is_no_vocabulary_is_refused(data: object) -> None:
    with pytest.raises(TaskError, match="vocabulary"):
        load(data)


def test_characters_outside_the_vocabulary_are_one_unknown() -> None:
    known = Characters.of("abc")
    assert known.ids("xay") == [0, 1, 0]
    assert known.unknown("xayx") == ["x", "y", "x"]
