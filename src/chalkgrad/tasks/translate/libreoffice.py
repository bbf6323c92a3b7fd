"""Pairs from LibreOffice: its help and the words of its windows, in English and in another language.

What ``chalkgrad data fetch libreoffice-ko`` brings is turned into ``en-ko.tsv`` here, and ``ko-en.tsv``: a
line for each pair, its document in the third column.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.translate.data import Pair, clean

LONGEST = 400
"""Characters of a sentence, at most."""

BETWEEN = 6
"""How many times as long as the other a sentence may be; beside it up to ``SHORT`` letters are nothing."""

SHORT = 12

PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})

BODY = '<div id="DisplayArea"'
"""Where the text of a page begins."""

MAGIC = 0x950412DE


Report = Callable[[int, int], object]


def table(
    language: str, kept: Mapping[str, bytes], report: Report = lambda _done, _of: None
) -> dict[str, bytes]:
    """What is written of what was brought: the pairs, how many were left out and why, the licence.

    ``kept`` are pages of help (``en/….html`` and ``ko/….html``), translated words (``….mo``) and
    ``copyright``; ``report`` is told (pages so far, pages in all). Raises :class:`TaskError` where no pair is
    in it.
    """
    pairs, skipped = paired([*words(kept), *pages(language, kept, report)])
    if not pairs:
        raise TaskError(f"there is no pair of English and {language} in what was brought")
    lines = "".join("\t".join(pair) + "\n" for pair in pairs)
    back = "".join(f"{p.target}\t{p.source}\t{p.document}\n" for p in pairs)
    counts = {"pairs": len(pairs), "left out": dict(skipped.most_common())}
    return {
        f"en-{language}.tsv": lines.encode(),
        f"{language}-en.tsv": back.encode(),
        "counts.json": (json.dumps(counts, indent=1) + "\n").encode(),
        "copyright": kept["copyright"],
    }


def paired(found: list[Pair]) -> tuple[list[Pair], Counter[str]]:
    """The pairs that are good to learn from, each once; the others counted by what is wrong with them."""
    kept: dict[tuple[str, str], Pair] = {}
    skipped: Counter[str] = Counter()
    for pair in found:
        pair = Pair(*map(clean, pair))
        wrong = "the same pair again" if pair[:2] in kept else fault(pair)
        if wrong:
            skipped[wrong] += 1
        else:
            kept[pair[:2]] = pair
    return list(kept.values()), skipped


def fault(pair: Pair) -> str:
    """Why a pair is left out; empty where it is not.

    >>> fault(Pair("Ctrl+Tab", "ctrl + tab")), fault(Pair("= 1", "= 2")), fault(Pair("Save as", "저장하기"))
    ('not translated', 'no word in it', '')
    """
    source, target = pair[:2]
    if not source or not target:
        return "empty on one side"
    if letters(source) == letters(target):
        return "not translated"
    if not re.search(r"[^\W\d_]{2}", source) or not re.search(r"[^\W\d_]", target):
        return "no word in it"
    if max(len(source), len(target)) > LONGEST:
        return f"longer than {LONGEST} characters"
    if max(len(source), len(target)) > BETWEEN * min(len(source), len(target)) + SHORT:
        return "one side far longer"
    return ""


def letters(text: str) -> str:
    """A text without capitals, blanks and signs, in which a copy may differ."""
    return re.sub(r"\W+", "", text.casefold())


def words(kept: Mapping[str, bytes]) -> Iterator[Pair]:
    """What stands in windows and menus; a document is a window, or the messages whose names begin alike."""
    for name in sorted(name for name in kept if name.endswith(".mo")):
        for (context, source), target in sorted(catalogue(kept[name], name).items()):
            if context:  # the head of the file has none
                label = "|" in context
                yield Pair(plain(source, label), plain(target, label), f"{name} {window(context)}")


def window(context: str) -> str:
    """The window that a text stands in, or how the names of messages like it begin.

    >>> window("savedialog|extended_tip|ok"), window("extended_tip|SaveDialog"), window("STR_PAGE_UP")
    ('savedialog', 'savedialog', 'str_page')
    """
    parts = [part for part in context.lower().split("|") if part != "extended_tip"]
    return parts[0] if "|" in context else "_".join(parts[0].split("_")[:2])


def plain(text: str, label: bool) -> str:
    """A text without the mark of the letter that chooses it: ``_`` in a window, else ``~``.

    >>> plain("Ima_ge", True), plain("이미지(_G)", True), plain("~Condition", False), plain("a_b", False)
    ('Image', '이미지', 'Condition', 'a_b')
    """
    mark = "_" if label else "~"
    return re.sub(rf"\s*\({mark}\w\)", "", text).replace(mark, "")


def catalogue(content: bytes, name: str) -> dict[tuple[str, str], str]:
    """The texts of a ``.mo`` file by context and English; of plurals the first form.

    The format is in the manual of GNU gettext, "The Format of GNU MO Files". Raises :class:`TaskError`.
    """
    try:
        order = "<" if struct.unpack_from("<I", content)[0] == MAGIC else ">"
        magic, _, count, originals, translations = struct.unpack_from(f"{order}5I", content)
        if magic != MAGIC:
            raise TaskError(f"{name} is not a file of translated words (.mo)")

        def text(at: int) -> str:
            length, start = struct.unpack_from(f"{order}2I", content, at)
            if start + length > len(content):
                raise TaskError(f"{name} is cut off")
            return content[start : start + length].decode().split("\0")[0]

        every = ((text(originals + 8 * i), text(translations + 8 * i)) for i in range(count))
        return {
            (before if mark else "", after if mark else before): target
            for original, target in every
            for before, mark, after in [original.partition("\x04")]
        }
    except (struct.error, UnicodeDecodeError) as error:
        raise TaskError(f"{name} is damaged: {error}") from None


def pages(
    language: str, kept: Mapping[str, bytes], report: Report = lambda _done, _of: None
) -> Iterator[Pair]:
    """The paragraphs of the help that have one name in both languages; a document is a page."""
    names = sorted(name.removeprefix("en/") for name in kept if name.startswith("en/"))
    for done, name in enumerate(names):
        report(done, len(names))
        other = kept.get(f"{language}/{name}")
        if other is not None:
            source, target = paragraphs(kept[f"en/{name}"]), paragraphs(other)
            yield from (Pair(source[p], target[p], name) for p in source if p in target)


def paragraphs(page: bytes) -> dict[str, str]:
    """The paragraphs and headings of a page by their names (``id``).

    >>> paragraphs(b'<h1 id="hd_1">A <i>page</i></h1><p>no name</p><p id="par_2">Text.</p>')
    {'hd_1': 'A page', 'par_2': 'Text.'}
    """
    reader = _Paragraphs()
    text = page.decode(errors="replace")
    reader.feed(text[max(0, text.find(BODY)) :])  # a third of a page is its head
    reader.close()
    return reader.found


class _Paragraphs(HTMLParser):
    """Collects what stands in each paragraph that has a name.

    Of words that differ between systems (``hidden``, one of them shown by a script) the default is taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.name = ""  # of the paragraph that is being read
        self.text: list[str] = []
        self.shown: list[bool] = []  # of the spans that are open in it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in PARAGRAPHS:
            self.name, self.text, self.shown = dict(attrs).get("id") or "", [], []
        elif tag == "span" and self.name:
            given = dict(attrs)
            self.shown.append("hidden" not in given or (given.get("id") or "").startswith("default"))
        elif tag == "br":
            self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in PARAGRAPHS and self.name:
            self.found.setdefault(self.name, "".join(self.text))
            self.name = ""
        elif tag == "span" and self.shown:
            self.shown.pop()

    def handle_data(self, data: str) -> None:
        if self.name and all(self.shown):
            self.text.append(data)


__all__ = ["catalogue", "pages", "paragraphs", "table", "words"]
