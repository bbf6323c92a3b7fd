"""The same cells in JAX: one jax.lax.scan under jit, the input's product before it.

JAX has threads of its own. PJRT_NPROC, read when its client is made, holds them to as many as torch has.
"""

from __future__ import annotations

import os
from typing import Any

import torch

import chalkgrad
from bench.cells import Cell, Side, Size, agree, side, spread
from bench.tables import MissingError
from bench.torch_nn import gates

SETTLE = 0.01
"""Seconds after which the other's threads no longer wait for work at the cost of ours."""


def against_jax(name: str, size: Size) -> Cell:
    """Raises MissingError where JAX is not installed."""
    os.environ["PJRT_NPROC"] = str(torch.get_num_threads())
    try:
        import jax  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingError("jax is not installed: pip install --group bench") from None
    T, B, H = size
    torch.manual_seed(0)
    ours, x = spread(chalkgrad.layer(name, D=H, H=H)), torch.randn(B, T, H)
    w, u, b = (torch.cat(found, -1) for found in zip(*gates(name, ours), strict=True))
    weights = {"W_x": w, "W_h": u, "b": b}
    if name == "gru_after":
        weights["b_u"] = ours.get_parameter("b_u").detach()
    given = {n: jax.numpy.asarray(v.numpy()) for n, v in weights.items()}
    run = _scan(jax, name)
    forward = jax.jit(run)
    gradient = jax.jit(jax.grad(lambda x, w: run(x, w).sum(), argnums=(0, 1)))
    there = jax.numpy.asarray(x.numpy())
    theirs = Side(
        lambda: forward(there, given).block_until_ready(),
        lambda: jax.block_until_ready(gradient(there, given)),
    )
    mine = side(ours, [*ours.parameters()], x)
    return agree(Cell(f"jax.lax.scan, {name}", size, mine, theirs, SETTLE))


def _scan(jax: Any, name: str) -> Any:
    """``run(x, weights)``: the states of one cell, batch first."""
    jnp, σ = jax.numpy, jax.nn.sigmoid

    def rnn(w: Any, state: Any, a: Any) -> Any:
        h = jnp.tanh(a + state[0] @ w["W_h"])
        return (h,), h

    def lstm(w: Any, state: Any, a: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(a + h @ w["W_h"], 4, 1)
        c = σ(f) * c + σ(i) * jnp.tanh(g)
        h = σ(o) * jnp.tanh(c)
        return (h, c), h

    def gru_after(w: Any, state: Any, a: Any) -> Any:
        (h,) = state
        (r, z, n), (r_h, z_h, n_h) = jnp.split(a, 3, 1), jnp.split(h @ w["W_h"], 3, 1)
        z = σ(z + z_h)
        h = (1 - z) * h + z * jnp.tanh(n + σ(r + r_h) * (n_h + w["b_u"]))
        return (h,), h

    step = {"rnn": rnn, "lstm": lstm, "gru_after": gru_after}[name]

    def run(x: Any, w: Any) -> Any:
        before = jnp.swapaxes(x @ w["W_x"] + w["b"], 0, 1)
        zero = jnp.zeros((x.shape[0], w["W_h"].shape[0]), x.dtype)
        start = (zero, zero) if name == "lstm" else (zero,)
        _, h = jax.lax.scan(lambda state, a: step(w, state, a), start, before)
        return jnp.swapaxes(h, 0, 1)

    return run
