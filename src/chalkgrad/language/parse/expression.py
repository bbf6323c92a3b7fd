"""Tokens → expressions, by recursive descent.

sum      = ["-"] term (("+" | "-") term)*
term     = product ("⊙" product | "/" factor [product])*    ⊙ binds looser than the matrix product
product  = factor (["·"] factor)*                   side by side is a matrix product
factor   = atom ("^" atom | "²" | "ᵀ")*
atom     = number | name ["[" at "]"] ["(" sum, … ")"] | "(" sum ")" | "[" sum (";" | ",") … "]"
         | ("Σ" | max | min) "[" binder, … "]" term
"""

from __future__ import annotations

from typing import Literal, NoReturn

from chalkgrad.language.parse.cursor import Cursor
from chalkgrad.language.parse.syntax import (
    Big,
    Binary,
    BinaryOp,
    Binder,
    Call,
    Concat,
    Group,
    Indexed,
    Negate,
    Node,
    Number,
    Power,
    Symbol,
    Transpose,
)
from chalkgrad.language.parse.text import Token
from chalkgrad.language.source import Span

BIG_WORDS: dict[str, Literal["sum", "max", "min"]] = {"Σ": "sum", "sum": "sum", "max": "max", "min": "min"}

_FACTOR_MARKS = {"(", "[", "Σ", "∞"}


class ExpressionParser(Cursor):
    """Each method reads one rule of the grammar above."""

    def sum(self) -> Node:
        self.deeper()
        left = self.signed_term()
        while mark := self.accept("+", "-"):
            right = self.signed_term()
            op: BinaryOp = "+" if mark.text == "+" else "-"
            left = Binary(op, left, right, left.span.to(right.span), mark.span)
        self.depth -= 1
        return left

    def signed_term(self) -> Node:
        """A term with its sign: ``-x y`` is minus the whole product."""
        minuses: list[Token] = []
        while sign := self.accept("-", "+"):
            minuses += [sign] if sign.text == "-" else []
        body = self.term()
        for minus in reversed(minuses):
            body = Negate(body, minus.span.to(body.span))
        return body

    def term(self) -> Node:
        left = self.product()
        while mark := self.accept("⊙", "/"):
            if mark.text == "/":
                left = self.quotient(left, mark)
                continue
            right = self.signed_factor() if self.sees("-") else self.product()
            left = Binary("⊙", left, right, left.span.to(right.span), mark.span)
        if self.sees("×"):
            self.fail(
                "`×` stands between sizes only",
                (self.next.span, "which product is this?"),
                help="write ⊙ (or *) for element by element, a space (or @) for the matrix product",
            )
        return left

    def quotient(self, left: Node, slash: Token) -> Node:
        """What follows a slash: one factor. ``1/T Σ…`` and ``1/2 x`` go on as a product."""
        tight = not slash.gap and not self.next.gap
        minus = self.accept("-")
        right = self.factor()
        right = Negate(right, minus.span.to(right.span)) if minus else right
        node: Node = Binary("/", left, right, left.span.to(right.span), slash.span)
        if not (self.starts_factor() or self.sees("·")):
            return node
        plain = self.sees("Σ") or _is_derivative(right) or (tight and self.next.gap and not self.sees("·"))
        if not plain:
            a, b = self.shown(left), self.shown(right)
            self.fail(
                "this quotient can be read in two ways",
                (slash.span, "divided by this alone, or by all that follows?"),
                help=f"write ({a}/{b}) … or {a}/({b} …)",
            )
        rest = self.product()
        return Binary("·", node, rest, node.span.to(rest.span), Span(node.span.end, rest.span.start))

    def shown(self, node: Node) -> str:
        """A node as the page has it, for an error."""
        return self.source[node.span.start : node.span.end]

    def signed_factor(self) -> Node:
        minus = self.take()
        body = self.product()
        return Negate(body, minus.span.to(body.span))

    def product(self) -> Node:
        left = self.factor()
        while True:
            if mark := self.accept("·"):
                right = self.factor()
                left = Binary("·", left, right, left.span.to(right.span), mark.span)
            elif self.starts_factor():
                if self.sees_kind("number") and self.tokens[self.at - 1].kind == "number":
                    self.fail(
                        "two numbers stand side by side",
                        (self.tokens[self.at - 1].span.to(self.next.span), "here"),
                        help="write 2·3 for their product, [[1, 2], [3, 4]] for a matrix",
                    )
                right = self.factor()
                between = Span(left.span.end, right.span.start)
                left = Binary("·", left, right, left.span.to(right.span), between)
            else:
                return left

    def starts_factor(self) -> bool:
        if self.sees_kind("name"):
            return self.next.text != "where"
        return self.sees_kind("number") or self.sees(*_FACTOR_MARKS)

    def factor(self) -> Node:
        node = self.atom()
        while True:
            if mark := self.accept("²", "³"):
                exponent = Number(2 if mark.text == "²" else 3, mark.span)
                node = Power(node, exponent, node.span.to(mark.span))
            elif mark := self.accept("ᵀ", "⊤"):
                node = Transpose(node, node.span.to(mark.span))
            elif self.accept("^"):
                if self.sees("⊤", "ᵀ") or (self.sees_word("T", "top") and not isinstance(node, Number)):
                    mark = self.take()
                    node = Transpose(node, node.span.to(mark.span))
                    continue
                minus = self.accept("-")
                exponent = self.atom()
                if minus:
                    exponent = Negate(exponent, minus.span.to(exponent.span))
                node = Power(node, exponent, node.span.to(exponent.span))
                if self.sees("^", "²", "³"):
                    self.fail(
                        "a power of a power can be read in two ways",
                        (node.span.to(self.next.span), "here"),
                        help="write (a^b)^c or a^(b^c)",
                    )
            else:
                return node

    def atom(self) -> Node:
        token = self.next
        if token.kind == "number":
            self.take()
            return Number(float(token.text), token.span)
        if self.sees("∞"):
            self.take()
            return Number(float("inf"), token.span)
        if self.sees("Σ") or (self.sees_word("sum", "max", "min") and self.bracket_follows()):
            return self.big()
        if token.kind == "name":
            return self.named()
        if self.sees("("):
            self.take()
            body = self.sum()
            end = self.close(token, ")")
            return Group(body, token.span.to(end.span))
        if self.sees("["):
            return self.concat()
        return self.no_operand()

    def no_operand(self) -> NoReturn:
        before = self.tokens[self.at - 1] if self.at else None
        if self.sees(")", "]") and before and before.kind == "mark" and before.text in "([":
            self.fail(
                "these brackets are empty",
                (before.span.to(self.next.span), "nothing stands between them"),
                help="write what belongs there: x[t], tanh(a)",
            )
        if self.sees("=") and before and before.text == "=":
            help = "one `=` is enough"
        elif self.sees("|"):
            help = "write abs(x) or norm(x)"
        elif self.sees("{"):
            help = "brackets are ( ) and [ ]"
        elif self.sees_kind("end", "newline"):
            help = "write the rest of the equation"
        elif before is None or before.kind == "newline":
            help = "an equation begins with what it defines: y = …"
        else:
            help = "a sign stands between two things: a + b, a ⊙ b, f(a)"
        self.unexpected("a name, a number or a bracket", help)

    def bracket_follows(self) -> bool:
        following = self.tokens[self.at + 1]
        return following.kind == "mark" and following.text == "["

    def big(self) -> Node:
        token = self.take()
        if not self.sees("["):
            self.unexpected("the index of the sum, in brackets,", help="write it as Σ[j] a[j] b[j]")
        opened = self.take()
        binders = [self.binder()]
        while self.accept(","):
            binders.append(self.binder())
        self.close(opened, "]")
        self.deeper()
        body = self.signed_factor() if self.sees("-") else self.term()
        self.depth -= 1
        return Big(BIG_WORDS[token.text], tuple(binders), body, token.span.to(body.span))

    def binder(self) -> Binder:
        """``j``, ``j<3``, ``j≤3``, ``j=1..k``, ``1≤j≤k``, ``a∈ℤ``, ``a∈ℤ^d``."""
        low: Node | None = None
        first = self.sum()
        if mark := self.accept("≤", "<"):
            bound = self.sum()
            if isinstance(first, Symbol) and not (self.sees("≤", "<") and isinstance(bound, Symbol)):
                return Binder(first, None, _inclusive(bound, mark), False, first.span.to(bound.span))
            low = first if mark.text == "≤" else _plus_one(first, mark)
            first = bound
            if not self.sees("≤", "<"):
                self.unexpected("`≤` and the upper end", help="write Σ[1≤j≤k], Σ[j=1..k] or Σ[j<k]")
            mark = self.take()
            high = self.sum()
            return Binder(self.index_of(first), low, _inclusive(high, mark), False, low.span.to(high.span))
        index = self.index_of(first)
        if self.accept("="):
            low = self.sum()
            self.expect("..", "`..` and the upper end of the index")
            high = self.sum()
            return Binder(index, low, high, False, index.span.to(high.span))
        if self.accept("∈"):
            mark = self.expect("ℤ", "`ℤ`")
            axes = self.atom() if self.accept("^") else None
            return Binder(index, None, None, True, index.span.to((axes or mark).span), axes)
        return Binder(index, None, None, False, index.span)

    def index_of(self, node: Node) -> Symbol:
        if not isinstance(node, Symbol):
            self.fail("an index is a letter", (node.span, "not an index"), help="write Σ[j] a[j] b[j]")
        return node

    def named(self) -> Node:
        token = self.take()
        symbol = Symbol(token.text, token.span)
        node: Symbol | Indexed = symbol
        if self.sees("[") and not self.concat_follows():
            opened = self.take()
            items = [self.index_item()]
            while self.accept(","):
                items.append(self.index_item())
            end = self.close(opened, "]")
            node = Indexed(symbol, tuple(items), token.span.to(end.span))
        if self.sees("(") and not (self.next.gap and isinstance(node, Indexed)):
            return self.applied(node)
        return node

    def applied(self, node: Symbol | Indexed) -> Node:
        """A name and a bracket: whether it is an application, a read or a product is for the resolver."""
        opened = self.take()
        args = [self.sum()]
        while self.accept(","):
            args.append(self.sum())
        end = self.close(opened, ")")
        return Call(node, tuple(args), node.span.to(end.span))

    def index_item(self) -> Node:
        """One index; ``·`` alone stands for "any" (the edges of a table)."""
        if dot := self.accept("·"):
            return Symbol("·", dot.span)
        return self.sum()

    def concat_follows(self) -> bool:
        """Whether the bracket ahead joins vectors: it holds a `;`, or something that is no affine index."""
        depth, k = 0, self.at
        while k < len(self.tokens):
            t = self.tokens[k]
            if t.kind == "end":
                return False
            if t.kind == "mark" and t.text in "([":
                depth += 1
                if depth == 2:
                    return not self.inside_index(k)
            elif t.kind == "mark" and t.text in ")]":
                depth -= 1
                if depth == 0:
                    return False
            elif t.kind == "mark" and t.text == ";":
                return True
            k += 1
        return False

    def inside_index(self, at: int) -> bool:
        """Whether an inner bracket may belong to an index: 2(i+1) may, h[t-1] and f(x) may not."""
        before = self.tokens[at - 1]
        return self.tokens[at].text == "(" and before.kind != "name"

    def concat(self) -> Node:
        opened = self.take()
        items = [self.sum()]
        while self.accept(",", ";"):
            items.append(self.sum())
        end = self.close(opened, "]")
        span = opened.span.to(end.span)
        match items:
            case [Binary("⊙", Symbol(f), Symbol(g))] if self.sees("("):
                return self.applied(Symbol(f"({f}∗{g})", span))  # [f * g](i)
            case _:
                pass
        if len(items) == 1 and not isinstance(items[0], Concat | Number | Negate):
            self.fail(
                "square brackets join two parts or more, and here is one",
                (span, "one part"),
                help="write [a; b] to join, (a) to group",
            )
        return Concat(tuple(items), span)


def _is_derivative(under: Node) -> bool:
    """Whether this is the lower side of ∂L/∂w, which is one thing and ends there."""
    base = under.body if isinstance(under, Transpose) else under
    symbol = base.base if isinstance(base, Indexed) else base
    return isinstance(symbol, Symbol) and symbol.name.startswith("∂")


def _inclusive(bound: Node, mark: Token) -> Node:
    """The last value of an index that is ``≤ bound`` or ``< bound``."""
    if mark.text == "≤":
        return bound
    return Binary("-", bound, Number(1, mark.span), bound.span, mark.span)


def _plus_one(bound: Node, mark: Token) -> Node:
    return Binary("+", bound, Number(1, mark.span), bound.span, mark.span)
