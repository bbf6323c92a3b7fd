"""Systems as operators of torch's library, for graphs that hold operators by name.

torch.compile and torch.export run a layer once with tensors that have a shape and no numbers, and write down
what it calls. There a system is called as an operator. Where torch.export writes a graph into a file,
``chalkgrad::run`` says all in its arguments, as text: another process that reads them has the same system.
Its gradient is the same operator, called with the system derived. A compiled graph is of this process, and
runs often: its ``chalkgrad::here`` says the same by a short name, and torch has put its gradient into the
graph as another call already.

What an operator computes with is loaded when it first runs: torch may be there long before a layer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from chalkgrad.nn.recording import exporting

if TYPE_CHECKING:
    from chalkgrad.nn.request import Request

torch.library.define(
    "chalkgrad::run", "(str program, str asked, Tensor[] tensors, SymInt[] sizes) -> Tensor[]"
)
torch.library.define("chalkgrad::here", "(str name, Tensor[] tensors, SymInt[] sizes) -> Tensor[]")


class Asked(Protocol):
    """What an operator computes, and what its results look like before they have numbers."""

    def run(self, tensors: Sequence[Tensor], sizes: Sequence[int], /) -> list[Tensor]: ...
    def like(self, tensors: Sequence[Tensor], sizes: Sequence[Any], /) -> list[Tensor]: ...


_here: dict[str, Asked] = {}


def enter(name: str, asked: Asked) -> None:
    """Let ``chalkgrad::here`` of this process compute this by that name, which says all that it is."""
    _here[name] = asked


def operator(program: str, asked: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> Sequence[Tensor]:
    """The results of a request, as an operator of the graph that is being written down."""
    if exporting():
        return torch.ops.chalkgrad.run(program, asked, tensors, sizes)
    name = sha256(f"{program}\n{asked}".encode()).hexdigest()[:32]
    enter(name, _request(program, asked))
    return torch.ops.chalkgrad.here(name, tensors, sizes)


@lru_cache(maxsize=1024)
def _request(program: str, asked: str) -> Request:
    from chalkgrad.nn.request import Request

    return Request(program, asked)


def _named(name: str) -> Asked:
    if name not in _here:
        raise RuntimeError(
            f"no layer of this process has written down the graph that calls {name}: compile it anew"
        )
    return _here[name]


@torch.library.impl("chalkgrad::run", "CompositeExplicitAutograd")
def _run(program: str, asked: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    return _request(program, asked).run(tensors, sizes)


@torch.library.impl("chalkgrad::here", "CompositeExplicitAutograd")
def _run_here(name: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    return _named(name).run(tensors, sizes)


@torch.library.register_fake("chalkgrad::run")
def _like(program: str, asked: str, tensors: Sequence[Tensor], sizes: Sequence[Any]) -> list[Tensor]:
    return _request(program, asked).like(tensors, sizes)


@torch.library.register_fake("chalkgrad::here")
def _like_here(name: str, tensors: Sequence[Tensor], sizes: Sequence[Any]) -> list[Tensor]:
    return _named(name).like(tensors, sizes)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    program, asked, tensors, sizes = inputs
    request = _request(program, asked)
    ctx.call, ctx.numbers = request.call, dict(zip(request.symbols, sizes, strict=True))
    ctx.save_for_backward(*tensors, *ctx.call.of_kept(output))


def _gradient(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    gradient = ctx.call.gradient(tuple(ctx.needs_input_grad[2]))
    return None, None, gradient(ctx.numbers, ctx.saved_tensors, grads), None


torch.library.register_autograd("chalkgrad::run", _gradient, setup_context=_keep)
