"""Items → tokens, the same that the text form has: ``h_{t-1}`` becomes h[t-1], ``\\frac{a}{b}`` ((a)/(b))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.latex.brackets import CLOSE, OPEN, is_index, marks, partners
from chalkgrad.language.parse.latex.indices import is_big
from chalkgrad.language.parse.latex.names import NameWriter, ends
from chalkgrad.language.parse.latex.scripts import Piece, label, slots
from chalkgrad.language.parse.latex.segments import mark_of
from chalkgrad.language.parse.latex.tree import (
    Break,
    Digits,
    Fraction,
    Item,
    Matrix,
    Name,
    Root,
    Scripted,
    Sign,
    base_of,
    name_of,
)
from chalkgrad.language.parse.text import Token
from chalkgrad.language.source import Span
from chalkgrad.language.words import STRUCTURED

_TERM_ENDS = {"+", "-", "=", ")", "]", ",", ";", "≤", "<", "≥", ">"}


class Writer(NameWriter):
    """Writes the equations of one page, one after the other."""

    def equation(self, found: Sequence[Item], own: frozenset[str]) -> None:
        self.own = own
        self.items(tuple(found))
        self.newline(found[-1].span)

    def newline(self, after: Span) -> None:
        self.tokens.append(Token("newline", "\n", Span(after.end, after.end + 1)))

    # --- sequences -------------------------------------------------------------------------------------

    def items(self, found: tuple[Item, ...]) -> None:
        partner = partners(found)
        shown = marks(found, partner)
        begun = len(self.tokens)
        bars: list[Item] = []  # the absolute values and norms that are open
        k = 0
        while k < len(found):
            item = found[k]
            mark = mark_of(item)
            if mark == "∂":
                k += self.partial(found, k)
                continue
            if mark in ("|", "‖"):
                self.bar(item, mark, bars, begun)
            elif self.is_function(item) and not is_big(item):
                k = self.function(found, k, partner)
                continue
            elif mark in OPEN:
                if mark == "[" and shown.get(k) != "(" and not is_index(found, k, partner):
                    self.factor_follows()
                self.open(found, k, shown.get(k, mark))
            elif mark in CLOSE:
                self.close(item, shown.get(k, mark))
            elif mark in (",", ";"):
                self.mark(shown[k], item.span)
            else:
                self.one(item)
            k += 1
        if bars:
            self.fail(
                "a bar is opened and not closed",
                bars[-1].span,
                "this one",
                "write |a| for the absolute value; two vectors are joined by [a, b]",
            )

    def one(self, item: Item) -> None:
        match item:
            case Name(text, span):
                self.put("name", text, span, item.gap)
            case Digits(text, span):
                self.factor_follows()
                self.put("number", text, span, item.gap)
            case Sign(text, span):
                self.sign(text, span, item.gap)
            case Scripted(Name()):
                self.name(item) if not is_big(item) else self.big(item)
            case Scripted(Sign("Σ")):
                self.big(item)
            case Scripted(base):
                self.one(base)
                self.exponent(item)
            case Fraction():
                self.fraction(item)
            case Root(body, degree, span):
                self.factor_follows()
                opened, closed = ends(span)
                if degree:
                    self.wrapped(body, span)
                    self.mark("^", opened)
                    self.mark("(", opened)
                    self.put("number", "1", opened)
                    self.mark("/", opened)
                    self.wrapped(degree, span)
                    self.mark(")", closed)
                else:
                    self.put("name", "sqrt", opened)
                    self.wrapped(body, span)
            case Matrix():
                self.matrix(item)
            case Break():
                pass  # a wide space inside brackets

    def sign(self, text: str, span: Span, gap: bool) -> None:
        if text == "∏":
            self.fail(
                "a product over an index is not read",
                span,
                "here",
                "write it as a recurrence, p_t = p_{t-1} \\odot a_t, or as \\exp(\\sum_j \\log a_j)",
            )
        if text == "…":
            self.fail(
                "dots leave open what they stand for",
                span,
                "these dots",
                "write the sum as \\sum_{j=1}^{k}, and each equation once, for all t",
            )
        if text in ("⟨", "⟩"):
            self.fail("angle brackets are not read", span, "here", "write a^\\top b for the inner product")
        if text in ("ℝ", "ℕ", "∣", "′"):
            self.fail(f"`{self.written(span)}` means nothing here", span, "here", "keep the equation alone")
        if text == "*":
            text = "⊙"
        if self.where and text == "·" and "times" in self.written(span):
            text = "×"
        self.mark(text, span, gap)

    # --- brackets --------------------------------------------------------------------------------------

    def open(self, found: tuple[Item, ...], k: int, mark: str) -> None:
        before = self.tokens[-1] if self.tokens else None
        # h_{t}(1 - z_t) is a product; f(i) and softmax[s](e) are for the resolver.
        applied = k > 0 and self.is_function(found[k - 1])
        gap = not applied and (found[k].gap or (before is not None and before.text in ("]", "ᵀ")))
        self.mark(mark, found[k].span, gap)

    def close(self, item: Item, mark: str) -> None:
        self.mark(mark, base_of(item).span)
        if isinstance(item, Scripted):
            self.exponent(item)

    def bar(self, item: Item, mark: str, bars: list[Item], begun: int) -> None:
        """``|x|`` is abs(x), ``‖x‖`` norm(x): a bar closes where one is open, after an operand."""
        last = self.tokens[-1] if len(self.tokens) > begun else None
        operand = last is not None and (last.kind in ("name", "number") or last.text in (")", "]", "ᵀ", "²"))
        if bars and mark_of(bars[-1]) == mark and operand:
            bars.pop()
            self.mark(")", item.span)
            if isinstance(item, Scripted):
                if item.sub and label(item.sub) != "2":
                    self.fail("only the 2-norm is read", item.span, "another norm", "write it as a sum")
                self.exponent(Scripted(item.base, None, item.sup, item.span))
            return
        bars.append(item)
        self.factor_follows()
        self.put("name", "abs" if mark == "|" else "norm", item.span)
        self.mark("(", item.span)

    # --- fractions, sums, functions, matrices ----------------------------------------------------------

    def fraction(self, item: Fraction) -> None:
        above, below = _differentials(item.above), _differentials(item.below)
        self.factor_follows()
        opened, closed = ends(item.span)
        slash = Span(opened.start, opened.start + 1)
        if above and below:  # ∂L/∂w
            first = len(self.tokens)
            self.items(above)
            self.mark("/", slash)
            self.items(below)
            # The whole fraction is pointed at, its command and braces too.
            self.tokens[first] = _from(self.tokens[first], item.span.start)
            self.tokens[-1] = _up_to(self.tokens[-1], item.span.end)
            return
        self.mark("(", opened)
        self.wrapped(item.above, item.span)
        self.mark("/", slash)
        self.wrapped(item.below, item.span)
        self.mark(")", closed)

    def partial(self, found: tuple[Item, ...], k: int) -> int:
        """∂ and what follows it, as one name; how many items that were."""
        sign = found[k]
        following = found[k + 1] if k + 1 < len(found) else None
        self.factor_follows()
        if isinstance(following, Name | Scripted) and name_of(following):
            self.name(following, "∂", sign.span)
            count = 2
        else:
            self.put("name", "∂", sign.span)
            count = 1
        if isinstance(sign, Scripted) and sign.sub:
            self.mark("/", sign.span)
            for item in sign.sub[:1]:
                if isinstance(item, Name | Scripted) and name_of(item):
                    self.name(item, "∂", sign.span)
        return count

    def big(self, item: Scripted) -> None:
        """``\\sum_{j=1}^{k}`` as Σ[j=1..k], ``\\max_{p<2}`` as max[p<2]."""
        word = name_of(item) or "Σ"
        self.factor_follows()
        self.put("mark" if word == "Σ" else "name", word, item.base.span)
        if not item.sub:
            if item.sup:
                self.fail("this sum has an end and no index", item.span, "here", "write \\sum_{j=1}^{k}")
            return
        opened, closed = ends(item.span)
        pieces = next((s.pieces for s in slots(Scripted(item.base, item.sub, None, item.span))), ())
        if not pieces:
            self.fail("this sum has no index", item.span, "here", "write \\sum_{j=1}^{k}")
        begin = next((p[_at(p, "=") :] for p in pieces if _at(p, "=")), ())
        if mark_of(item.sub[0]) in OPEN:
            self.fail(
                "a set of points is not read",
                item.sub[0].span.to(item.sub[-1].span),
                "which points are in it?",
                "write the range of each index, and read at a shift: \\max_{0 \\le p < 2} x_{2i+p}",
            )
        if _is_endless(begin[1:], -1) and _is_endless(item.sup or (), 1):
            self.mark("[", opened)
            for n, piece in enumerate(pieces):
                if n:
                    self.mark(",", piece[0].span)
                self.items(piece[: _at(piece, "=") or len(piece)])
                self.mark("∈", piece[-1].span)
                self.mark("ℤ", piece[-1].span)
            self.mark("]", closed)
            self.opened = len(self.tokens)
            return
        if item.sup and not begin:
            self.fail(
                "this sum has an end and no beginning",
                item.span,
                "from where?",
                "write \\sum_{j=1}^{k}, or \\sum_{j} over all of it",
            )
        if begin and not item.sup:
            self.fail(
                "this sum has a beginning and no end",
                item.span,
                "up to where?",
                "write \\sum_{j=1}^{k}, or \\sum_{j} over all of it",
            )
        self.mark("[", opened)
        for n, piece in enumerate(pieces):
            if n:
                self.mark(",", piece[0].span)
            self.items(piece)
            if begin and not _at(piece, "="):
                self.items(begin)
            if item.sup:
                self.mark("..", item.sup[0].span)
                self.items(item.sup)
        self.mark("]", closed)
        self.opened = len(self.tokens)

    def is_function(self, item: Item) -> bool:
        base = base_of(item)
        return isinstance(base, Name) and base.word and (base.text in FUNCTIONS or base.text in STRUCTURED)

    def function(self, found: tuple[Item, ...], k: int, partner: dict[int, int]) -> int:
        """A function and, where it has no bracket, the one factor it is of; where to go on."""
        item = found[k]
        assert isinstance(item, Name | Scripted)
        self.head(item)
        after = k + 1
        while after < len(found) and isinstance(found[after], Break):
            after += 1
        if after >= len(found):
            return after
        following = found[after]
        if mark_of(following) in OPEN or (mark_of(following) and mark_of(following) != "Σ"):
            return after  # its bracket, or an error that the grammar names
        end = self.operand_end(found, after, partner)
        self.mark("(", following.span)
        self.items(found[after:end])
        self.mark(")", found[end - 1].span)
        return end

    def operand_end(self, found: tuple[Item, ...], k: int, partner: dict[int, int]) -> int:
        """Where the operand that begins at ``k`` ends: `\\log p_t` has one, `\\log \\sum …` the whole sum."""
        first = found[k]
        if isinstance(first, Scripted) and is_big(first):
            end = k
            while end < len(found) and mark_of(found[end]) not in _TERM_ENDS:
                end = partner.get(end, end) + 1
            return end
        end = k + 1
        if self.is_function(first):
            if end < len(found) and mark_of(found[end]) in OPEN:
                return partner.get(end, end) + 1
            return self.operand_end(found, end, partner) if end < len(found) else end
        following = found[end] if end < len(found) else None
        another = following is not None and (
            (isinstance(following, Name | Digits | Fraction | Root) or mark_of(following) in ("(", "Σ"))
            or (isinstance(following, Scripted) and not mark_of(following))
        )
        if another and following is not None and not self.is_function(following):
            span = found[k - 1].span
            self.fail(
                "how far this function goes is not said",
                span.to(first.span),
                "of this alone, or of what follows too?",
                f"write {self.written(span)}(…)",
            )
        return end

    def head(self, item: Name | Scripted) -> None:
        """A function's name, with the axis it goes over: softmax[s]."""
        if isinstance(item, Name):
            self.factor_follows()
            self.put("name", item.text, item.span, item.gap)
            self.opened = len(self.tokens)
            return
        if item.sup:
            name, power = self.written(item.base.span), self.written(item.sup[0].span.to(item.sup[-1].span))
            self.fail(
                f"a script stands above the function `{name_of(item)}`",
                item.span,
                "here",
                f"write it behind the bracket: ({name}(x))^{{{power}}}",
            )
        self.factor_follows()
        self.name(item)
        self.opened = len(self.tokens)

    def matrix(self, item: Matrix) -> None:
        """A column is a concatenation, anything else a literal of numbers."""
        self.factor_follows()
        opened, closed = ends(item.span)
        column = all(len(row) == 1 for row in item.rows)
        self.mark("[", opened)
        for n, row in enumerate(item.rows):
            if n:
                self.mark(";" if column else ",", row[0][0].span)
            if not column:
                self.mark("[", row[0][0].span)
            for k, entry in enumerate(row):
                if k:
                    self.mark(",", entry[0].span)
                self.items(entry)
            if not column:
                self.mark("]", row[-1][-1].span)
        self.mark("]", closed)


def _from(token: Token, start: int) -> Token:
    return replace(token, span=Span(start, token.span.end))


def _up_to(token: Token, end: int) -> Token:
    return replace(token, span=Span(token.span.start, end))


def _is_endless(end: tuple[Item, ...], sign: int) -> bool:
    """Whether a sum begins at -∞ (``sign`` -1) or ends at ∞."""
    marks = [mark_of(i) for i in end]
    return marks == ["-", "∞"] if sign < 0 else marks in (["∞"], ["+", "∞"])


def _at(piece: Piece, mark: str) -> int:
    """Where a sign stands in a piece, 0 where it does not."""
    return next((k for k, i in enumerate(piece) if mark_of(i) == mark), 0)


def _differentials(side: tuple[Item, ...]) -> tuple[Item, ...]:
    """One side of ∂L/∂w or dL/dw, with ∂ for the d; () where it is neither."""
    if not side:
        return ()
    if mark_of(side[0]) == "∂":
        return side
    first = side[0]
    if (
        isinstance(first, Name)
        and first.text == "d"
        and len(side) == 2
        and isinstance(side[1], Name | Scripted)
    ):
        return (Sign("∂", first.span), side[1])
    return ()
