"""What a function of tensors has called, written down as one straight Python function.

A plan is closures that find their operands by name, and each costs a little: ten times as much where the data
have driven them out of the processor's caches. Where a plan is library calls alone, what it does for tensors
of some shapes is the same every time, so it is written down once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Straight = Callable[..., Tensor]


def straightened(run: Straight, tensors: Sequence[Tensor]) -> tuple[Tensor, Straight]:
    """What ``run`` makes of the tensors, and a function that makes the same of others of their shapes.

    ``run`` must choose what it calls by shapes and not by numbers. What torch does not let one note (an
    operator by its name, torch.ops) leaves a tensor of unknown origin, and then ``run`` is the function as it
    is. A reshape of a reshape is one of what the first was of, and one back to its shape is none.

    >>> y, again = straightened(lambda x: x.reshape(4).reshape(2, 2) + 1, [torch.zeros(2, 2)])
    >>> again(torch.ones(2, 2)).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    with _Tape() as tape:
        result = run(*tensors)
    return result, _written(tape.calls, tensors, result) or run


class Again:
    """A function of tensors that is straightened when it is called first: see :func:`straightened`."""

    __slots__ = ("call",)

    def __init__(self, run: Straight) -> None:
        def first(*tensors: Tensor) -> Tensor:
            made, self.call = straightened(run, tensors)
            return made

        self.call: Straight = first


class _Called(NamedTuple):
    call: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: Tensor


class _Tape(TorchFunctionMode):
    """Notes what is called, and what tensor each call has made."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Called] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.calls.append(_Called(func, args, kwargs or {}, made))
        return made


class _Line(NamedTuple):
    """``name = text``, and the names that stand in it."""

    name: str
    text: str
    reads: frozenset[str]


def _written(calls: Sequence[_Called], tensors: Sequence[Tensor], result: Tensor) -> Straight | None:
    """The calls that the result needs, as a function of the tensors; None where one of them is not known."""
    names = {id(x): f"x{k}" for k, x in enumerate(tensors)}
    head = f"def straight({', '.join(names.values())}):\n"
    constants: dict[str, Any] = {}
    origins: dict[str, tuple[str, torch.Size]] = {}  # of a reshape: what it is one of, and its shape
    lines: list[_Line] = []
    for c in calls:
        reads: set[str] = set()

        def written(value: Any, reads: set[str] = reads) -> str:
            match value:
                case None | bool() | int():
                    return repr(value)
                case list() | tuple():
                    return f"({''.join(f'{written(v)}, ' for v in value)})"  # pyright: ignore
                case Tensor() if id(value) in names:
                    reads.add(names[id(value)])
                    return names[id(value)]
                case _:
                    constants[name := f"c{len(constants)}"] = value
                    return name

        name, args = f"y{len(lines)}", [*map(written, c.args)]
        if c.call is Tensor.reshape and reads:
            first, shape = origins.get(args[0], (args[0], c.args[0].shape))
            if shape == c.made.shape:
                names[id(c.made)] = first
                continue
            args[0], reads, origins[name] = first, {first}, (first, shape)
        args += [f"{k}={written(v)}" for k, v in c.kwargs.items()]
        lines.append(_Line(name, f"{written(c.call)}({', '.join(args)})", frozenset(reads)))
        names[id(c.made)] = name
    if id(result) not in names or any(isinstance(v, Tensor) for v in constants.values()):
        return None
    body = [f"    {line}\n" for line in _body(lines, names[id(result)])]
    exec(compile(head + "".join(body), "<straight>", "exec"), constants)
    return constants["straight"]


def _body(lines: Sequence[_Line], wanted: str) -> list[str]:
    """The lines that what is wanted needs; each value is let go after the last that reads it."""
    used, found = {wanted}, [f"return {wanted}"]
    for line in reversed(lines):
        if line.name not in used:
            continue
        last = sorted(n for n in line.reads - used if n.startswith("y"))
        used |= line.reads
        if found == [f"return {line.name}"]:
            found = [f"return {line.text}"]
        else:
            found[:0] = [f"{line.name} = {line.text}", *([f"del {', '.join(last)}"] if last else [])]
    return found
