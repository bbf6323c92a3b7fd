"""Characters in, integers out: reading texts, the vocabulary, and streams of chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError

UNKNOWN = 0
# What stands before the first character of any text: the model has then something to read first, and every
# character of the text is predicted.
BEFORE = "\n"


def plays() -> list[Path]:
    """The plays that come with the package: about 1.16 million characters of Shakespeare, public domain.

    >>> [play.stem for play in plays()][:3]
    ['hamlet', 'julius_caesar', 'lear']
    """
    return sorted((Path(__file__).parent / "plays").glob("*.txt"))


def read(paths: Sequence[Path | str]) -> str:
    """The texts of UTF-8 files one after another, line ends as ``\\n``.

    Raises :class:`TaskError` for a file that cannot be read, is not UTF-8 or is empty.
    """
    texts: list[str] = []
    for path in paths:
        try:
            # utf-8-sig drops the byte order mark that some editors put first.
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise TaskError(
                f"{path} is not UTF-8 text (byte {error.start}): convert it first, "
                f"for example with `iconv -f CP949 -t UTF-8`"
            ) from None
        except OSError as error:
            raise TaskError(f"cannot read {path}: {error.strerror or error}") from None
        if not text.strip():
            raise TaskError(f"{path} is empty")
        texts.append(text)
    return "".join(texts)


def split(text: str, validation: float) -> tuple[str, str]:
    """The text cut by position: its first part to train on, its last to measure on.

    >>> split("abcdefghij", 0.2)
    ('abcdefgh', 'ij')
    """
    cut = len(text) - max(1, round(len(text) * validation))
    return text[:cut], text[cut:]


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, in order; index 0 stands for every other one.

    >>> v = Vocabulary.of("hello")
    >>> v.encode("hole!").tolist(), v.decode([2, 4, 0])
    ([2, 4, 3, 1, 0], 'ho�')
    """

    characters: str

    @staticmethod
    def of(text: str) -> Vocabulary:
        return Vocabulary("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters) + 1

    @cached_property
    def index(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, start=1)}

    def encode(self, text: str) -> Tensor:
        """(length,) integers."""
        return torch.tensor([self.index.get(character, UNKNOWN) for character in text], dtype=torch.long)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.characters[i - 1] if i != UNKNOWN else "�" for i in ids)

    def unknown(self, text: str) -> list[str]:
        """The characters of the text that the model does not know, each occurrence."""
        return [character for character in text if character not in self.index]


@dataclass(frozen=True)
class Streams:
    """A text as ``batch`` streams side by side: each row reads on where it stopped a chunk ago.

    ``inputs`` and ``targets`` are (batch, length); a target is the character after its input. Characters
    that do not fill a last column are left out (fewer than ``batch``).
    """

    inputs: Tensor
    targets: Tensor

    @staticmethod
    def of(text: str, vocabulary: Vocabulary, batch: int) -> Streams:
        ids = vocabulary.encode(BEFORE + text)
        length = len(text) // batch
        used = batch * length
        return Streams(ids[:used].view(batch, length), ids[1 : used + 1].view(batch, length))

    @property
    def length(self) -> int:
        return self.inputs.shape[1]

    def chunk(self, position: int, size: int) -> tuple[Tensor, Tensor]:
        """The next ``size`` columns (fewer at the end): two tensors (batch, ≤ size)."""
        return self.inputs[:, position : position + size], self.targets[:, position : position + size]

    def chunks(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for position in range(0, self.length, size):
            yield self.chunk(position, size)


__all__ = ["BEFORE", "UNKNOWN", "Streams", "Vocabulary", "plays", "read", "split"]
