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
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chalkgrad.nn import answers

if TYPE_CHECKING:
    from chalkgrad.nn.request import Request

torch.library.define(
    "chalkgrad::run", "(str program, str asked, Tensor[] tensors, SymInt[] sizes) -> Tensor[]"
)
torch.library.define("chalkgrad::here", "(str name, Tensor[] tensors, SymInt[] sizes) -> Tensor[]")


@lru_cache(maxsize=1024)
def _request(program: str, asked: str) -> Request:
    from chalkgrad.nn.request import Request

    return Request(program, asked)


@torch.library.impl("chalkgrad::run", "CompositeExplicitAutograd")
def _run(program: str, asked: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    return _request(program, asked).answer.run(tensors, sizes)


@torch.library.impl("chalkgrad::here", "CompositeExplicitAutograd")
def _run_here(name: str, tensors: Sequence[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    return answers.named(name).run(tensors, sizes)


@torch.library.register_fake("chalkgrad::run")
def _like(program: str, asked: str, tensors: Sequence[Tensor], sizes: Sequence[Any]) -> list[Tensor]:
    return _request(program, asked).answer.like(tensors, sizes)


@torch.library.register_fake("chalkgrad::here")
def _like_here(name: str, tensors: Sequence[Tensor], sizes: Sequence[Any]) -> list[Tensor]:
    return answers.named(name).like(tensors, sizes)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    program, asked, tensors, sizes = inputs
    request = _request(program, asked)
    ctx.call, ctx.numbers = request.call, dict(zip(request.answer.symbols, sizes, strict=True))
    ctx.save_for_backward(*tensors, *ctx.call.of_kept(output))


def _gradient(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    gradient = ctx.call.gradient(tuple(ctx.needs_input_grad[2]))
    return None, None, gradient(ctx.numbers, ctx.saved_tensors, grads), None


torch.library.register_autograd("chalkgrad::run", _gradient, setup_context=_keep)
