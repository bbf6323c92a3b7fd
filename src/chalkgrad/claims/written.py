"""A claim as it is written → lines whose names are those of the page: ∂L/∂w becomes ∂w, δ_h becomes ∂h."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

from chalkgrad.calculus.loss import LOSS
from chalkgrad.claims.claim import DELTA, Claim, Claims, Quotient, head, rebuilt
from chalkgrad.claims.ground import Page
from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.parse.syntax import (
    Binary,
    Call,
    Group,
    Indexed,
    Line,
    Negate,
    Node,
    Number,
    Symbol,
    Text,
    Transpose,
    parts,
)
from chalkgrad.language.resolve.roles import is_function, shifted_letter
from chalkgrad.language.source import EquationError, Label, Span


def read_claims(source: str, page: Page) -> Claims:
    """The claims in a text about a page. Raises EquationError that points into the claim's own text."""
    return _Reading(page, parse(source)).claims()


class _Reading:
    def __init__(self, page: Page, text: Text) -> None:
        self.page, self.text = page, text
        self.functions = dict(page.functions)
        self.delta: str | None = None
        self.own: set[str] = set()

    def fail(self, problem: str, *labels: Label, help: str) -> EquationError:
        return EquationError(problem, self.text.source, labels, help)

    def claims(self) -> Claims:
        for d in self.text.declarations:
            if d.alias is None:
                raise self.fail(
                    "a claim takes its names, shapes and roles from the page",
                    (d.span, "said here"),
                    help="remove this; only where δ = ∂h, or where f = tanh, says something about a claim",
                )
            name, value = d.name.name, d.alias.name
            if name == DELTA:
                self.delta = self.gradient_named(value, d.alias.span)
            else:
                self.functions[name] = value
        lefts = [head(line.left) for line in self.text.lines]
        self.own = {n for n in lefts if n and self.about(n) is None and n not in self.page.forward.table}
        claims: list[Claim] = []
        quotients: list[Quotient] = []
        helpers: list[Line] = []
        for line in self.text.lines:
            if (quotient := self.jacobian(line)) is not None:
                quotients.append(quotient)
                continue
            found = self.line(line)
            if isinstance(found, Line):
                helpers.append(found)
            else:
                claims += found
        if not claims and not quotients and DELTA not in {head(h.left) for h in helpers}:
            first = self.text.lines[0].left
            near = self.near(head(first).lstrip("d"))
            raise self.fail(
                "this claims nothing about the page: no left side is a derivative",
                (first.span, "not a derivative"),
                help="did you mean " + " or ".join(f"∂{n}" for n in near)
                if near
                else f"write what is claimed: {self.example()}",
            )
        return Claims(
            self.text.source, tuple(claims), tuple(quotients), tuple(helpers), self.delta, self.functions
        )

    def example(self) -> str:
        name = next((n.name for n in self.page.forward.given("parameter", "input")), "W")
        return f"∂{name} = …"

    # --- one line ----------------------------------------------------------------------------------------

    def line(self, line: Line) -> list[Claim] | Line:
        left = self.value(line.left)
        sides = tuple(self.value(side) for side in (line.right, *line.chain))
        name = head(left)
        about = self.about(name)
        if about is None and name and name in self.own and not name.startswith("∂"):
            return Line(left, sides[0], (), line.span)
        if about is None or isinstance(left, Call):
            self.refuse_loss_alone(name, line.left.span)
            if name in self.page.forward.table:
                raise self.fail(
                    f"`{name}` is on the page already, and a claim is about a derivative",
                    (line.left.span, "not a derivative"),
                    help=f"write ∂{name} = …",
                )
            raise self.unknown(name.removeprefix("∂"), line.left.span, name.startswith("∂"))
        if about in self.page.seeds and name == self.page.seeds[about]:
            raise self.fail(
                f"`{name}` is what arrives from the loss: nothing on the page derives it",
                (line.left.span, "claimed here"),
                help=f"claim another gradient, {self.example()}, or add the loss to the page: L = …",
            )
        at = left.at if isinstance(left, Indexed) else ()
        for side in sides:
            if head(inner := bared(side)) == name and places_of(inner) == places_of(left):
                raise self.fail(
                    "both sides are the same",
                    (side.span, "claims nothing"),
                    help="write the right side with other names",
                )
        return [Claim(about, at, line.left.span, side) for side in sides]

    def jacobian(self, line: Line) -> Quotient | None:
        """``∂h[t]/∂h[t-1] = …``, where the name above is on the page and no loss."""
        if not isinstance(line.left, Binary) or line.left.op != "/":
            return None
        above, below = line.left.left, line.left.right
        of, by = head(above).removeprefix("∂"), head(below).removeprefix("∂")
        if not isinstance(above, Indexed) or not isinstance(below, Indexed) or by == head(below):
            return None
        table, steps = self.page.forward.table, self.page.resolved.recurrence
        if of not in table or by not in table or (of != by and of in self.page.losses()):
            return None
        (a, first), (b, second) = shifted_letter(above.at[0]), shifted_letter(below.at[0])
        along = all(table[n].written == 1 and table[n].ranges[0].axis in steps for n in (of, by))
        if not along or len(above.at) > 1 or len(below.at) > 1 or a is None or a != b or first:
            return None
        return Quotient(of, by, above.at, second, line.left.span, self.value(line.right))

    def near(self, name: str) -> list[str]:
        """The names of the page that are spelled almost so."""
        known = [n.name for n in self.page.forward.names if not n.generated]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        return near + [n for n in known if n.lower() == name.lower() and n not in near]

    def unknown(self, name: str, span: Span, derivative: bool) -> EquationError:
        known = [n.name for n in self.page.forward.names if not n.generated]
        near = self.near(name)
        said = [f"∂{n}" if derivative else n for n in near or known]
        lead = "did you mean " + " or ".join(said) if near else "names are " + ", ".join(said)
        return self.fail(
            f"`{name}` is not on the page"
            + (", so it has no gradient" if derivative else ", and the claim does not define it"),
            (span, "not known"),
            help=lead,
        )

    # --- names -------------------------------------------------------------------------------------------

    def about(self, name: str) -> str | None:
        """The name of the page whose gradient this is, by its spelling."""
        table = self.page.forward.table
        if name in table:
            return None
        for prefix in ("∂", "δ_", "delta_", "grad_", "d"):
            rest = name.removeprefix(prefix)
            if rest != name and rest in table:
                return rest
        for output, seed in self.page.seeds.items():
            if name == seed or (name == f"{output}_bar" and output in table):
                return output
        return None

    def canonical(self, name: str) -> str:
        """The gradient's own name: ȳ of the output h for the seed, ∂h for every other."""
        about = self.about(name)
        if about is None:
            return DELTA if name == "delta" and name not in self.page.forward.table else name
        seed = self.page.seeds.get(about)
        return seed if seed is not None and name in (seed, f"{about}_bar") else f"∂{about}"

    def gradient_named(self, name: str, span: Span) -> str:
        about = self.about(name)
        if about is None:
            raise self.unknown(name.removeprefix("∂"), span, True)
        return about

    def value(self, node: Node) -> Node:
        """The node with every derivative under the name that the derivation gives it."""
        match node:
            case Symbol(name) if (step := self.at_a_step(name, node.span)) is not None:
                return step
            case Symbol(name):
                self.refuse_loss_alone(name, node.span)
                return Symbol(self.canonical(name), node.span)
            case Indexed(base, at):
                self.refuse_loss_alone(base.name, node.span)
                return Indexed(Symbol(self.canonical(base.name), base.span), at, node.span)
            case Call(base, args):
                return self.call(base, args, node)
            case Binary("/", left, right):
                return self.quotient(left, right) or rebuilt(node, self.value)
            case _:
                return rebuilt(node, self.value)

    def at_a_step(self, name: str, span: Span) -> Indexed | None:
        """``h_T`` and ``h_0``, where the page has h at steps and no such name: h at that step."""
        found = re.fullmatch(r"(.+)_([A-Z]|\d+)", name)
        table = self.page.forward.table
        if found is None or name in table or name in self.own or self.about(name) is not None:
            return None
        stem = self.about(found[1]) or (found[1] if found[1] in table else None)
        if stem is None or not table[stem].ranges or not table[stem].written:
            return None
        letter = table[stem].ranges[0].axis
        if letter not in self.page.resolved.recurrence or not (
            found[2].isdigit() or found[2].lower() == letter
        ):
            return None
        item = Number(int(found[2]), span) if found[2].isdigit() else Symbol(found[2], span)
        return Indexed(Symbol(self.canonical(found[1]), span), (item,), span)

    def refuse_loss_alone(self, name: str, span: Span) -> None:
        rest = name.removeprefix("∂")
        if rest == name or self.about(name) is not None or rest in self.page.forward.table:
            return
        if LOSS.fullmatch(rest):
            raise self.fail(
                f"`{name}` alone is no gradient: of the loss, but by what?",
                (span, "by what?"),
                help=f"write {name}/{self.example()}",
            )
        raise self.unknown(rest, span, True)

    def call(self, base: Symbol | Indexed, args: tuple[Node, ...], node: Node) -> Node:
        """``tanh'(a)`` is a slope; ``diag(v)``, and ``D(v)`` where the page has no D, a diagonal matrix."""
        inner = tuple(self.value(a) for a in args)
        if isinstance(base, Indexed):
            return Call(base, inner, node.span)
        name = base.name
        stem = name.rstrip("'′")
        taken = name in self.page.forward.table or name in self.own
        if stem != name and is_function(stem, self.functions) and not taken:
            self.functions[name] = self.functions.get(stem, stem)
        elif name in ("diag", "D") and not taken and (name != "D" or not self.is_size(name)):
            self.functions["diag"] = "abs"  # any function: that `diag` is one is all the roles ask
            base = Symbol("diag", base.span)
        elif not is_function(name, self.functions):
            return Call(Symbol(self.canonical(name), base.span), inner, node.span)
        return Call(base, inner, node.span)

    def is_size(self, name: str) -> bool:
        return name in self.page.resolved.sizes or name in self.page.resolved.program.symbols

    # --- ∂L/∂w -------------------------------------------------------------------------------------------

    def quotient(self, left: Node, right: Node) -> Node | None:
        """``A ∂L/∂w B``, read as A · (∂w) · B; None for a quotient that is no derivative."""
        last, before = _last(left)
        first, after = _first(right)
        bottom = first.body if isinstance(first, Transpose) else first
        top, under = head(last), head(bottom)
        if not (top.startswith("∂") and under.startswith("∂")):
            return None
        if isinstance(bottom, Symbol) and (step := self.at_a_step(under, bottom.span)) is not None:
            bottom, under = step, step.base.name
        self.refuse_jacobian(last, bottom)
        if self.about(under) is None:
            raise self.unknown(under[1:], bottom.span, True)
        gradient = self.value(first)
        span = last.span.to(first.span)
        whole: Node = replace(gradient, span=span) if isinstance(gradient, Symbol | Indexed) else gradient
        return after(self.value, before(self.value, whole))

    def refuse_jacobian(self, top: Node, bottom: Node) -> None:
        """A quotient's upper side is the loss: a name that the page lacks, or an output, if that is one."""
        name = head(top)[1:]
        if name in self.page.forward.table and name not in self.page.losses():
            raise self.fail(
                f"∂{name}/{head(bottom)} is a Jacobian, and `{name}` is no loss",
                (top.span.to(bottom.span), "not the gradient of a loss"),
                help=f"write ∂L/{head(bottom)}; a Jacobian is claimed from step to step: ∂h[t]/∂h[t-1] = …",
            )
        items = top.at if isinstance(top, Indexed) else ()
        own = bottom.at if isinstance(bottom, Indexed) else ()
        if items and own and not {_spelled(i) for i in items} & {_spelled(i) for i in own}:
            raise self.fail(
                "this is the loss of one step, by a name at another step",
                (top.span.to(bottom.span), "two steps"),
                help=f"claims are about the whole loss: ∂{name}/{head(bottom)}[…] = …",
            )


def bared(node: Node) -> Node:
    """The node without brackets around it."""
    return bared(node.body) if isinstance(node, Group) else node


def places_of(node: Node) -> tuple[object, ...]:
    """The indices of a read, to be compared with another's."""
    return tuple(_spelled(i) for i in node.at) if isinstance(node, Indexed) else ()


def _spelled(node: Node) -> tuple[object, ...]:
    match node:
        case Symbol(name):
            return (name,)
        case Number(x):
            return (x,)
        case _:
            return (type(node).__name__, *chain(*(_spelled(p) for p in parts(node))))


Wrap = Callable[[Callable[[Node], Node], Node], Node]


def _plain(_: Callable[[Node], Node], inner: Node) -> Node:
    return inner


def _last(node: Node) -> tuple[Node, Wrap]:
    """The last factor of a product, and how the factors before it go on from it."""
    if isinstance(node, Binary) and node.op in ("·", "⊙"):
        last, before = _last(node.right)

        def wrap(value: Callable[[Node], Node], inner: Node) -> Node:
            return Binary(
                node.op, value(node.left), before(value, inner), node.left.span.to(inner.span), node.op_span
            )

        return last, wrap
    if isinstance(node, Negate):
        last, before = _last(node.body)
        return last, lambda value, inner: Negate(before(value, inner), node.span.to(inner.span))
    return node, _plain


def _first(node: Node) -> tuple[Node, Wrap]:
    """The first factor of a product, and how the factors behind it go on from it."""
    if isinstance(node, Binary) and node.op == "·":
        first, after = _first(node.left)

        def wrap(value: Callable[[Node], Node], inner: Node) -> Node:
            left = after(value, inner)
            return Binary("·", left, value(node.right), left.span.to(node.right.span), node.op_span)

        return first, wrap
    return node, _plain
