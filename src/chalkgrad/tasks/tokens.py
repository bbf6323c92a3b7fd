"""Text in, integers out, and back: vocabularies of characters, of words, of pieces found by byte pairs.

Number 0 is the unknown token; the special ones that a task wants (``pad``, ``begin``, ``end``, …) come next,
then what stands for text. A vocabulary is kept as JSON, and nothing in it is executed when it is read.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra

UNKNOWN = 0
"""What stands for all that a vocabulary does not hold."""

REPLACEMENT = "�"
"""What the unknown token is written as, and bytes that are no character yet."""

PIECE = re.compile(r" ?\w+(?:['’-]\w+)*|.", re.DOTALL)
"""A word with the one space before it, or any other single character: end to end they are the text."""


class Vocabulary(ABC):
    """The tokens that a model knows: text → numbers below ``len(vocabulary)`` → text."""

    name: ClassVar[str]
    special: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def ids(self, text: str) -> list[int]:
        """The text's numbers."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of some numbers: special tokens are left out, and the unknown one is ``�``."""

    @abstractmethod
    def unknown(self, text: str) -> list[str]:
        """What in the text became the unknown token, each occurrence."""

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What JSON has to hold besides the kind and the special tokens."""

    @property
    def first(self) -> int:
        """The number of the first token that stands for text."""
        return 1 + len(self.special)

    def encode(self, text: str) -> Tensor:
        """(length,) integers."""
        return torch.tensor(self.ids(text), dtype=torch.long)

    def id(self, special: str) -> int:
        """The number of a special token. Raises KeyError for one that this vocabulary does not have."""
        if special not in self.special:
            raise KeyError(f"this vocabulary has no token `{special}`: its special ones are {self.special}")
        return 1 + self.special.index(special)

    @property
    def pad(self) -> int:
        return self.id("pad")

    @property
    def begin(self) -> int:
        return self.id("begin")

    @property
    def end(self) -> int:
        return self.id("end")

    def dump(self) -> dict[str, Any]:
        """The vocabulary as what JSON holds; :func:`load` reads it."""
        return {"kind": self.name, "special": list(self.special), **self.content()}


@dataclass(frozen=True)
class Listed(Vocabulary):
    """A vocabulary that is a list of its tokens."""

    tokens: tuple[str, ...]
    special: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.first + len(self.tokens)

    @cached_property
    def index(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, start=self.first)}

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(
            self.tokens[i - self.first] if i >= self.first else REPLACEMENT * (i == UNKNOWN) for i in ids
        )

    def content(self) -> dict[str, Any]:
        return {"tokens": list(self.tokens)}


class Characters(Listed):
    """The characters of a text, sorted.

    >>> v = Characters.of("hello")
    >>> v.encode("hole!").tolist(), v.decode([2, 4, 0]), v.unknown("hole!")
    ([2, 4, 3, 1, 0], 'ho�', ['!'])
    """

    name = "characters"

    @staticmethod
    def of(text: str, special: tuple[str, ...] = ()) -> Characters:
        return Characters(tuple(sorted(set(text))), special)

    def ids(self, text: str) -> list[int]:
        return [self.index.get(character, UNKNOWN) for character in text]

    def unknown(self, text: str) -> list[str]:
        return [character for character in text if character not in self.index]


@dataclass(frozen=True)
class Words(Listed):
    """The commonest words of a text, each with the space before it: what is written is read again exactly.

    A word that is not among them is spelled in characters, or, without ``spell``, is one unknown token.

    >>> v = Words.of("to be or not to be", size=24)
    >>> [v.decode([i]) for i in v.ids("to be bent")]
    ['to', ' be', ' ', 'b', 'e', 'n', 't']
    """

    name = "words"
    spell: bool = True

    @staticmethod
    def of(text: str, size: int | None = None, special: tuple[str, ...] = (), *, spell: bool = True) -> Words:
        """The vocabulary of a text, of ``size`` tokens in all (left out: every word that occurs).

        Raises :class:`TaskError` where so few do not even hold the characters that spell the rest.
        """
        counted = Counter(PIECE.findall(text))
        letters = tuple(sorted(set(text))) if spell else ()
        room = len(counted) if size is None else size - 1 - len(special) - len(letters)
        if room < 0:
            raise TaskError(
                f"a vocabulary of {size} has no room for the {len(letters)} characters of the text"
            )
        # Equally common ones in alphabetical order, so that a text has one vocabulary.
        words = sorted(counted.keys() - set(letters), key=lambda word: (-counted[word], word))
        return Words((*letters, *words[:room]), special, spell)

    def ids(self, text: str) -> list[int]:
        found: list[int] = []
        for piece in PIECE.findall(text):
            number = self.index.get(piece)
            if number is not None:
                found.append(number)
            elif self.spell:
                found += [self.index.get(letter, UNKNOWN) for letter in piece]
            else:
                found.append(UNKNOWN)
        return found

    def unknown(self, text: str) -> list[str]:
        parts = (p for p in PIECE.findall(text) if p not in self.index)
        return [p for part in parts for p in (part if self.spell else [part]) if p not in self.index]

    def content(self) -> dict[str, Any]:
        return {**super().content(), "spell": self.spell}


@dataclass(frozen=True)
class BytePairs(Vocabulary):
    """Pieces made by joining the commonest neighbours, from single bytes up (Sennrich, Haddow and Birch,
    "Neural machine translation of rare words with subword units", ACL 2016; bytes as in GPT-2): no text is
    unknown, and each comes back exactly, whatever its script. ``model`` is JSON of the library tokenizers.
    """

    name = "bpe"
    model: str
    special: tuple[str, ...] = ()

    @staticmethod
    def of(texts: str | Iterable[str], size: int, special: tuple[str, ...] = ()) -> BytePairs:
        """The vocabulary of texts, of at most ``size`` tokens: 256 bytes, and what stands side by side often.

        Raises :class:`TaskError` for a size below the bytes' own, and where tokenizers is not installed.
        """
        library: Any = extra("tokenizers", "tokenizers")
        least = 1 + len(special) + 256
        if size < least:
            raise TaskError(f"a vocabulary of byte pairs has at least {least} tokens, not {size}")
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size - 1 - len(special),
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator([texts] if isinstance(texts, str) else texts, trainer)
        return BytePairs(_compact(json.loads(tokenizer.to_str())), special)

    @cached_property
    def tokenizer(self) -> Any:
        return extra("tokenizers", "tokenizers").Tokenizer.from_str(self.model)

    def __len__(self) -> int:
        return self.first + self.tokenizer.get_vocab_size()

    def ids(self, text: str) -> list[int]:
        return [i + self.first for i in self.tokenizer.encode(text).ids]

    def decode(self, ids: Iterable[int]) -> str:
        runs: list[list[int]] = [[]]
        for i in ids:  # what stands around an unknown token is decoded by itself
            if i == UNKNOWN:
                runs.append([])
            elif i >= self.first:
                runs[-1].append(i - self.first)
        return REPLACEMENT.join(self.tokenizer.decode(run) for run in runs)

    def unknown(self, text: str) -> list[str]:
        return []

    def content(self) -> dict[str, Any]:
        return {"model": json.loads(self.model)}


def _compact(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


KINDS = ("characters", "words", "bpe")
"""What ``--tokens`` may say."""

SIZES = {"words": 8192, "bpe": 2048}
"""How many tokens a vocabulary has where nobody says it; characters are as many as there are."""


def made(kind: str, text: str, size: int | None = None, special: tuple[str, ...] = ()) -> Vocabulary:
    """The vocabulary of a text. Raises :class:`TaskError` for a kind or a size that there is not."""
    match kind:
        case "characters":
            if size is not None:
                raise TaskError(
                    "characters are as many as the text has: leave the size of the vocabulary out"
                )
            return Characters.of(text, special)
        case "words":
            return Words.of(text, size or SIZES[kind], special)
        case "bpe":
            return BytePairs.of(text.splitlines(keepends=True), size or SIZES[kind], special)
        case _:
            raise TaskError(f"tokens must be one of {', '.join(KINDS)}, not {kind!r}")


def load(data: Any) -> Vocabulary:
    """What :meth:`Vocabulary.dump` gave, read from JSON. Raises :class:`TaskError` for anything else.

    >>> load(json.loads(json.dumps(Characters.of("abc", ("pad",)).dump()))).pad
    1
    """
    try:
        special = tuple(map(str, data["special"]))
        match data["kind"]:
            case "characters":
                return Characters(tuple(map(str, data["tokens"])), special)
            case "words":
                return Words(tuple(map(str, data["tokens"])), special, bool(data["spell"]))
            case "bpe":
                vocabulary = BytePairs(_compact(data["model"]), special)
                _ = vocabulary.tokenizer  # read now, so that what is wrong with it is said now
                return vocabulary
            case kind:
                raise TaskError(f"a vocabulary of {kind!r} is of another version of chalkgrad")
    except TaskError:
        raise
    except Exception as error:  # tokenizers raises bare Exception for JSON that is no tokenizer
        raise TaskError(f"this is no vocabulary: {error}") from None


def written(vocabulary: Vocabulary, ids: Iterable[int]) -> Iterator[str]:
    """The text of numbers as they come, in whole characters: a character may be several tokens of bytes.

    >>> "|".join(written(Characters.of("abc"), [1, 2, 1]))
    'a|b|a'
    """
    waiting: list[int] = []
    for i in ids:
        waiting.append(i)
        text = vocabulary.decode(waiting)
        if not text.endswith(REPLACEMENT) or i == UNKNOWN or len(waiting) > 4:
            yield text
            waiting.clear()
    if waiting:
        yield vocabulary.decode(waiting)


__all__ = [
    "KINDS",
    "REPLACEMENT",
    "SIZES",
    "UNKNOWN",
    "BytePairs",
    "Characters",
    "Vocabulary",
    "Words",
    "load",
    "made",
    "written",
]
