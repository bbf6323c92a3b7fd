"""Every standard layer, as equations: the ``.chalk`` files beside this one."""

from __future__ import annotations

import difflib
import re
from importlib.resources import files
from pathlib import Path

from chalkgrad.language.source import EquationError

NUMBERED = re.compile(r"(?P<file>.+\.(?:md|markdown|tex|txt))#(?P<number>\d{1,4})", re.IGNORECASE)
"""``NOTE.md#2``."""

MARKDOWN = re.compile(r".+\.(?:md|markdown)", re.IGNORECASE)
"""The name of a file that is a note, never a page of equations."""


def names() -> tuple[str, ...]:
    """The standard layers, in alphabetical order.

    >>> "lstm" in names()
    True
    """
    return tuple(
        sorted(f.name.removesuffix(".chalk") for f in files(__name__).iterdir() if f.name.endswith(".chalk"))
    )


def source_of(what: str | Path) -> str:
    """The equations meant by a zoo name, a file, a note's layer (``NOTE.md#2``), or the equations themselves.

    Raises EquationError for a word that is none of these and for a file that cannot be read as UTF-8 text.

    >>> source_of("y = W x where x: input")
    'y = W x where x: input'
    """
    if isinstance(what, Path):
        return _page_in(str(what))
    word = what.strip()
    if word in names():
        return page(word)
    if "=" in word or "\n" in word or not word:
        return what
    if word.endswith(".chalk") or "/" in word or NUMBERED.fullmatch(word) or Path(word).is_file():
        return _page_in(word)
    if "\\" in word or "$" in word:  # LaTeX may say `=` in other ways, and the reader says what is missing
        return what
    raise _unknown(word, "write equations, a file, or one of: ")


def page(name: str) -> str:
    """The page of a standard layer. Raises EquationError for a name that is none."""
    if name not in names():
        raise _unknown(name, "the standard layers are ")
    return (files(__name__) / f"{name}.chalk").read_text(encoding="utf-8")


def torchs_page(name: str) -> str:
    """The page of a layer in torch.nn's terms, such as ``lstm`` or ``gru_before``: a file in ``torch``."""
    return (files(__name__) / "torch" / f"{name}.chalk").read_text(encoding="utf-8")


def _unknown(word: str, lead: str) -> EquationError:
    near = difflib.get_close_matches(word, names(), n=1)
    hint = f"did you mean {near[0]}?" if near else lead + ", ".join(names())
    return EquationError(f"`{word}` is no standard layer, no file and no equation", help=hint)


def _page_in(file: str) -> str:
    """The equations in a file; of a note one layer."""
    numbered = NUMBERED.fullmatch(file)
    if numbered and Path(file).exists():
        numbered = None
    name = numbered["file"] if numbered else file
    text = text_of(Path(name))
    if not (numbered or MARKDOWN.fullmatch(name)):
        return text
    from chalkgrad.notes.pick import layer_of  # a page of equations does not wait for the reader of notes

    return layer_of(text, int(numbered["number"]) if numbered else None, name)


def text_of(path: Path) -> str:
    """The text of a file. Raises EquationError for one that cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EquationError(
            f"there is no file {path}", help="check the path, or write the equations"
        ) from None
    except IsADirectoryError:
        raise EquationError(f"{path} is a folder", help="name the file with the equations") from None
    except UnicodeDecodeError as e:
        raise EquationError(f"{path} is not UTF-8 text (byte {e.start})", help="save it as UTF-8") from None
    except OSError as e:
        raise EquationError(f"{path} cannot be read: {e.strerror}", help="check the path") from None
