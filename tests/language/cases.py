"""Pages and calls that are wrong, each in one way: what is said of them is pinned in tests/golden/errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from tests.language.latex_cases import WRONG
from torch import Tensor

import chalkgrad

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
CONV = "y[i] = Σ[j] w[j] x[i+j] where x: input"
TWO = "h[t] = tanh(x[t] W + g[t] U + h[t-1] V)"


@dataclass(frozen=True)
class Case:
    """A page, the keywords of ``chalkgrad.layer``, and the arguments of the call that goes wrong: in order
    and by keyword."""

    text: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    call: tuple[Any, ...] | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        net = chalkgrad.layer(self.text, **self.keywords)
        if self.call is not None:
            net(*self.call, **self.asked)

    def __str__(self) -> str:
        given = "".join(f", {k}={_shown(v)}" for k, v in self.keywords.items())
        asked = [f"{k}={_shown(v)}" for k, v in self.asked.items()]
        called = "" if self.call is None else f"({', '.join([*map(_shown, self.call), *asked])})"
        text = self.text if len(self.text) < 1000 else self.text[:60].rstrip() + " …"
        page = f"{text}\n" if text else ""
        return f"{page}--- layer(…{given}){called}" if given or called else f"{page}---"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_shown(v)}" for k, v in value.items()) + "}"
    if not isinstance(value, Tensor):
        return repr(value)
    kind = str(value.dtype).removeprefix("torch.") + ("" if value.is_cpu else f" on {value.device}")
    return f"<{kind} {'×'.join(map(str, value.shape))}>"


def zeros(*shape: int, **kind: Any) -> Tensor:
    return torch.zeros(shape, **kind)


SIZES = {"x": 3, "h": 4}

CASES: dict[str, Case] = {
    # --- the text itself -------------------------------------------------------------------------------
    "empty text": Case(""),
    "no equation": Case("# only a comment\nwhere x: input"),
    "no equals sign": Case("h[t]\nx[t] W"),
    "nothing after the equals sign": Case("h[t] ="),
    "two equals signs": Case("h[t] == x[t]"),
    "nothing on the left": Case("= x[t]"),
    "bracket not closed": Case("h[t] = tanh(x[t] W_x + h[t-1] W_h + b"),
    "bracket not closed before where": Case("h[t] = tanh(x[t] W\nwhere x[t]: D"),
    "bracket not closed on an earlier line": Case("i[t] = σ(x[t] W_xi + b_i\nc[t] = i[t] ⊙ c[t-1]"),
    "bracket closed by another": Case("h[t) = x[t]"),
    "bracket that closes nothing": Case("h[t] = tanh x[t]) W"),
    "empty brackets": Case("h[t] = tanh()"),
    "strange character": Case("h[t] = x[t] € W"),
    "decimal without zero": Case("h[t] = .5 x[t]"),
    "number with underscore": Case("h[t] = 1_000 x[t]"),
    "number too large": Case("h[t] = 1e400 x[t]"),
    "numbers side by side": Case("y = [1 2; 3 4] x where x: input"),
    "power of a power": Case("y = x^2^3 where x: input"),
    "nested too deep": Case("y = " + "(" * 60 + "x" + ")" * 60),
    "too many operations": Case("y = " + " + ".join("x" * 150)),
    "too long": Case("y = x" + " " * 50_000),
    "derivative as a layer": Case("∂w[i] = Σ[j] δ[j] x[i+j]"),
    "times sign": Case("y = A × x where x: input"),
    "missing operator": Case("h[t] = x[t], y[t] = h[t] V"),
    "declaration without where": Case("h[t]: H = x[t]"),
    "wide letters": Case("은닉[t] = tanh(입력[t] 가중치 + 은닉[t-1] 순환) + 편향(입력[t] 가중치)"),
    "tabs": Case("h[t]\t=\ttahn(x[t] W)"),
    # --- LaTeX -----------------------------------------------------------------------------------------
    "script that could be two things": Case("i_t = \\sigma(W x_t + b_i) \\\\ y_i = c_i \\odot b_i"),
    "star beside a capital": Case("i_t = \\sigma(W_{xi} * X_t + W_{hi} * H_{t-1} + b_i)"),
    "integral": Case("[f * g](x)=\\int_{\\mathbb{R}^{d}} f(z) g(x-z) \\mathrm{d} z"),
    "probability": Case(
        "P\\left(X_{1}, \\ldots, X_{t}\\right)"
        "=\\prod_{s=1}^{t} P\\left(X_{s} \\mid X_{s-1}, \\ldots, X_{1}\\right)"
    ),
    "derivative in LaTeX": Case(
        "\\frac{\\partial \\mathcal{L}}{\\partial w_{i}}=\\sum_{j} \\delta_{j} x_{i+j-1}"
    ),
    "cases": Case("h_t = \\begin{cases} x_t & x_t > 0 \\\\ 0 & x_t \\le 0 \\end{cases}"),
    # --- functions -------------------------------------------------------------------------------------
    "unknown function": Case("h[t] = sigmoyd(x[t] W + h[t-1] U)"),
    "unknown letter as a function": Case("h[t] = f(W x[t])"),
    "letter stands for no function": Case("h[t] = τ(W x[t]) where τ = tahn"),
    "functions keyword": Case("h[t] = τ(W x[t])", {"functions": {"τ": "tahn"}}),
    "function without bracket": Case("y = σ x where x: input"),
    "too many arguments": Case("y = tanh(x, b) where x: input"),
    "pointwise function over an axis": Case("y[i] = tanh[i](x[i]) where x: input"),
    "function of a scalar": Case("y = softmax(x) where x: scalar input"),
    "function defined": Case("tanh[t] = x[t]"),
    # --- left sides ------------------------------------------------------------------------------------
    "left side no name": Case("x + 1 = y"),
    "left index no letter": Case("y[2t] = x[t]"),
    "left index twice": Case("y[i,i] = x[i] where x: input"),
    "left index summed": Case("y[i] = Σ[i] x[i] where x: input"),
    "left index unbounded": Case("y[i,j] = x[i] where x: input"),
    "left step fixed": Case("h[t] = tanh(x[t] W + h[t-1] U)\nh[5] = a"),
    "defined twice": Case("h[t] = x[t] W\nh[t] = x[t] V"),
    # --- indices ---------------------------------------------------------------------------------------
    "index not defined": Case("y[i] = Σ[j] V[k] x[i+j] where x: input"),
    "index after its sum": Case("y = Σ[i] x[i] + x[i] where x: input"),
    "index not affine": Case("y[i] = x[i*i] where x: input"),
    "index not whole": Case("y[i] = x[2.5i] where x: input"),
    "index as a value": Case("f(x) = tanh(W x) where x: input"),
    "sum without range": Case("y[i] = Σ[j] x[i+j] where x: input"),
    "sum without index": Case("y = Σ x[i] where x: input"),
    "sum over nothing": Case("y[i] = Σ[j=3..1] x[i+j] where x: input"),
    "sum to a fraction": Case("y[i] = Σ[j<3.5] x[i+j] where x: input"),
    "summed twice": Case("y[i] = Σ[j,j] x[i+j] V[j] where x: input"),
    "maximum with a moving end": Case("y[i] = max[j<i] x[j] where x: input, y: N"),
    "too many indices": Case("y[i] = Σ[j] w[i,j] x[j] where x: input, w: 3"),
    # --- recurrences -----------------------------------------------------------------------------------
    "cycle without a shift": Case("h[t] = tanh(h[t] W + x[t])"),
    "cycle of two": Case("a[t] = b[t] W\nb[t] = a[t] V + x[t]"),
    "cycle through a fixed step": Case("h[t] = tanh(x[t] W + h[0] U)"),
    "state read both ways": Case("h[t] = tanh(x[t] W + h[t-1] U + h[t+1] V)"),
    "states that wait for each other": Case("f[t] = g[t-1] W\ng[t] = f[t+1] V + x[t]"),
    "timed name read without its step": Case("y = h V\nh[t] = tanh(x[t] W + h[t-1] U)"),
    "start of the wrong rank": Case("h[t] = tanh(x[t] W + h[t-1] U)\nh[0] = A"),
    "start without a state": Case("h[t] = tanh(x[t] W)\nh[0] = a"),
    "start without an equation": Case("h[0] = a"),
    "start from itself": Case("h[t] = tanh(x[t] W + h[t-1] U)\nh[0] = h[1]"),
    "start along another index": Case("h[t,j] = tanh(x[t,j] + h[t-1,j])\nh[t,0] = a[t]"),
    "start of a backward state": Case("h[t] = tanh(x[t] W + h[t+1] U)\nh[0] = a"),
    # --- roles -----------------------------------------------------------------------------------------
    "ambiguous input": Case("y = W x + b"),
    "nothing given": Case("y = 3"),
    "input that is defined": Case("y = W x where y: input"),
    "parameter that is defined": Case("y = W x where y: parameter, x: input"),
    "output that is not defined": Case("y = W x where W: output, x: input"),
    "declared and not there": Case("y = W x where x: input, z: output"),
    "two names written as one": Case("y = Wx where x: input"),
    "declared twice": Case("y = W x where x: input, W: D×H, x: K"),
    "declared with another index": Case("h[t] = x[t] W where h[s]: H"),
    "size declared": Case("y[i] = Σ[j=1..k] V[j] x[i+j-1] where x: input, k: 3"),
    "slip in a declaration": Case("h[t] = x[t] w where w: scaler"),
    "declaration without anything": Case("h[t] = x[t] where x"),
    "inputs keyword": Case(RNN, {"inputs": "q"}),
    # --- ranks -----------------------------------------------------------------------------------------
    "ranks in a sum": Case("y = α + W x where x: input, α: A×B×C"),
    "ranks in a quotient": Case("y = x / W where x: input"),
    "ranks element by element": Case("y = (W x) ⊙ U where x: input, U: A×B"),
    "ranks in a product": Case("y = W x where x: input, W: A×B×C"),
    "rank of an exponent": Case("y = x^W where x: input"),
    "rank of a transpose": Case("y = Wᵀ x where x: input, W: A×B×C"),
    "ranks side by side": Case("y = [x; W] where x: input"),
    "one part side by side": Case("h[t] = tanh(W [x[t] h[t-1]])"),
    "rows of different length": Case("y = [[1, 2], [3]] x where x: input"),
    "product of two readings": Case("h[t] = r[t] ⊙ h[t-1] U\nr[t] = σ(x[t] W)"),
    "state of another rank": Case("α[t] = x[t] ⊙ α[t-1] where α[t]: scalar"),
    "declared with fewer axes than are written": Case("M[t,i,j] = M[t-1,i,j] + a[t,i] b[t,j]\nwhere M[t]: H"),
    "declared of another rank": Case("h[t] = x[t] W\nwhere h[t]: scalar"),
    # --- sizes -----------------------------------------------------------------------------------------
    "sizes that disagree": Case("h[t] = x[t] W where x[t]: 3, W: 4×H"),
    "sizes that leave nothing": Case("h[t] = W [h[t-1]; x[t]] where W: 4×4, x[t]: 4"),
    "nothing left for a size": Case("y[t] = [x[t]; u] W where x[t]: 4, W: 4×H"),
    "sizes side by side": Case("h[t] = W [h[t-1]; x[t]] where W: 4×4, x[t]: 4, h[t]: 4"),
    "size zero on the page": Case("h[t] = x[t] W where W: 0×H"),
    "size not fixed": Case(RNN, {"x": 3}),
    "size zero": Case(RNN, {"x": 0, "h": 4}),
    "size negative": Case(RNN, {"x": -1, "h": 4}),
    "size a boolean": Case(RNN, {"x": True, "h": 4}),
    "size a fraction": Case(RNN, {"x": 3.5, "h": 4}),
    "size unknown": Case("rnn", {"D": 3, "HH": 4}),
    "sizes too many": Case(RNN, {"x": (3, 4), "h": 4}),
    "sizes too few": Case(RNN, {"x": 3, "h": 4, "W_h": 4}),
    "sizes given twice": Case(RNN, {"x": 3, "h": 4, "W_x": (3, 5)}),
    "kernel larger than the input": Case(CONV, {"w": 5, "x": 3}),
    "read outside at a number": Case("y = x[5] where x: input 5"),
    "read from the end": Case("y = x[-1] w where x: input, w: scalar", {}, (zeros(2, 5),)),
    "parameter named like an attribute": Case("h[t] = tanh(x[t] W + forward)", {"x": 3, "h": 4}),
    "init of no parameter": Case(RNN, {**SIZES, "init": {"bias": 1.0}}),
    "init of another shape": Case(RNN, {**SIZES, "init": {"b": zeros(7)}}),
    "init of another kind": Case(RNN, {**SIZES, "init": {"b": "one"}}),
    "whole numbers as dtype": Case(RNN, {**SIZES, "dtype": torch.int64}),
    "unknown standard layer": Case("lstmm"),
    "no such file": Case("cell.chalk"),
    # --- calls -----------------------------------------------------------------------------------------
    "input too short": Case(CONV, {"w": 5}, (zeros(2, 4),)),
    "input of the wrong shape": Case(RNN, SIZES, (zeros(2, 5, 4),)),
    "input of the wrong rank": Case(RNN, SIZES, (zeros(5),)),
    "input of the wrong dtype": Case(RNN, SIZES, (zeros(2, 5, 3, dtype=torch.float64),)),
    "input of whole numbers": Case(RNN, SIZES, (zeros(2, 5, 3, dtype=torch.int64),)),
    "input on another device": Case(RNN, SIZES, (zeros(2, 5, 3, device="meta"),)),
    "input no tensor": Case(RNN, SIZES, ([1.0, 2.0],)),
    "too many inputs": Case(RNN, SIZES, (zeros(2, 5, 3), zeros(2, 4), zeros(2, 4))),
    "too few inputs": Case(TWO, {**SIZES, "g": 2}, (zeros(2, 5, 3),)),
    "lengths that differ": Case(TWO, {**SIZES, "g": 2}, (zeros(2, 5, 3), zeros(2, 6, 2))),
    "batches that differ": Case(TWO, {**SIZES, "g": 2}, (zeros(2, 5, 3), zeros(3, 5, 2))),
    "one batch and one example": Case(TWO, {**SIZES, "g": 2}, (zeros(2, 5, 3), zeros(5, 2))),
    "state of the wrong shape": Case(RNN, SIZES, (zeros(2, 5, 3), zeros(2, 5))),
    "state of the wrong dtype": Case(RNN, SIZES, (zeros(2, 5, 3), zeros(2, 4, dtype=torch.float64))),
    "state with too many parts": Case(RNN, SIZES, (zeros(2, 5, 3), (zeros(2, 4), zeros(2, 4)))),
    "state no tensor": Case(RNN, SIZES, (zeros(2, 5, 3), 3)),
    # --- sequences in a call ---------------------------------------------------------------------------
    "lengths without a recurrence": Case(CONV, {"w": 3}, (zeros(2, 5),), {"lengths": [5, 4]}),
    "lengths along two indices": Case(
        "h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V)",
        SIZES,
        (zeros(2, 5, 5, 3),),
        {"lengths": [5, 4]},
    ),
    "lengths no whole numbers": Case(RNN, SIZES, (zeros(2, 5, 3),), {"lengths": [5, 4.5]}),
    "lengths in a tensor of reals": Case(RNN, SIZES, (zeros(2, 5, 3),), {"lengths": torch.ones(2)}),
    "lengths for too few": Case(RNN, SIZES, (zeros(2, 5, 3),), {"lengths": [5]}),
    "length above the number of steps": Case(RNN, SIZES, (zeros(2, 5, 3),), {"lengths": [5, 6]}),
    "length of none": Case(RNN, SIZES, (zeros(2, 5, 3),), {"lengths": torch.tensor([5, 0])}),
    "length shorter than a window": Case(
        "h[t] = tanh(Σ[p] w[p] x[t+p] + u h[t-1])\nwhere x[t]: scalar, w: 3, u: scalar, h[t]: scalar",
        {},
        (zeros(2, 5),),
        {"lengths": [5, 2]},
    ),
    "lengths where it is turned round": Case(
        "h[t] = tanh(x[t] W + h[t-1] U)\ny[t] = V h[T-t]",
        {**SIZES, "y": 2},
        (zeros(2, 5, 3),),
        {"lengths": [5, 4]},
    ),
    "lengths where it strides": Case(
        "h[t] = tanh(Σ[p] w[p] x[2t+p] + u h[t-1])\nwhere x[t]: scalar, w: 3, u: scalar, h[t]: scalar",
        {},
        (zeros(2, 5),),
        {"lengths": [5, 4]},
    ),
    "resets no bools": Case(RNN, SIZES, (zeros(2, 5, 3),), {"resets": zeros(2, 5)}),
    "resets of the wrong shape": Case(RNN, SIZES, (zeros(2, 5, 3),), {"resets": zeros(5, dtype=torch.bool)}),
    "resets where all steps are read": Case(
        "h[t] = tanh(x[t] W + h[t-1] U)\ny[k] = max[t] h[t,k]",
        SIZES,
        (zeros(2, 5, 3),),
        {"resets": zeros(2, 5, dtype=torch.bool)},
    ),
    "truncate after no step": Case(RNN, SIZES, (zeros(2, 5, 3),), {"truncate": 0}),
    "truncate where the whole past is read": Case(
        "h[t] = tanh(x[t] W + h[t-1] U + Σ[s<t] h[s])", SIZES, (zeros(2, 5, 3),), {"truncate": 2}
    ),
}

CASES.update((name, Case(text)) for name, text in WRONG.items())
