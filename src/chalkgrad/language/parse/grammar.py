"""Tokens → syntax tree: equations, and what ``where`` says of names.

text        = (equation | "where" declaration ("," declaration)*)*
equation    = sum ("=" sum)+
declaration = name ["[" at "]"] (":" saying+ | "=" function | "=" number)
    saying      = role | shape | "init" number | ("zero" | ["-"] "∞") "outside" [margins]
margins     = "±" size | margin ("×" margin)+
margin      = "±" size | "-" size "+" size | "0"
shape       = size ("×" size)* | "scalar"
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Literal

from chalkgrad.language.parse.cursor import MOST_EQUATIONS, too_many_equations
from chalkgrad.language.parse.expression import ExpressionParser
from chalkgrad.language.parse.syntax import (
    Binary,
    BinaryOp,
    Declaration,
    Line,
    Margin,
    Node,
    Number,
    Outside,
    Symbol,
    Text,
    parts,
)
from chalkgrad.language.parse.text import is_latex, refuse_long, tokenize
from chalkgrad.language.source import Span

_WORDS = {"input", "parameter", "output", "zero", "outside", "scalar", "where", "init"}

MOST_OPERATIONS = 100
"""Operations in a row or inside one another, in one equation."""

MOST_NAMES = 1000
"""Names, numbers and operations in one side of an equation."""

MOST_AXES = 16


def parse(source: str) -> Text:
    """The syntax tree of a text of equations, in text form or in LaTeX.

    Raises EquationError where the text is not well formed.

    >>> parse("h[t] = tanh(x[t] W)").lines[0].left.base.name
    'h'
    """
    refuse_long(source)
    if not is_latex(source):
        return _TextParser(source, tokenize(source)).text()
    from chalkgrad.language.parse.latex import tokenize_latex  # a page in text form does not wait for it

    return replace(_TextParser(source, tokenize_latex(source)).text(), latex=True)


class _TextParser(ExpressionParser):
    """Lines and declarations; expressions are :class:`ExpressionParser`'s."""

    def text(self) -> Text:
        lines: list[Line] = []
        declarations: list[Declaration] = []
        while not self.sees_kind("end"):
            if self.sees_kind("newline") or self.sees(";"):
                self.take()
            elif self.sees_word("where"):
                self.take()
                declarations.append(self.declaration())
                while self.accept(","):
                    if self.sees_kind("newline"):
                        self.take()
                    declarations.append(self.declaration())
                self.end_of_line()
            else:
                lines.append(self.equation())
                if not self.sees_word("where"):
                    self.end_of_line()
        if len(lines) > MOST_EQUATIONS:
            raise too_many_equations(self.source, len(lines), lines[MOST_EQUATIONS].span)
        if not lines:
            self.fail(
                "there is no equation in this text",
                *(((Span(0, len(self.source)), "nothing is defined here"),) if self.source.strip() else ()),
                help="write one, such as h[t] = tanh(x[t] W_x + h[t-1] W_h + b)",
            )
        return Text(self.source, tuple(lines), tuple(declarations))

    def end_of_line(self) -> None:
        if self.sees_kind("newline", "end") or self.sees(";"):
            return
        if self.sees(")", "]", "}"):
            self.fail(
                f"the bracket `{self.next.text}` closes nothing",
                (self.next.span, "no bracket is open here"),
                help="remove it, or open one before it",
            )
        if self.sees(","):
            help = "write every equation on a line of its own, and `where` without a comma before it"
        elif self.sees(":"):
            help = "what is said of a name stands after `where`: where x[t]: D"
        elif self.sees_kind("number"):
            help = "a shape is written with ×: where W: 3×4"
        else:
            help = "begin a new line, or join the two with an operator"
        self.unexpected("an operator or the end of the line", help)

    def equation(self) -> Line:
        left = self.sum()
        if not self.sees("="):
            if self.sees_kind("newline", "end") or self.sees(";") or self.sees_word("where"):
                self.fail(
                    "this line is not an equation: it has no `=`",
                    (left.span, "defines nothing"),
                    help="write what it defines: y = …",
                )
            self.end_of_line()
        sides: list[Node] = []
        while self.accept("="):
            sides.append(self.sum())
        for side in (left, *sides):
            self.refuse_endless(side)
        return Line(left, sides[0], tuple(sides[1:]), left.span.to(sides[-1].span))

    def refuse_endless(self, side: Node) -> None:
        """Later passes go down a tree by recursion: one that is deeper than any equation is refused."""
        level, depth = [side], 0
        while level:
            level, depth = [p for node in level for p in parts(node)], depth + 1
        names, todo = 0, [side]
        while todo:
            node = todo.pop()
            todo += parts(node)
            names += 1
        if depth > MOST_OPERATIONS or names > MOST_NAMES:
            self.fail(
                f"more than {MOST_OPERATIONS} operations in a row, or {MOST_NAMES} names and numbers",
                (Span(side.span.start, side.span.start + 1), "this expression"),
                help="give a part of it a name and an equation of its own",
            )

    # --- where -----------------------------------------------------------------------------------------

    def declaration(self) -> Declaration:
        """``x: input C×M×N zero outside ±1``, ``h[t]: H``, ``τ = tanh``."""
        if not self.sees_kind("name"):
            self.unexpected("a name and what is said of it", help="write: where x[t]: D, W: D×H, τ = tanh")
        token = self.take()
        symbol = Symbol(token.text, token.span)
        at: tuple[Node, ...] = ()
        if opened := self.accept("["):
            items = [self.index_item()]
            while self.accept(","):
                items.append(self.index_item())
            self.close(opened, "]")
            at = tuple(items)
        if self.accept("="):
            if at:
                return self.edge(symbol, at)
            if self.sees_kind("number"):
                number = self.take()
                span = symbol.span.to(number.span)
                return Declaration(symbol, at, None, None, None, None, span, number=float(number.text))
            if not self.sees_kind("name"):
                self.unexpected("the name of a function", help="write: where τ = tanh")
            alias = self.take()
            return Declaration(
                symbol, at, None, None, None, Symbol(alias.text, alias.span), symbol.span.to(alias.span)
            )
        if not self.sees(":"):
            self.unexpected(
                "`:` and a shape or a role", help="write: where x[t]: D, W: D×H, y: output, τ = tanh"
            )
        end = self.take().span
        role: Literal["input", "parameter", "output"] | None = None
        dims: tuple[Node, ...] | None = None
        outside: Outside | None = None
        init: float | None = None
        while True:
            if self.sees_word("input", "parameter", "output"):
                word = self.take()
                role = "input" if word.text == "input" else "output" if word.text == "output" else "parameter"
                end = word.span
            elif self.sees_word("scalar"):
                end, dims = self.take().span, ()
            elif self.sees_word("init"):
                self.take()
                minus = self.accept("-")
                if not self.sees_kind("number"):
                    self.unexpected("a number", help="write: where b_f: init 1")
                number = self.take()
                end, init = number.span, -float(number.text) if minus else float(number.text)
            elif self.sees_word("zero") or self.sees("-", "∞"):
                outside = self.outside()
                end = outside.span
            elif dims is None and (self.sees_kind("number") or self.starts_dimension()):
                dims = self.shape()
                end = dims[-1].span
            else:
                break
        if role is None and dims is None and outside is None and init is None:
            self.unexpected(
                "a shape or a role",
                help="a size is at least 1" if self.sees("-") else "write: where x[t]: D, W: D×H, y: output",
            )
        return Declaration(symbol, at, role, dims, outside, None, symbol.span.to(end), init)

    def outside(self) -> Outside:
        """``zero outside``, ``zero outside ±1``, ``-∞ outside 0×±1×-1+2``."""
        first = self.next.span
        minus = self.accept("-")
        if not (self.sees("∞") or (self.sees_word("zero") and not minus)):
            self.unexpected("∞", help="write: where x: input N -∞ outside ±1")
        word = self.take()
        value = 0.0 if word.text == "zero" else float("-inf" if minus else "inf")
        if not self.sees_word("outside"):
            self.unexpected("`outside`", help="write: where x: input N zero outside ±1")
        span = first.to(self.take().span)
        margins: list[Margin] = []
        if self.sees("±", "-") or (self.sees_kind("number") and self.next.text == "0"):
            margins.append(self.margin())
            while self.accept("×", "⊙"):
                margins.append(self.margin())
            span = span.to(margins[-1][1].span)
        return Outside(value, tuple(margins), span)

    def margin(self) -> Margin:
        """``±1``, ``-1+2``, or ``0``."""
        if self.accept("±"):
            both = self.size_factor()
            return both, both
        if self.accept("-"):
            before = self.size_factor()
            if not self.accept("+"):
                self.unexpected("`+`", help="write -1+2 for one before and two after, ±1 for both alike")
            return before, self.size_factor()
        if not (self.sees_kind("number") and self.next.text == "0"):
            self.unexpected("how far", help="one for each axis: where x: input C×M×N zero outside 0×±1×-1+2")
        none = self.size_factor()
        return none, none

    def edge(self, symbol: Symbol, at: tuple[Node, ...]) -> Declaration:
        """``r[-1,·] = ∞``: what a table holds before its first row."""
        minus = self.accept("-")
        if not (self.sees_kind("number") or self.sees("∞")):
            self.unexpected("a number or ∞", help="write: where r[-1,·] = ∞, r[-1,-1] = 0")
        number = self.take()
        value = float("inf") if number.text == "∞" else float(number.text)
        span = symbol.span.to(number.span)
        return Declaration(symbol, at, None, None, None, None, span, edge=-value if minus else value)

    def starts_dimension(self) -> bool:
        return self.sees("(") or (self.sees_kind("name") and self.next.text not in _WORDS)

    def shape(self) -> tuple[Node, ...]:
        """``D``, ``C×M×N``, ``C*M*N``, ``C x M x N``, ``(H+D)×H``."""
        dims = [self.dimension()]
        while True:
            if self.accept("×", "⊙"):
                dims.append(self.dimension())
            elif self.sees_word("x") and self.next.gap:
                self.take()
                dims.append(self.dimension())
            else:
                break
        if len(dims) > MOST_AXES:
            self.fail(
                f"a name has at most {MOST_AXES} axes",
                (dims[MOST_AXES].span, "one too many"),
                help="write one size per axis: where W: D×H",
            )
        return tuple(dims)

    def dimension(self) -> Node:
        left = self.size_factor()
        # A sign may also begin what is outside: N -∞ outside.
        while self.tokens[self.at + 1 : self.at + 2] and self.tokens[self.at + 1].text != "∞":
            mark = self.accept("+", "-")
            if not mark:
                break
            right = self.size_factor()
            op: BinaryOp = "+" if mark.text == "+" else "-"
            left = Binary(op, left, right, left.span.to(right.span), mark.span)
        return left

    def size_factor(self) -> Node:
        token = self.next
        if token.kind == "number":
            self.take()
            number = Number(float(token.text), token.span)
            if self.sees_kind("name") and not self.next.gap:
                symbol = self.take()
                node = Symbol(symbol.text, symbol.span)
                return Binary("·", number, node, token.span.to(symbol.span), token.span)
            return number
        if token.kind == "name":
            # A size may have any name, but one that is almost a word of the language is a slip.
            near = difflib.get_close_matches(token.text, _WORDS - {token.text}, n=1, cutoff=0.8)
            if near and token.text not in _WORDS:
                self.fail(
                    f"`{token.text}` would be the name of a size",
                    (token.span, "here"),
                    help=f"did you mean {near[0]}? a size is a number or a symbol: D, 64, H+D",
                )
            self.take()
            return Symbol(token.text, token.span)
        if self.sees("("):
            self.take()
            self.deeper()
            inner = self.dimension()
            self.close(token, ")")
            self.depth -= 1
            return inner
        return self.unexpected("a size", help="a size is a number or a symbol: D, 64, H+D")
