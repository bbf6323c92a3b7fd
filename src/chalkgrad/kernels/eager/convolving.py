"""Convolutions given to the library: each tensor laid out as it wants them, and the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod

from torch import Tensor
from torch.nn import functional, grad

from chalkgrad.equations.ir import Read
from chalkgrad.kernels.eager.code import Code, Labels, Scope, Stage, then
from chalkgrad.kernels.eager.convolution import Convolution
from chalkgrad.kernels.eager.views import View, arranged, slowest_first

_Call = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def convolved(stage: Stage, c: Convolution, s: Scope, bias: Read | None = None) -> Code:
    """The code that calls the library; ``s`` is the scope inside the sum, ``bias`` what the call adds."""
    s = replace(s, box={**s.box, **c.box})
    reads = {"read": c.read, "other": c.other}
    role = c.roles.index("result")
    apart = len(c.batch) if c.layouts[role][0] != c.batch else 1  # of a sum over it the order is free
    layouts = [(*((a,) for a in c.batch), *own[1:]) if apart > 1 else own for own in c.layouts]
    codes = [
        _laid(stage.tensor(stage.code(reads[which], s)), layouts[k], _turned(c, k), s)
        for k, which in enumerate(c.roles)
        if which != "result"
    ]
    if bias is not None:
        assert c.channels is not None
        codes.append(_laid(stage.tensor(stage.code(bias, s)), (c.channels,), [], s))
    depth = max(code.depth for code in codes)
    first, second, *third = (stage.lifted(code, depth, s).run for code in codes)
    labels = tuple(a for group in c.layouts[role] for a in group)
    call, steps = _call(c, s), list[View]()
    if apart > 1:
        call = _put_together(apart, call)
    if turned := _turned(c, role):
        steps.append(lambda x: x.flip(turned))
    if any(len(group) != 1 for group in c.layouts[role]):
        shape = [s.box[a][1] for a in labels]
        steps.append(lambda x: x.reshape(shape))
    if third:
        (added,) = third
        return then(Code(lambda f: call(first(f), second(f), added(f)), labels, depth), steps, labels)
    return then(Code(lambda f: call(first(f), second(f), None), labels, depth), steps, labels)


def _put_together(n: int, call: _Call) -> _Call:
    """The call of tensors with ``n`` axes of a batch, as one in the order in which they lie in memory.

    A table that a loop has made has its steps slowest; in another order it is copied.
    """

    def together(x: Tensor, y: Tensor, b: Tensor | None) -> Tensor:
        order = slowest_first(x if x.numel() > y.numel() else y, range(n))
        x, y = (v.permute(*order, *range(n, v.ndim)).flatten(0, n - 1) for v in (x, y))
        return call(x, y, b)

    return together


def _turned(c: Convolution, role: int) -> list[int]:
    """The dimensions of a tensor that are turned round; its windows come last."""
    return [k - len(c.windows) for k, w in enumerate(c.windows) if w.coordinates[role].turned]


def _laid(code: Code, groups: Sequence[Labels], turned: list[int], s: Scope) -> Code:
    """One dimension for each group of labels."""
    order = tuple(a for group in groups for a in group)
    lay = arranged(code.labels, order)
    steps: list[View] = [lay] if lay else []
    if any(len(group) != 1 for group in groups):
        shape = [prod(s.box[a][1] for a in group) for group in groups]
        steps.append(lambda x: x.reshape(shape))
    if turned:
        steps.append(lambda x: x.flip(turned))
    return then(code, steps, order)


_FORWARD: tuple[Callable[..., Tensor], ...] = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)
_KERNEL: tuple[Callable[..., Tensor], ...] = (grad.conv1d_weight, grad.conv2d_weight, grad.conv3d_weight)


def _call(c: Convolution, s: Scope) -> _Call:
    """The call, of the two tensors that are given, in the order image, positions, kernel, and of a bias."""
    n = len(c.windows) - 1
    stride, dilation = [w.stride for w in c.windows], [w.dilation for w in c.windows]
    groups = prod(s.box[a][1] for a in c.groups)
    if c.roles[0] == "result":
        transposed, cuts = _TRANSPOSED[n], [w.cut for w in c.windows]
        if c.channels is not None:
            padding = [-w.offset for w in c.windows]
            return lambda y, w, b: transposed(y, w, b, stride, padding, cuts, groups, dilation)
        ends = ends_of((w.offset, w.image.size - w.reach - w.offset) for w in c.windows)
        return lambda y, w, _: functional.pad(transposed(y, w, None, stride, 0, 0, groups, dilation), ends)
    margins = [w.margin for w in c.windows]
    whole = all(m is not None for m in margins)
    padding = margins if whole else [0] * len(margins)
    ends = ends_of((-w.offset, w.reach + w.offset - w.image.size) for w in c.windows)
    forward, kernel = _FORWARD[n], _KERNEL[n]
    size = [prod(s.box[a][1] for a in group) for group in c.layouts[2]]
    match c.roles[1] == "result", whole:
        case True, True:
            return lambda x, w, b: forward(x, w, b, stride, padding, dilation, groups)
        case True, False:
            return lambda x, w, b: forward(functional.pad(x, ends), w, b, stride, padding, dilation, groups)
        case False, True:
            return lambda x, y, _: kernel(x, size, y, stride, padding, dilation, groups)
        case _:
            return lambda x, y, _: kernel(functional.pad(x, ends), size, y, stride, padding, dilation, groups)


def ends_of(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Zeros before and after each dimension, fewer than none cut off: the last dimension first."""
    return [v for pair in reversed([*pairs]) for v in pair]
