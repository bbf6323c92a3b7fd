"""What an equation of a note is when it is seen alone: part of a layer, a claim, a size, or no layer."""

from __future__ import annotations

import re

from chalkgrad.equations.ops import FUNCTIONS
from chalkgrad.language.parse.latex import commands
from chalkgrad.language.parse.syntax import Call, Line, Number, Symbol
from chalkgrad.language.source import EquationError, Span
from chalkgrad.language.words import STRUCTURED
from chalkgrad.notes import names
from chalkgrad.notes.pieces import Equation, Kind, Piece

_NO_LAYER = (
    "int", "iint", "iiint", "oint", "Pr", "sim", "mathbbm", "nabla", "prod", "lim", "argmax", "arg", "approx",
    "neq", "propto",
)  # fmt: skip
_EXPECTATION = re.compile(
    r"\\(?:mathbb|mathbf|mathrm|operatorname|mathcal)\{?\s*(?:E|Var|Cov)\s*\}?\s*(?:_\{?|\\left|\\[Bb]igg?[lr]?|[\[(])"
    r"|\\E\b|\\Var\b|𝔼"
)
_MEAN = (
    "an expectation is no layer",
    "write what is computed from numbers: the mean over a batch, L = mean(…)",
)
_FLOOR = re.compile(r"\\[lr](?:floor|ceil)|⌊|⌈")
_DERIVATIVE = re.compile(r"\\partial|\\nabla|∂|∇|\\frac\s*\{\s*\\?(?:mathrm)?\{?d[\s}\\A-Za-z]")


def unread(piece: Piece, span: Span) -> Equation | None:
    """What the language has no word for and a note often holds: rounded sizes, expectations."""
    if _FLOOR.search(piece.text) and not re.search(r"_t\b|_\{t|\\sum", piece.text):
        return Equation(piece, span, "numbers")
    if m := _EXPECTATION.search(piece.text):
        here = Span(piece.start + m.start(), piece.start + m.end())
        error = EquationError(_MEAN[0], "", ((here, "here"),), _MEAN[1])
        return Equation(piece, span, "no layer", None, error)
    return None


def kind_of_error(piece: Piece, error: EquationError) -> Kind:
    """What a piece is that cannot be read."""
    left = re.split(r"=|\\leftarrow|\\approx|\\propto", piece.text, maxsplit=1)[0]
    if _DERIVATIVE.search(left):
        return "claim"
    if error.problem in {commands.REFUSED[c][0] for c in _NO_LAYER if c in commands.REFUSED}:
        return "no layer"
    if "no `=`" in error.problem or error.problem.startswith("there is no equation"):
        return "expression"
    return "not read"


Reason = tuple[str, str] | None
"""What is wrong and what to do, None where nothing is."""


def kind_of(line: Line, display: bool) -> tuple[Kind, Reason]:
    """What an equation is; ``display``: it stands on its own, not inside a sentence."""
    sides = (line.right, *line.chain)
    name = names.defined(line)
    if names.is_derivative(line.left):
        return "claim", None
    if names.is_differential(line.left):
        return "claim", ("`d h` is read as a product", "write \\partial h_t for dh_t")
    gradient = any(names.holds(s, "∂") for s in sides)
    if name.startswith("δ") and (gradient or any(names.holds(s, "δ") for s in sides)):
        return "claim", None
    if gradient:
        return "no layer", (
            "what is done with gradients is no layer",
            "torch.optim takes the steps of training; chalkgrad derive shows the gradients",
        )
    if _defines_function(line):
        return "function", None
    if f := _general_form(line):
        return "no layer", (
            f"`{f}` is not said: this is the general form of a layer",
            "write what is computed: h_t = \\tanh(W x_t + U h_{t-1} + b)",
        )
    if not name:
        return "not read", ("the left side of this equation is no name", "write what it defines: y_t = …")
    numbers = all(names.is_arithmetic(s) for s in sides) and any(names.has_number(s) for s in sides)
    start = names.is_start(line) and all(isinstance(s, Number) for s in sides)
    renames = not display and isinstance(line.right, Symbol) and not line.chain
    if ((numbers or renames) and not names.indexed(line)) or start:
        return "numbers", None
    return "layer", None


def _general_form(line: Line) -> str:
    """``f`` of h_t = f(x_t, h_{t-1}): a letter with several arguments that stands for any function."""
    match line.right:
        case Call(Symbol(f), (_, _, *_)) if f not in FUNCTIONS and f not in STRUCTURED and "∗" not in f:
            return "" if f in names.reads_at_indices(line) else f
        case _:
            return ""


def _defines_function(line: Line) -> bool:
    """σ(x) = 1/(1 + exp(-x)): a function that the language knows."""
    match line.left:
        case Call(Symbol(name), (Symbol(),)):
            return name in FUNCTIONS or name in STRUCTURED
        case _:
            return False


def alias_of(line: Line) -> str:
    """``tanh`` of τ = tanh, "" for any other equation."""
    match line.left, line.right:
        case Symbol(), Symbol(name) if (name in FUNCTIONS or name in STRUCTURED) and len(name) > 1:
            return "" if line.chain else name
        case _:
            return ""
