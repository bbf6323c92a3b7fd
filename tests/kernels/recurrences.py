"""Recurrences drawn as pages of text: what the language can say about a loop, put together at random.

Sizes are symbols (D of the inputs, H of the states, K of a matrix's columns, S of what is attended to), so
that one page, and with it one compiled kernel, is tried at many sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

SMOOTH = ("tanh", "σ", "softplus", "silu")
KINKED = ("relu", "abs", "elu", "leaky_relu")
"""Functions with a kink: beside it two roundings of one number have different slopes."""


@dataclass(frozen=True)
class Drawn:
    """A page, and whether its slopes are those of its neighbours: nothing in it picks one of several."""

    text: str
    smooth: bool


@st.composite
def recurrences(draw: st.DrawFn) -> Drawn:
    """A page of one to three states, with whatever may stand around them."""
    page = Writer(draw)
    page.write()
    return Drawn(page.text(), page.smooth)


@dataclass
class Writer:
    """Writes a page line by line; every name that a line needs is declared when it is first used."""

    draw: st.DrawFn
    smooth: bool = True
    lines: list[str] = field(default_factory=list[str])
    shapes: list[str] = field(default_factory=list[str])
    past: list[str] = field(default_factory=list[str])  # reads of states at other steps
    now: list[str] = field(default_factory=list[str])  # vectors of this step, computed above
    late: bool = False  # whether differences of inputs are read: what reads them begins at the second step
    count: int = 0

    def one_of(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) >= 100 - percent

    def name(self, stem: str, shape: str) -> str:
        """A new name, declared with its shape."""
        self.count += 1
        name = f"{stem}{self.count}"
        self.shapes.append(f"{name}{shape}")
        return name

    def text(self) -> str:
        return "\n".join(self.lines) + "\nwhere " + ", ".join(self.shapes)

    # --- a page ----------------------------------------------------------------------------------------

    def write(self) -> None:
        self.late = self.chance(40)
        states = ["h", "c", "g"][: self.draw(st.integers(1, 3))]
        ahead = "g" if len(states) == 3 and self.chance(50) else ""
        self.shapes += [f"{s}[t]: H" for s in states]
        if ahead:
            self.ahead(ahead)
            states.remove(ahead)
        for s in states:
            self.past.append(f"{s}[t-1]")
            if self.chance(30):
                self.past.append(f"{s}[t-2]")
        extras: list[Callable[[], None]] = [self.matrix, self.attention]
        # The weights of a sum over the past are counted from the first step of all.
        for extra in extras if self.late else [*extras, self.memory]:
            if self.chance(25):
                extra()
        for k in range(self.draw(st.integers(0, 2))):
            gate = f"r{k}"
            self.lines.append(f"{gate}[t] = {self.bounded(2)}")
            self.now.append(f"{gate}[t]")
        for s in states:
            self.lines.append(f"{s}[t] = {self.update(s)}")
            self.now.append(f"{s}[t]")
        first = states[0]
        if f"{first}[t-2]" not in self.past and self.chance(30):
            self.lines.append(f"{first}[0] = {self.name('a', ': H')}")
        self.after([*states, *([ahead] if ahead else [])])

    def ahead(self, g: str) -> None:
        """A state that runs backwards, on its own, before all others."""
        self.past.append(f"{g}[t+1]")
        self.lines.append(f"{g}[t] = {self.update(g, f'{g}[t+1]')}")
        self.past.remove(f"{g}[t+1]")
        self.now.append(f"{g}[t]")

    def matrix(self) -> None:
        """A matrix as a state, and what it says to a vector."""
        k, v, f = self.name("k", "[t]: H"), self.name("v", "[t]: K"), self.name("f", "[t]: H")
        q = self.one_of("M[t-1,i,j]", "M[t,i,j]")
        W = self.name("W", ": K×H")
        key = f"tanh({self.read()})" if self.chance(50) else f"{k}[t]"
        self.shapes += ["M[t,i,j]: scalar", "o[t]: K", "p[t]: H"]
        self.lines += [
            f"p[t] = {key}",
            f"M[t,i,j] = σ({f}[t,i]) M[t-1,i,j] + p[t,i] {v}[t,j]",
            f"o[t,j] = Σ[i] {k}[t,i] {q}",
        ]
        self.past.append(f"(tanh(o[t]) {W})")

    def attention(self) -> None:
        """Attention over a sequence of its own, asked by a state."""
        z, v, a = self.name("z", ": input S×H"), self.name("v", ": H"), self.name("A", ": H×H")
        score = f"{v}[i] tanh(w[t,i] + {z}[s,i])" if self.chance(50) else f"w[t,i] {z}[s,i]"
        self.lines += [
            f"w[t] = {self.read()} {a}",
            f"e[t,s] = Σ[i] {score}",
            "α[t,s] = softmax[s](e[t,s])",
            f"u[t,i] = Σ[s] α[t,s] {z}[s,i]",
        ]
        self.shapes += ["w[t]: H", "u[t]: H"]
        self.now.append("u[t]")

    def memory(self) -> None:
        """A sum over all of a state's own past."""
        w, v = self.name("w", ": input"), self.name("v", "[t]: H")
        self.shapes.append("n[t]: H")
        self.lines.append(f"n[t] = Σ[s<t] {w}[t,s] n[s] + tanh({v}[t] + {self.read()})")
        self.past.append("tanh(n[t])")

    def after(self, states: list[str]) -> None:
        """What is computed of the states when the loop is over."""
        s = self.one_of(*states)
        match self.one_of("nothing", "every step", "last step", "softmax", "all"):
            case "every step":
                self.lines.append(f"y[t] = {s}[t] {self.name('V', ': H×D')} + {self.name('b', ': D')}")
            case "last step" if s != "g":
                self.lines.append(f"y = {s}[T] {self.name('V', ': H×D')}")
            case "softmax":
                self.lines.append(f"y[t] = softmax({s}[t] {self.name('V', ': H×D')})")
            case "all":
                self.lines.append("y[t] = " + " ⊙ ".join(f"{s}[t]" for s in states))
            case _:
                pass

    # --- vectors of H numbers --------------------------------------------------------------------------

    def update(self, s: str, before: str = "") -> str:
        """A state's new value, bounded by what it was."""
        before = before or f"{s}[t-1]"
        match self.one_of("plain", "plain", "mix", "mix", "cell", "norm"):
            case "plain":
                return f"tanh({before} {self.name('U', ': H×H')} + {self.vector(2)})"
            case "mix":
                gate = self.name("m", "[t]: H")
                return f"σ({gate}[t]) ⊙ {before} + (1 - σ({gate}[t])) ⊙ {self.bounded(2)}"
            case "cell":
                return f"{self.squashed(1)} ⊙ {before} + {self.bounded(1)}"
            case _:
                return f"layernorm({before} {self.name('U', ': H×H')} + {self.vector(1)})"

    def bounded(self, depth: int) -> str:
        """A vector of numbers near -1 to 1."""
        match self.one_of("tanh", "σ", "softmax", "norm"):
            case "softmax":
                return f"softmax({self.vector(depth)})"
            case "norm":
                return f"tanh({self.vector(depth)}) / norm(2 + tanh({self.read()}))"
            case f:
                return f"{f}({self.vector(depth)})"

    def squashed(self, depth: int) -> str:
        return f"σ({self.vector(depth)})"

    def vector(self, depth: int) -> str:
        """Terms in a sum; the first one on the page begins with an input, for a page must have one."""
        first = [] if "x[t]: D" in self.shapes else [self.input()]
        return " + ".join(first + [self.term(depth) for _ in range(self.draw(st.integers(1, 3)))])

    def term(self, depth: int) -> str:
        if depth == 0:
            return self.read()
        match self.draw(st.sampled_from(KINDS[not self.late :])):
            case "input":
                return self.input()
            case "direct":
                return f"{self.name('u', '[t]: H')}[t]"
            case "difference":
                x = self.name("x", "[t]: D")
                return f"({x}[t] - {x}[t-1]) {self.name('W', ': D×H')}"
            case "untimed":
                return f"{self.name('q', ': input D')} {self.name('W', ': D×H')}"
            case "bias":
                return self.name("b", ": H")
            case "product":
                return f"{self.read()} {self.name('U', ': H×H')}"
            case "gated product":
                return f"({self.read()} ⊙ ({self.term(depth - 1)})) {self.name('U', ': H×H')}"
            case "function":
                return f"{self.function()}({self.term(depth - 1)})"
            case "times":
                return f"{self.read()} ⊙ ({self.term(depth - 1)})"
            case "minus":
                return f"(1 - {self.read()})"
            case "softmax":
                return f"softmax({self.term(depth - 1)})"
            case "window":
                return self.window()
            case "layernorm":
                return f"layernorm({self.term(depth - 1)} + {self.read()})"
            case "mean":
                return f"{self.one_of('mean', 'sum', 'var', 'logsumexp')}({self.read()}) {self.read()}"
            case "largest":
                self.smooth = False
                return f"{self.one_of('max', 'min')}({self.read()}) {self.read()}"
            case _:
                return self.read()

    def window(self) -> str:
        """A convolution along the features, zero outside of them."""
        k, w, z = self.name("k", "[t]: H zero outside"), self.name("w", ": 3"), self.name("z", "[t]: H")
        self.lines += [f"{k}[t] = {self.read()}", f"{z}[t,i] = Σ[p<3] {w}[p] {k}[t,i-p]"]
        return f"{z}[t]"

    def input(self) -> str:
        if "x[t]: D" not in self.shapes:
            self.shapes.append("x[t]: D")
        return f"x[t] {self.name('W', ': D×H')}"

    def read(self) -> str:
        """A vector that is there: a state before, or something computed above."""
        return self.draw(st.sampled_from([*self.past, *self.now]))

    def function(self) -> str:
        f = self.one_of(*SMOOTH, *KINKED)
        self.smooth = self.smooth and f in SMOOTH
        return f


KINDS = (
    "difference", "input", "input", "product", "product", "gated product", "direct", "untimed", "bias",
    "function", "times", "minus", "softmax", "layernorm", "mean", "largest", "window", "read",
)  # fmt: skip
