"""Pages of RNN, GRU and LSTM from the parameters that their cases vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .report import NotRunError


@dataclass(frozen=True)
class Activation:
    """A function by its name in ONNX (any case), with alpha and beta where it has them."""

    name: str
    alpha: float | None = None
    beta: float | None = None

    def of(self, a: str) -> str:
        """The function of a written argument. Raises NotRunError for one that has no page."""
        alpha, beta = self.alpha, self.beta
        match self.name.lower():
            case "sigmoid" | "tanh" | "relu" as plain:
                return f"{plain}({a})"
            case "leakyrelu":
                alpha = 0.01 if alpha is None else alpha
                return f"(max({a}, 0) + {alpha} min({a}, 0))"
            case "scaledtanh":
                alpha, beta = (1.0 if k is None else k for k in (alpha, beta))
                return f"{alpha} tanh({beta} ({a}))"
            case other:
                raise NotRunError(f"the activation {other} has no page here")


@dataclass(frozen=True)
class Cell:
    """What a recurrence is made of: its kind, functions in order, and what its page has beside."""

    kind: str
    activations: Sequence[Activation]
    clip: float | None = None
    coupled: bool = False
    peephole: bool = False
    reset_after: bool = False
    backward: bool = False

    def page(self) -> str:
        """The equations; a recurrence from the end reads ``t+1``."""
        back = "t+1" if self.backward else "t-1"
        match self.kind:
            case "RNN":
                lines = [f"h[t] = {self.act(0, self.sums('h'))}"]
            case "GRU":
                lines = [f"{g}[t] = {self.act(0, self.sums(g))}" for g in "zr"]
                if self.reset_after:
                    new = "W_n x[t] + r[t] ⊙ (R_n h[t-1] + d_n) + b_n"
                else:
                    new = "W_n x[t] + R_n (r[t] ⊙ h[t-1]) + b_n"
                lines.append(f"n[t] = {self.act(1, new)}")
                lines.append("h[t] = (1 - z[t]) ⊙ n[t] + z[t] ⊙ h[t-1]")
            case "LSTM":
                old = {g: f" + p_{g} ⊙ c[t-1]" if self.peephole else "" for g in "if"}
                now = " + p_o ⊙ c[t]" if self.peephole else ""
                lines = [f"i[t] = {self.act(0, self.sums('i') + old['i'])}"]
                if self.coupled:
                    lines.append("f[t] = 1 - i[t]")
                else:
                    lines.append(f"f[t] = {self.act(0, self.sums('f') + old['f'])}")
                lines.append(f"g[t] = {self.act(1, self.sums('g'))}")
                lines.append("c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]")
                lines.append(f"o[t] = {self.act(0, self.sums('o') + now)}")
                lines.append(f"h[t] = o[t] ⊙ {self.activations[2].of('c[t]')}")
            case other:
                raise NotRunError(f"no page for a cell {other}")
        return "\n".join(lines).replace("t-1", back) + "\nwhere x[t]: D, h[t]: H"

    def sums(self, gate: str) -> str:
        return f"W_{gate} x[t] + R_{gate} h[t-1] + b_{gate}"

    def act(self, which: int, a: str) -> str:
        """A gate's function of its sum, which is clipped first where the cell clips."""
        clipped = a if self.clip is None else f"max(min({a}, {self.clip}), -{self.clip})"
        return self.activations[which].of(clipped)
