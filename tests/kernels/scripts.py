"""Scripts run in a namespace of their own, beside what the torch backend says of the same program."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from tests.pages import PAGES

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import ONE, Name, Program, Range
from chalkgrad.kernels.eager import Runner
from chalkgrad.kernels.script import Dialect, script
from chalkgrad.language.resolve import read
from chalkgrad.nn.sizes import small_numbers
from chalkgrad.zoo import names, source_of

Tensors = dict[str, torch.Tensor]

LAYERS: dict[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (source_of(name), {}) for name in names()},
    **{f"page {name}": (page.text, page.sizes) for name, page in PAGES.items()},
}

ODD: dict[str, str] = {
    "gelu": "h[t] = gelu(x[t] W + h[t-1] U)\ny[t] = silu(h[t] V)",
    "softplus": "h[t] = softplus(x[t] W + h[t-1] U)\ny[t] = elu(h[t] V) + leaky_relu(h[t] R)",
    "minmax": "y = max(x W, x V) + min(x W, 0.3) + abs(x U) + sign(x W) where x: input",
    "sqrtlog": "y[i] = log(x[i]) sqrt(x[i] + w[i]) + x[i]^1.5 + 1/(x[i] + 1) where x: input",
    "norms": "y = layernorm(x W) + (x V) / norm(x V) + mean(x W) + var(x V) where x: input, y: M",
    "logsoftmax": "y[t] = logsoftmax(x[t] W)",
    "lse": "y[i] = logsumexp[j](x[i,j] + w[j]) where x: input",
    "reversal": "y[i] = Σ[p] w[p] x[N-1-i] + x[i] where x: input N, w: P",
    "toeplitz": "y[i] = Σ[j<N] w[i,j] x[j] u[j] where x: input N, w: N×N, u: N",
    "convlstm": (
        "i[t,m] = σ(Σ[p<3] w[p] x[t,m+p-1] + Σ[p<3] u[p] h[t-1,m+p-1])\n"
        "h[t,m] = tanh(i[t,m])"
        " where x: input T×N zero outside, h: T×N zero outside, w: 3, u: 3"
    ),
    "stride2d": (
        "y[k,i,j] = Σ[c,p,q] w[k,c,p,q] x[c,2i+p,2j+q] where x: input C×M×N zero outside ±1, w: K×C×3×3"
    ),
    "lambda": "lambda[t] = tanh(x[t] np + lambda[t-1] in + range)",
    "names": "dx[t] = tanh(x[t] B + dx[t-1] T_ + forward)\ny'[t] = dx[t] saved + print",
    "output called rng": "rng[t] = relu(z[t] _ + rng[t-1] U)",
    "prime": "h'[t] = tanh(x[t] W' + h'[t-1] U')",
    "twoout": "y = x W\nz = tanh(x V) where x: input",
    "loss": "y[t] = softmax(x[t] W)\nJ[t] = -Σ[j] d[t,j] log(y[t,j]) where d: input",
    "loss in time": (
        "h[t] = tanh(x[t] W + h[t-1] U + b)\no[t] = h[t] V + c\ny'[t] = softmax(o[t])\n"
        "J[t] = -Σ[j] y[t,j] log(y'[t,j])\nwhere y: input"
    ),
    "squared loss": "y[t] = x[t] W\nL = Σ[t,j] (y[t,j] - d[t,j])^2 where d: input",
    "loss and output": (
        "y[t] = tanh(x[t] W)\nL = Σ[t,j] (y[t,j] - d[t,j])^2\nwhere d: input, y: output, L: output"
    ),
    "no gradient": "y = sign(x W) where x: input",
    "identity": "y = x where x: input N",
    "square": "y = x ⊙ x where x: input N",
    "future2": "h[t] = tanh(x[t] W + h[t+1] U + h[t+2] V)",
    "stack2": "h[t] = tanh(x[t] W + h[t-1] U)\ng[t] = tanh(h[t] V + g[t-1] R)\ny[t] = g[t] S",
    "poolwide": "y[i] = max[p<3] x[2i+p] where x: input",
    "poolzero": "y[i] = max[p<3] x[i+p] where x: input N zero outside ±1",
    "minpool": "y[i,j] = min[p<2,q<3] (x[i+p,j+q] + w[p,q]) where x: input, w: 2×3",
    "nestedconv": "y[i] = tanh(Σ[p] w[p] x[i+p]) + relu(Σ[q] v[q] x[i+q]) where x: input N, w: 3, v: 3",
    "indrnn": "h[t] = relu(x[t] W + u ⊙ h[t-1] + b)",
    "minlstm": "f[t] = σ(x[t] W)\nh[t] = f[t] ⊙ h[t-1] + (1 - f[t]) ⊙ (x[t] V)",
    "softdtw": (
        "r[i,j] = d[i,j] - log(exp(-r[i-1,j]) + exp(-r[i,j-1]) + exp(-r[i-1,j-1]))"
        " where r[-1,-1] = 0, r[-1,·] = ∞, r[·,-1] = ∞, d: input"
    ),
    "attention causal": "A[i,j] = Q[i] K[j]ᵀ\nO[i] = Σ[j<=i] A[i,j] V[j] where Q: input, K: input, V: input",
    "quadratic": "y[t] = x[t] A x[t]ᵀ",
    "shift many": "y[t] = x[t] + 2 x[t-1] - x[t-3]",
    "scalars": "s[t] = a s[t-1] + b x[t] where s[t]: scalar, x[t]: scalar, a: scalar, b: scalar",
    "sumall": "y = Σ[i<N] x[i] where x: input",
    "power": "y[i] = x[i]^w[i] where x: input",
    "onlyparam": "y[t] = x[t] tanh(W V)",
    "deep": "y[i] = Σ[p] w[p] tanh(Σ[q] v[q] x[i+p+q]) where x: input N, w: P, v: Q",
    "2dconv rnn": "h[t,i] = tanh(Σ[p<3] u[p] h[t-1,i+p-1] + x[t,i]) where x[t,i]: scalar, h: N zero outside",
    "dil": "y[i] = Σ[p] w[p] x[i+2p] where x: input N zero outside ±2, w: 3",
    "grid max": "α[t,j] = max[i] (α[t-1,i] + A[i,j]) + b[t,j]",
    "cross": "y[i] = Σ[a∈ℤ^2] f(a) g(i-a) where g: input",
    "bigT": "h[t] = tanh(x[t] W + h[t-1] U)\ny = h[T] + h[0] V",
    "outputs out of order": (
        "s[t] = relu(x[t] W + g[t-2] U + s[t-2] V + c[t])\ny[t] = softmax(s[t] V + b)\n"
        "g[t] = σ(x[t] R + c[t-1] S + u ⊙ g[t-1])\nc[t] = x[t] P + v ⊙ c[t-2] + g[t-1] Q\n"
        "where c[t]: H, g[t]: H, s[t]: H"
    ),
    "stride and zeros outside": "y[i] = Σ[p<P] w[p] x[2i+p-1] where x: input N zero outside ±1, w: P",
    "stride against the kernel": (
        "y[i] = Σ[p<3] w[p] x[2i-p] + d\nwhere x: input N zero outside ±2, w: 3, d: scalar"
    ),
    "pooling by three": "y[i] = max[p<3] (w[p] x[3i+2p-1]) where x: input N zero outside ±1, w: 3",
}
"""Pages that ask for something out of the way: edges, names that Python has too, loops in loops."""

POSITIVE = ("sqrtlog", "power")


@cache
def program(page: str) -> tuple[Program, dict[str, int]]:
    """A standard layer, a page of the notes or one of these, with sizes to try it at."""
    text, sizes = LAYERS[page] if page in LAYERS else (ODD[page], {})
    resolved = read(text)
    return resolved.program, small_numbers(resolved, sizes)


@cache
def written(page: str, dialect: Dialect) -> str:
    """Its script."""
    return script(program(page)[0], dialect, program(page)[1], LAYERS[page][0] if page in LAYERS else "")


@cache
def pair(page: str, dialect: Dialect) -> Pair:
    """Its script beside the torch backend."""
    return Pair(program(page)[0], dialect, written(page, dialect))


def namespace(code: str) -> dict[str, Any]:
    """What a script defines, without its check being run."""
    found: dict[str, Any] = {"__name__": "script"}
    exec(compile(code, "script.py", "exec"), found)
    return found


def checked(code: str) -> tuple[bool, str]:
    """Whether a script finds its gradients right, and what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        wrong = namespace(code)["check"]()
    return not wrong, out.getvalue()


def _roles(n: Name) -> int:
    return ("input", "parameter", "start").index(n.role)


def _lean(n: Name, value: torch.Tensor) -> torch.Tensor:
    """A start without the axes along which it has one step, as a script takes it."""
    if n.role != "start":
        return value
    return value.reshape([s for s, r in zip(value.shape, n.ranges, strict=True) if r.size != ONE])


def _own(whole: tuple[Range, ...], own: tuple[Range, ...], numbers: Mapping[str, int]) -> tuple[slice, ...]:
    """Where an output's own steps stand among all of its steps."""
    first = [(o.low.value(numbers) - w.low.value(numbers)) for w, o in zip(whole, own, strict=True)]
    return tuple(slice(f, f + o.size.value(numbers)) for f, o in zip(first, own, strict=True))


class Pair:
    """A program's script beside the torch backend: made once, compared at as many sizes as one likes."""

    def __init__(
        self, program: Program, dialect: Dialect, code: str = "", sizes: Mapping[str, int] | None = None
    ) -> None:
        self.dialect: Dialect = dialect
        self.losses = losses(program)
        self.forward = normalise(batch(program))
        self.backward = derive(self.forward)
        self.runners = Runner(self.forward), Runner(self.backward)
        # The sizes are for its check, which is not run here, and for what no shape tells.
        sizes = sizes or dict.fromkeys((*program.symbols, "batch"), 9)
        self.functions = namespace(code or script(program, dialect, sizes))

    def agrees(self, numbers: Mapping[str, int], positive: bool = False) -> None:
        """Asserts that the script gives what the backend gives, outputs and gradients alike."""
        random = torch.Generator().manual_seed(3)

        def drawn(ranges: tuple[Range, ...]) -> torch.Tensor:
            shape = [r.size.value(numbers) for r in ranges]
            x = torch.randn(shape, generator=random, dtype=torch.float64)
            return x.abs() + 0.2 if positive else x

        forward, backward = self.forward, self.backward
        given = {n.name: drawn(n.ranges) for n in forward.given("input", "parameter", "start")}
        expected = self.runners[0](given, numbers, forward.outputs)
        own = {o: _own(forward[o].ranges, forward.defining(o)[-1].domain, numbers) for o in forward.outputs}
        seeds: Tensors = {}
        for n in backward.given("seed"):
            seeds[n.name] = torch.zeros([r.size.value(numbers) for r in n.ranges], dtype=torch.float64)
            # Of a loss the gradient is one, and does not arrive from outside.
            arriving = torch.ones_like(seeds[n.name]) if n.of in self.losses else drawn(n.ranges)
            seeds[n.name][own[n.of]] = arriving[own[n.of]]
        gradients = self.runners[1]({**given, **seeds}, numbers, backward.outputs)

        def passed(x: torch.Tensor) -> Any:
            return x.clone() if self.dialect == "torch" else x.numpy().copy()

        names = sorted(forward.given("input", "parameter", "start"), key=_roles)
        *outputs, saved = self.functions["forward"](*(passed(_lean(n, given[n.name])) for n in names))
        for o, y in zip(forward.outputs, outputs, strict=True):
            close(y, expected[o][own[o]], o)
        of = {n.of: n.name for n in backward.given("seed")}
        passed_in = [
            passed(seeds[of[o]][own[o]]) for o in forward.outputs if o in of and o not in self.losses
        ]
        found = self.functions["backward"](*passed_in, saved)
        for n, value in zip(forward.given("input", "parameter", "start"), found.values(), strict=True):
            close(value, _lean(n, gradients["∂" + n.name]), f"∂{n.name}")


def close(found: Any, expected: torch.Tensor, name: str) -> None:
    """Asserts equality to 1e-9 of the largest element, and of shapes."""
    found = np.asarray(found)
    assert found.shape == tuple(expected.shape), name
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-9 * max(scale, 1e-3), err_msg=name)
