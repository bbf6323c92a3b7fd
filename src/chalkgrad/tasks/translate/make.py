"""The messages that come with the package, made from what ``chalkgrad data fetch typescript`` brought.

``python -m chalkgrad.tasks.translate.make [FOLDER]`` writes ``messages/messages.tsv.xz``, the licence beside
it: a line of languages, then a line for each message, its number and its text in every language.
"""

from __future__ import annotations

import json
import lzma
import re
import sys
import unicodedata
from pathlib import Path

from chalkgrad.files import write_atomically
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.sets import TYPESCRIPT

MESSAGES = Path(__file__).parent / "messages" / "messages.tsv.xz"

DIAGNOSTIC = re.compile(
    r'diag\(\s*(\d+),\s*\d+ /\* \w+ \*/,\s*"(?P<key>(?:[^"\\]|\\.)+)",\s*(?P<text>"(?:[^"\\]|\\.)*")'
)
"""A message as the compiler has it: its number, its kind, its key in the translations, its English text."""


def english(source: str) -> dict[str, tuple[int, str]]:
    """The messages in the compiler's text, by key: number and English.

    >>> english('a: diag(1003, 1 /* Error */, "Identifier_expected_1003", "Identifier expected."),')
    {'Identifier_expected_1003': (1003, 'Identifier expected.')}
    """
    return {m["key"]: (int(m[1]), json.loads(m["text"])) for m in DIAGNOSTIC.finditer(source)}


def table(folder: Path) -> str:
    """The messages that are there in every language, ordered by number, as tab-separated lines.

    Blanks are single ones and letters composed (NFC); ``{0}`` stays where it is.
    """
    messages = english((folder / "_tsc.js").read_text(encoding="utf-8"))
    translated = {
        path.stem: json.loads(path.read_text(encoding="utf-8-sig"))
        for path in sorted(folder.glob("*.json"))
        if path.name != "manifest.json"
    }
    keys = [k for k in messages if all(k in texts for texts in translated.values())]
    lines = ["\t".join(("number", "en", *translated))]
    for key in sorted(keys, key=lambda k: messages[k]):
        number, text = messages[key]
        texts = (text, *(texts[key] for texts in translated.values()))
        lines.append(
            "\t".join((str(number), *(unicodedata.normalize("NFC", " ".join(t.split())) for t in texts)))
        )
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    try:
        content = table(folder).encode()
        licence = (folder / "LICENSE.txt").read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read {folder}: run `chalkgrad data fetch typescript` ({error})") from None
    write_atomically(MESSAGES, lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    write_atomically(MESSAGES.with_name("LICENSE"), licence)
    print(f"{MESSAGES}: {len(content.splitlines()) - 1} messages, {MESSAGES.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else TYPESCRIPT.home)
