"""Modules in a graph that torch writes down: torch.compile and torch.export take a call of one as a whole.

Dynamo reads the Python of a model to find its operators. What a layer does between its arguments and its
operator (names, checks, sizes, plans) is not for a graph, so its ``forward`` is a function that Dynamo calls
with tensors that have a shape and no numbers, without reading it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import wraps
from types import FunctionType
from typing import Any
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.nn import Parameter
from torch.utils._python_dispatch import _disable_current_modes

from chalkgrad.late import once_loaded


def is_recorded(tensors: Iterable[Tensor]) -> bool:
    """Whether any of these stands for a tensor of a graph that is being written down."""
    for t in tensors:  # a loop, since this is done at every call
        if (
            type(t) is not Tensor
            and type(t) is not Parameter
            and isinstance(t, (FakeTensor, FunctionalTensor))
        ):
            return True
    return False


def without_recording() -> AbstractContextManager[Any]:
    """A context in which tensors are made with numbers, for what outlives the graph."""
    return _disable_current_modes()


def _never() -> bool:
    return False


exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", _never)
"""Whether torch.export writes the graph down."""


def is_open(shape: Iterable[Any]) -> bool:
    """Whether a graph is to be about other sizes as well: one of these is a symbol of torch's."""
    return any(type(n) is not int for n in shape)


class Recorded(nn.Module):
    """A module whose call a graph takes as a whole; its ``forward`` is decorated with :func:`in_one`."""

    # Dynamo gives a function no module, but a number, by which it is found.
    def __new__(cls, *_: Any, **__: Any) -> Any:
        made = super().__new__(cls)
        enter(made)
        return made

    @property
    def settings(self) -> tuple[Any, ...]:
        """What was said when the module was made, and may be set anew: a graph is of one such tuple."""
        return tuple([getattr(self, name) for name in getattr(self, "__constants__", ())])

    @property
    def watched(self) -> bool:
        """Whether somebody is told of its gradient as that is computed, which a graph does not do."""
        return False

    def _shaped(self, found: tuple[Tensor, ...]) -> Any:
        """What a call returns, of its tensors in a row."""
        return found[0]

    def _recorded(self, *args: Any, **kwargs: Any) -> Any:
        """A call in a graph that Dynamo writes down; it reads this."""
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        plain = tuple([tuple(a) if isinstance(a, tuple) else a for a in args])
        named = {n: tuple(a) if isinstance(a, tuple) else a for n, a in kwargs.items()}
        return self._shaped(_call(id(self), self.training, self.settings, tensors, plain, named))


def _by_itself(module: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _outside(module, args, kwargs) if module.watched else module._recorded(*args, **kwargs)


def _plainly(module: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call as it is without a graph."""
    return _own_forward(module)(module, *args, **kwargs)


_outside: Any = _plainly


def _between_graphs() -> None:
    global _outside
    why = "a layer that is watched tells of its gradient outside of graphs: compile it with fullgraph=False"
    _outside = torch.compiler.disable(_plainly, reason=why)


once_loaded("torch._dynamo", _between_graphs)


_modules: WeakValueDictionary[int, Recorded] = WeakValueDictionary()

_alone: dict[int, Callable[..., Any]] = {}
"""The function whose graph is a module by itself: Dynamo lets one function have a few graphs, no more."""


def enter(module: Recorded) -> None:
    """Let a graph find this module; one made by its class is entered already."""
    number = id(module)
    _modules[number] = module
    if number not in _alone:
        _alone[number] = FunctionType(_by_itself.__code__.replace(), globals(), _by_itself.__name__)
        finalize(module, _alone.pop, number).atexit = False


_listener: Callable[[], Any] = getattr(torch._C._dynamo.eval_frame, "get_eval_frame_callback", _never)  # pyright: ignore
"""What is told of the Python that runs: Dynamo, where that looks for graphs."""


def _not_by_itself(f: Callable[..., Any]) -> None:
    """Let Dynamo make no graph of this function alone; in a larger one it is read as others are.

    Where torch has no name for that, the graphs of all modules alone are this function's: they are as right,
    and Dynamo keeps fewer.
    """

    def skip() -> None:
        mark = getattr(torch._dynamo.eval_frame, "skip_code", None)
        if mark is not None:
            mark(f.__code__)

    once_loaded("torch._dynamo", skip)


_inner: dict[object, Callable[..., Any]] = {}
"""What :func:`in_one` was given, by what it made of it."""


def in_one(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A ``forward`` that Dynamo does not read."""

    @wraps(forward)
    def call(self: Recorded, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():
            return _by_itself(self, args, kwargs)
        if callable(_listener()):
            return _alone[id(self)](self, args, kwargs)
        return forward(self, *args, **kwargs)

    _not_by_itself(call)
    _inner[call] = forward
    return call


def _call(
    number: int,
    training: bool,  # this and the next stand here for Dynamo to read: the graph of one is not another's
    settings: tuple[Any, ...],
    tensors: dict[str, Tensor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Tensor, ...]:
    """The tensors that a module's call returns, in a row, with these parameters and buffers."""
    body = _Body(_modules[number])
    return torch.func.functional_call(body, {f"of.{n}": t for n, t in tensors.items()}, args, kwargs)


once_loaded("torch._dynamo", lambda: torch.compiler.allow_in_graph(_call))


class _Body(nn.Module):
    """A module's ``forward`` without its hooks, which Dynamo has read."""

    def __init__(self, of: Recorded) -> None:
        super().__init__()
        self.of = of

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return _row(_own_forward(self.of)(self.of, *args, **kwargs))


def _own_forward(module: Recorded) -> Callable[..., Any]:
    """Not the forward of a class derived from ours, which Dynamo has read, nor one that asks for a graph."""
    defined = (_inner.get(vars(c).get("forward")) for c in type(module).__mro__)
    return next(f for f in defined if f is not None)


def _row(found: Any) -> tuple[Tensor, ...]:
    return tuple(t for part in found for t in _row(part)) if isinstance(found, tuple) else (found,)
