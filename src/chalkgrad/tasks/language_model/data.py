"""Texts, and the streams of chunks that a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.tokens import Vocabulary

# What stands before the first token of any text: the model has then something to read first, and every token
# of the text is predicted.
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


def encoded(text: str, vocabulary: Vocabulary) -> Tensor:
    """(1 + tokens,) integers: what stands before a text, and the text."""
    return torch.cat([vocabulary.encode(BEFORE)[:1], vocabulary.encode(text)])


@dataclass(frozen=True)
class Streams:
    """A text as ``batch`` streams side by side: each row reads on where it stopped a chunk ago.

    ``inputs`` and ``targets`` are (batch, length); a target is the token after its input. Tokens that do not
    fill a last column are left out (fewer than ``batch``).
    """

    inputs: Tensor
    targets: Tensor

    @staticmethod
    def of(text: str, vocabulary: Vocabulary, batch: int) -> Streams:
        return Streams.side_by_side(encoded(text, vocabulary), batch)

    @staticmethod
    def side_by_side(ids: Tensor, batch: int) -> Streams:
        """The streams of a text's numbers, of which the first is read and not predicted."""
        length = (len(ids) - 1) // batch
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


__all__ = ["BEFORE", "Streams", "encoded", "plays", "read", "split"]
