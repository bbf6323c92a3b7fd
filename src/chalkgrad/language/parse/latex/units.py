"""Characters → units: letters, numbers, commands, braces, scripts, signs; comments and spacing left out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.latex import commands
from chalkgrad.language.parse.text import MARKS, bold_number_end, number_end, plain
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.words import STRUCTURED

Kind = Literal["letter", "word", "number", "command", "open", "close", "sub", "sup", "sign", "prime", "break"]


@dataclass(frozen=True, slots=True)
class Unit:
    """``text``: the letter, word or number; a command without its backslash; a sign as the text form has it;
    of a break which one (row, line, space, prose). ``gap``: a space stands before it."""

    kind: Kind
    text: str
    span: Span
    gap: bool = False


FUNCTION_WORDS = {w.lower().replace("_", ""): w for w in sorted({*FUNCTIONS, *STRUCTURED}) if len(w) > 1}
"""Functions by their letters alone: ``LeakyReLU`` is leaky_relu."""


def function_word(word: str) -> str | None:
    """The function that a word names, in capitals too: ReLU, Softmax. (``LN`` is not the logarithm.)"""
    known = FUNCTION_WORDS.get(word.lower().replace("_", ""))
    return known if len(word) > 2 or word in FUNCTION_WORDS else None


_LONGEST_WORD = max(map(len, FUNCTION_WORDS)) + 1
_WORD = re.compile(r"[A-Za-z]{2,}")
_BRACKET = re.compile(r"\s*+(_\{[^{}]{0,20}\}|_\w)?+\s*+(\\[!,;: ])?+\s*+(\\(left|[bB]igg?l?))?+\s*+[({]?\(")
_COMMAND = re.compile(r"\\([A-Za-z]+\*?|.)", re.DOTALL)
_ROW = re.compile(r"\\\\\*?(\s*\[[^\]\n]*\])?")
_SIGNS = sorted(MARKS, key=len, reverse=True)
_BEGIN_SIGNS = {s[0] for s in MARKS}
_FORGOTTEN = {"&", "$", "~", "\u200b", "\ufeff", "`"}


def units(source: str, start: int, end: int, words: bool = False) -> list[Unit]:
    """The units of ``source[start:end]``; with ``words`` neighbouring letters are one word.

    Raises EquationError for a command or an environment that is not known, or that no layer has.
    """
    return _Units(source, start, end, words).read()


class _Units:
    def __init__(self, source: str, start: int, end: int, words: bool) -> None:
        self.source, self.at, self.end, self.words = source, start, end, words
        self.found: list[Unit] = []
        self.gap = False
        self.run_end = 0  # where the run of letters ends that was looked at last
        self.arrays: list[bool] = []  # of each array that is open, whether it is a matrix

    def read(self) -> list[Unit]:
        while self.at < self.end:
            before = self.at
            self.one(self.source[self.at])
            assert self.at > before
        return self.found

    def add(self, kind: Kind, text: str, end: int) -> None:
        self.found.append(Unit(kind, text, Span(self.at, end), self.gap))
        self.at, self.gap = end, False

    def skip(self, end: int) -> None:
        self.at, self.gap = end, True

    def fail(self, problem: str, span: Span, note: str, help: str) -> EquationError:
        return EquationError(problem, self.source, ((span, note),), help)

    def one(self, c: str) -> None:
        at, source = self.at, self.source
        if c == "\\":
            self.command()
        elif c == "\n":
            self.add("break", "line", at + 1)
            self.gap = True
        elif c in "%#":
            stop = source.find("\n", at, self.end)
            self.skip(self.end if stop < 0 else stop)
        elif c.isspace() or c in _FORGOTTEN:
            self.skip(at + 1)
        elif c in "{}_^":
            self.add({"{": "open", "}": "close", "_": "sub", "^": "sup"}[c], c, at + 1)  # pyright: ignore[reportArgumentType]
        elif c in "'′’":
            self.add("prime", "'", at + 1)
        elif "0" <= c <= "9" or "0" <= plain(c) <= "9":
            self.number()
        elif c in "|‖∣⟨⟩":
            self.add("sign", c, at + 1)
        elif c in "←≜≡":
            self.add("sign", "=", at + 1)
        elif source.startswith((":=", "≔"), at):
            self.add("sign", "=", at + (2 if c == ":" else 1))
        elif c in _BEGIN_SIGNS and (sign := next((s for s in _SIGNS if source.startswith(s, at)), None)):
            self.add("sign", "*" if sign in "*∗" else MARKS[sign], at + len(sign))
        elif c in "ℝℕ":
            self.add("sign", c, at + 1)
        elif c.isalpha() or c == "∂":
            self.letters()
        elif c == ".":
            self.add("sign", ",", at + 1)  # the full stop of a sentence
        else:
            raise self.fail(
                f"the character `{c}` (U+{ord(c):04X}) means nothing here",
                Span(at, at + 1),
                "here",
                "keep the equations, and remove what is not one",
            )

    def number(self) -> None:
        end = number_end(self.source, self.at)
        if end == self.at:
            end = bold_number_end(self.source, self.at)
            self.add("number", "".join(map(plain, self.source[self.at : end])), end)
        else:
            self.add("number", self.source[self.at : end], end)

    # --- letters ---------------------------------------------------------------------------------------

    def letters(self) -> None:
        """A letter; a function's name, or with ``words`` any run of letters, is one word."""
        source, at = self.source, self.at
        if self.words:
            end = at
            while end < self.end and source[end].isalnum():
                end += 1
            end = max(end, at + 1)
            self.add("letter" if end == at + 1 else "word", "".join(map(plain, source[at:end])), end)
            return
        run = _WORD.match(source, at, self.end) if at >= self.run_end else None
        if run:
            self.run_end = run.end()
            # Wtanh(x) is W times tanh(x): a known function ends a run of letters.
            for start in range(max(at, run.end() - _LONGEST_WORD), run.end() - 1):
                word = function_word(source[start : run.end()])
                if word and self.applied(run.end(), whole=start == at):
                    for k in range(at, start):
                        self.add("letter", source[k], k + 1)
                    self.add("word", word, run.end())
                    return
            if run[0] == "diag" and self.claims:
                self.add("word", run[0], run.end())
                return
            self.refuse(run[0], Span(at, run.end()), run.end())
            if _BRACKET.match(source, run.end(), self.end) and len(run[0]) > 2:
                name = run[0]
                raise self.fail(
                    f"`{name}` before a bracket could be a function, or {len(name)} names side by side",
                    Span(at, run.end()),
                    "which of the two?",
                    f"write \\mathrm{{{name}}}(…) for a function, {' '.join(name)} \\cdot (…) for a product",
                )
        end = at + 1
        while end < self.end and unicodedata.combining(source[end]):
            end += 1
        while end < self.end and source[end] in "₀₁₂₃₄₅₆₇₈₉":
            end += 1
        self.add("letter", unicodedata.normalize("NFC", "".join(map(plain, source[at:end]))), end)

    @property
    def claims(self) -> bool:
        """Whether this is no layer but a claim about the derivatives of one, which has diagonal matrices."""
        return "\\partial" in self.source

    def refuse(self, word: str, span: Span, at: int) -> None:
        """Raise EquationError for a word that is used as a function and is none that a layer has."""
        if word.lower() == "diag" and self.claims:
            return
        used = word.lower() in ("argmax", "argmin") or _BRACKET.match(self.source, at, self.end)
        if word.lower() in commands.REFUSED_WORDS and used:
            problem, help = commands.REFUSED_WORDS[word.lower()]
            raise self.fail(problem, span, "here", help)

    def applied(self, at: int, whole: bool) -> bool:
        """Whether a run of letters that is a function's name is one: something it is of follows."""
        after = self.source[at : self.end].lstrip(" ")
        return after.startswith(("(", "_", "\\left", "\\big", "\\Big", "{\\left", "\\!")) or (
            whole and (after[:1].isalnum() or after.startswith("\\"))
        )

    # --- commands --------------------------------------------------------------------------------------

    def command(self) -> None:
        source, at = self.source, self.at
        if row := _ROW.match(source, at, self.end):
            self.add("break", "row", row.end())
            return
        found = _COMMAND.match(source, at, self.end)
        if found is None:
            raise self.fail("a backslash stands at the end", Span(at, at + 1), "here", "remove it")
        name, end = found[1], found.end()
        if name.endswith("*") and name not in commands.WORDS + commands.SILENT_WITH_ARGUMENT:
            name, end = name[:-1], end - 1
        if name in commands.SPACES:
            self.skip(end)
        elif name in commands.SEPARATORS or name.isspace():
            self.add("break", "space", end)
        elif name in commands.PROOF:
            self.add("break", "prose", end)
        elif name == "forall":
            self.add("break", "rest", end)
        elif name in commands.SILENT:
            self.skip(end)
            if name in ("left", "right") and source[end : end + 1] == ".":
                self.skip(end + 1)
        elif name in commands.SILENT_WITH_ARGUMENT or name == "textcolor":
            self.skip(self.argument(end)[1] + 1)
        elif name in ("begin", "end"):
            self.environment(name, end)
        elif name in commands.WORDS:
            self.word(name, end)
        elif name in commands.LETTERS:
            self.add("letter", commands.LETTERS[name], end)
        elif name in commands.SIGNS:
            self.add("sign", commands.SIGNS[name], end)
        elif name in commands.FUNCTIONS:
            self.add("word", name, end)
        elif name == "prime":
            self.add("prime", "'", end)
        elif name in commands.REFUSED:
            problem, help = commands.REFUSED[name]
            raise self.fail(problem, Span(at, end), "here", help)
        elif (
            name in commands.FONTS + commands.BRACES
            or name in commands.ACCENTS
            or name.endswith("frac")
            or name == "sqrt"
        ):
            if name.endswith("frac") and name not in ("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"):
                raise self.unknown(name, Span(at, end))
            self.add("command", "frac" if name.endswith("frac") else name, end)
        elif name in "[]()":
            self.add("break", "space", end)
        elif name in "%#_$&":
            raise self.fail(f"`\\{name}` means nothing in an equation", Span(at, end), "here", "remove it")
        else:
            raise self.unknown(name, Span(at, end))

    def unknown(self, name: str, span: Span) -> EquationError:
        help = commands.near(name) if name[:1].isalpha() else "remove it"
        return self.fail(f"the command `\\{name}` is not known", span, "here", help)

    def argument(self, at: int) -> tuple[int, int]:
        """The beginning and the end of what stands in braces at ``at``."""
        source = self.source
        while at < self.end and source[at].isspace():
            at += 1
        if at >= self.end or source[at] != "{":
            raise self.fail(
                "this command stands without its argument",
                Span(self.at, max(at, self.at + 1)),
                "its braces are missing",
                "write {…} after it",
            )
        depth = 0
        for k in range(at, self.end):
            if source[k] in "{}" and source[k - 1] != "\\":
                depth += 1 if source[k] == "{" else -1
                if depth == 0:
                    return at + 1, k
        raise self.fail("the brace `{` is not closed", Span(at, at + 1), "opened here", "add the missing `}`")

    def environment(self, command: str, at: int) -> None:
        start, stop = self.argument(at)
        name = self.source[start:stop].strip().rstrip("*")
        span = Span(self.at, stop + 1)
        if name == "array":
            self.array(command, stop + 1)
        elif name in commands.MATRICES:
            self.add("command", f"{command} matrix", stop + 1)
        elif name in commands.ALIGNED:
            end = stop + 1
            if command == "begin" and name in ("alignat", "alignedat") and self.source[end : end + 1] == "{":
                end = self.argument(end)[1] + 1
            self.add("break", f"{command} rows", end)
        elif name == "cases":
            raise self.fail(
                "`cases` is not read",
                span,
                "here",
                "write relu, abs, min or max for a kink, and h_0 = … for a start",
            )
        else:
            raise self.fail(
                f"the environment `{name}` is not read", span, "here", "use aligned, or bmatrix for a matrix"
            )

    def array(self, command: str, at: int) -> None:
        """An array with a `=` holds equations, any other is a matrix; its columns' letters are skipped."""
        if command == "end":
            matrix = self.arrays.pop() if self.arrays else False
            self.add(*(("command", "end matrix") if matrix else ("break", "end rows")), at)
            return
        end = self.source.find("\\end{array}", at, self.end)
        matrix = "=" not in self.source[at : self.end if end < 0 else end]
        self.arrays.append(matrix)
        columns = re.compile(r"\s*(\[[^\]\n]*\])?\s*(?=\{)").match(self.source, at, self.end)
        after = self.argument(columns.end())[1] + 1 if columns else at
        self.add(*(("command", "begin matrix") if matrix else ("break", "begin rows")), after)

    def word(self, name: str, at: int) -> None:
        r"""``\mathrm{out}``: a word; ``\text{ where }``: prose, which separates equations."""
        source = self.source
        if source[at : at + 1] not in ("{", " "):
            self.skip(at)  # \mathrm d
            return
        start, stop = self.argument(at)
        content = re.sub(r"\\[,;:! ]", "", source[start:stop])
        if "\\" in content or "$" in content:
            self.add("command", "mathbf", at)
            return
        text = unicodedata.normalize("NFC", "".join(map(plain, content)))
        bare = text.strip().replace("\\_", "_")
        if name.startswith("text") or name == "mbox":
            prose = text != text.strip() or " " in bare or not bare or bare.lower() in _PROSE
            prose = prose or bare[-1] in ".,:"  # \text{Gates:}
        else:
            bare, prose = bare.replace(" ", ""), not bare
        if prose:
            self.add("break", "rest" if bare.lower().rstrip(",.:") in _REST else "prose", stop + 1)
            return
        known = function_word(bare)
        if known is None:
            self.refuse(bare, Span(self.at, stop + 1), stop + 1)
        if bare.isdigit():
            self.add("number", bare, stop + 1)
        elif all(c.isalnum() or c in "_'" for c in bare) and not bare[0].isdigit():
            self.add("word", known or bare, stop + 1)
        elif bare in MARKS:
            self.add("sign", MARKS[bare], stop + 1)
        else:
            # A label such as {1st} or {x,y}: its letters and digits are the name.
            letters = "".join(c for c in bare if c.isalnum())
            if not letters:
                self.add("break", "prose", stop + 1)
                return
            self.add("word", letters, stop + 1)


_REST = {"for", "if", "for all", "for each", "for every", "when", "otherwise", "over", "subject to", "s.t"}
_PROSE = {*_REST, "where", "with", "and", "or", "then", "so", "since", "as", "by", "let", "given", "hence"}
