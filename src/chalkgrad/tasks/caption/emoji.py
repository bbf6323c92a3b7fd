"""Emoji and what they are called: the pictures of Noto Color Emoji, the names of Unicode's CLDR.

1,440 of them, of 32×32 pixels, ship with the package (:mod:`chalkgrad.tasks.caption.shipping` made the
files); ``chalkgrad data fetch emoji`` brings all, of 136×128, from which any size can be made.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra
from chalkgrad.tasks.sets import EMOJI

SHIPPED = Path(__file__).parent / "shipped"
PIXELS = 32  # of the pictures that ship
COLUMNS = 40  # of the sheet that they are on
LANGUAGES = ("en", "ko")

TONES = range(0x1F3FB, 0x1F400)
SIGNS = "\u200d\ufe0f\u2640\u2642"  # joiner, emoji style, woman's and man's sign
PEOPLE = {0x1F468: "\U0001f9d1", 0x1F469: "\U0001f9d1"}  # man and woman → person
HELD_OUT = (
    (re.compile(r"\b(?:woman|women)\b"), re.compile(r"medium-dark skin tone")),
    (re.compile(r"\b(?:man|men)\b"), re.compile(r"(?<!-)\blight skin tone")),
)
"""Combinations of words that no training caption has: each word occurs in many, but never both together."""

PARTS = ("training", "pictures", "combinations", "bases")


@dataclass(frozen=True)
class Emoji:
    """A sequence of characters, its names by language, its picture as Pillow has it."""

    characters: str
    names: dict[str, str]
    picture: Any

    @property
    def base(self) -> str:
        """What all its variants have in common: the sequence without skin tones, women and men as persons.

        >>> Emoji("👩🏽‍🚀", {}, None).base == Emoji("👨🏿‍🚀", {}, None).base == "🧑🚀"
        True
        """
        kept = (c for c in self.characters if ord(c) not in TONES and c not in SIGNS)
        return "".join(PEOPLE.get(ord(c), c) for c in kept)

    @property
    def part(self) -> str:
        """What the picture is for: ``training``, or one of three tests.

        ``bases`` holds a tenth of the bases, each with all its variants: most of these captions have words
        that occur in no other, so nothing can get them right. ``combinations`` holds women with medium-dark
        and men with light skin, whatever they do: of both, the training pictures know the one without the
        other. ``pictures`` holds a tenth of the others with a skin tone, and is easy: near relatives of
        theirs are trained on.
        """
        english = self.names["en"]
        if drawn(self.base) < 0.1:
            return "bases"
        if any(one.search(english) and other.search(english) for one, other in HELD_OUT):
            return "combinations"
        return "pictures" if "skin tone" in english and drawn(self.characters) < 0.1 else "training"


def drawn(text: str) -> float:
    """A number in 0…1 that is drawn by the text itself: the same on every machine, whatever else there is."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def shipped() -> list[Emoji]:
    """The emoji that ship. Raises :class:`TaskError` where Pillow is not installed."""
    image = extra("PIL.Image", "Pillow")
    with image.open(SHIPPED / "pictures.png") as file:
        sheet = file.convert("RGB")
    found: list[Emoji] = []
    for number, line in enumerate((SHIPPED / "names.tsv").read_text(encoding="utf-8").splitlines()[1:]):
        characters, *names = line.split("\t")
        x, y = number % COLUMNS * PIXELS, number // COLUMNS * PIXELS
        picture = sheet.crop((x, y, x + PIXELS, y + PIXELS))
        found.append(Emoji(characters, dict(zip(LANGUAGES, names, strict=True)), picture))
    return found


def fetched(
    folder: Path | None = None,
    pixels: int = PIXELS,
    report: Callable[[int, int], object] = lambda _done, _of: None,
) -> list[Emoji]:
    """All emoji that ``chalkgrad data fetch emoji`` brought, of pixels × pixels, on white.

    Raises :class:`TaskError` where they are not there or damaged.
    """
    image = extra("PIL.Image", "Pillow")
    names = {language: cldr(language, folder) for language in LANGUAGES}
    found: list[Emoji] = []
    glyphs = font(EMOJI.file("NotoColorEmoji.ttf", folder))
    for done, (characters, png) in enumerate(glyphs.items(), 1):
        called = {language: of[characters] for language, of in names.items() if characters in of}
        if len(called) == len(LANGUAGES):
            with image.open(io.BytesIO(png)) as file:
                found.append(Emoji(characters, called, square(file.convert("RGBA"), pixels)))
        report(done, len(glyphs))
    return found


def square(picture: Any, pixels: int) -> Any:
    """A picture in the middle of a white square, which is then brought to its size."""
    image = extra("PIL.Image", "Pillow")
    side = max(picture.size)
    paper = image.new("RGBA", (side, side), "white")
    paper.alpha_composite(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return paper.convert("RGB").resize((pixels, pixels), image.Resampling.LANCZOS)


def cldr(language: str, folder: Path | None = None) -> dict[str, str]:
    """The short names of emoji in a language, by their characters without style signs, in form NFC."""
    found: dict[str, str] = {}
    for name, key in ((language, "annotations"), (f"{language}-derived", "annotationsDerived")):
        path = EMOJI.file(f"names/{name}.json", folder)
        try:
            for characters, said in json.loads(path.read_text(encoding="utf-8"))[key]["annotations"].items():
                if "tts" in said:
                    found[plain(characters)] = unicodedata.normalize("NFC", said["tts"][0])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TaskError(f"{path} does not hold CLDR's names: {error}") from None
    return found


def font(path: Path) -> dict[str, bytes]:
    """The pictures of a font, as PNG, by the characters that they stand for, without style signs.

    A character's glyph is in the font's ``cmap``, a sequence's in the ligatures of its ``GSUB``, and the
    pictures in ``CBDT``. Single characters that a keycap is put on are left out.
    """
    library: Any = extra("fontTools.ttLib", "fontTools")
    try:
        opened = library.TTFont(io.BytesIO(path.read_bytes()), lazy=True)
        pictures = opened["CBDT"].strikeData[0]
        glyphs = {chr(code): glyph for code, glyph in opened.getBestCmap().items()}
        characters = {glyph: code for code, glyph in reversed(glyphs.items())}
        for lookup in opened["GSUB"].table.LookupList.Lookup:
            for table in lookup.SubTable:
                for first, ligatures in getattr(table, "ligatures", {}).items():
                    for one in ligatures:
                        parts = [characters.get(glyph) for glyph in (first, *one.Component)]
                        if None not in parts:
                            glyphs.setdefault("".join(filter(None, parts)), one.LigGlyph)
        return {
            plain(sequence): bytes(pictures[glyph].imageData)
            for sequence, glyph in sorted(glyphs.items())
            if glyph in pictures and not (len(sequence) == 1 and sequence < "\xa9")
        }
    except (OSError, KeyError, AttributeError, AssertionError, library.TTLibError) as error:
        raise TaskError(f"{path} is not the font that was fetched: {error}") from None


def plain(characters: str) -> str:
    """A sequence without the signs that ask for a coloured picture."""
    return characters.replace("\ufe0f", "")


__all__ = ["LANGUAGES", "PARTS", "PIXELS", "Emoji", "fetched", "shipped"]
