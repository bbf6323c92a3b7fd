"""A cursor over tokens, and the errors of a text that is not well formed."""

from __future__ import annotations

from typing import NoReturn

from chalkgrad.language.parse.text import Kind, Token
from chalkgrad.language.source import EquationError, Label, Span

DEEPEST = 50
"""How far brackets may nest: beyond it a text is damaged, not mathematics."""


MOST_EQUATIONS = 300


def too_many_equations(source: str, count: int, span: Span) -> EquationError:
    """The error for a page that is no layer any more; ``span`` is the first equation too many."""
    problem = f"a layer has at most {MOST_EQUATIONS} equations, and this text {count}"
    return EquationError(problem, source, ((span, "one too many"),), "make several layers")


class Cursor:
    """Where the parser stands; the parsers of expressions and of whole texts go on from here."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.at = 0
        self.depth: int = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def sees(self, *marks: str) -> bool:
        return self.next.kind == "mark" and self.next.text in marks

    def sees_word(self, *words: str) -> bool:
        return self.sees_kind("name") and self.next.text in words

    def sees_kind(self, *kinds: Kind) -> bool:
        return self.next.kind in kinds

    def accept(self, *marks: str) -> Token | None:
        return self.take() if self.sees(*marks) else None

    def fail(self, problem: str, *labels: Label, help: str = "") -> NoReturn:
        raise EquationError(problem, self.source, labels, help)

    def unexpected(self, wanted: str, help: str = "") -> NoReturn:
        token, help = self.next, help or f"write {wanted} here"
        if token.kind == "end":
            span = Span(max(0, len(self.source.rstrip()) - 1), len(self.source.rstrip()))
            self.fail(f"the text ends where {wanted} should follow", (span, "after this"), help=help)
        shown = "the end of the line" if token.kind == "newline" else f"`{token.text}`"
        span = Span(token.span.start - 1, token.span.start) if token.kind == "newline" else token.span
        self.fail(f"{shown} stands where {wanted} should", (span, "here"), help=help)

    def expect(self, mark: str, wanted: str) -> Token:
        if not self.sees(mark):
            self.unexpected(wanted)
        return self.take()

    def close(self, opened: Token, mark: str) -> Token:
        if self.sees(mark):
            return self.take()
        token = self.next
        if self.sees_kind("end", "newline") or self.sees("=", ")", "]", "}") or self.sees_word("where"):
            here: tuple[Label, ...] = (
                ()
                if token.kind in ("end", "newline")
                else ((token.span, f"`{mark}` is missing before this"),)
            )
            self.fail(
                f"the bracket `{opened.text}` is not closed",
                (opened.span, "opened here"),
                *here,
                help=f"add the missing `{mark}`",
            )
        return self.fail(
            f"`{token.text}` stands where `{mark}` or an operator should",
            (opened.span, "opened here"),
            (token.span, "here"),
            help=f"close the bracket with `{mark}`, or write an operator",
        )

    def deeper(self) -> None:
        """One level further in; the caller goes back out with ``depth -= 1``."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(
                f"brackets nest deeper than {DEEPEST}",
                (self.next.span, "too deep here"),
                help="give the inner part a name and an equation of its own",
            )
