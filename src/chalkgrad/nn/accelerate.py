"""torch.nn's recurrent layers in a model of the caller's, given to their equations where that is faster."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from chalkgrad.nn.gates import twin
from chalkgrad.nn.recording import enter
from chalkgrad.nn.recurrent import GRU, LSTM, RNN

OURS: Mapping[type[nn.Module], type[nn.Module]] = {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU}
"""What each of torch's layers becomes. A class of the caller's that is derived from one is left alone."""

_SECONDS = 0.3
"""How long each layer is timed for, if three rounds do not take longer."""

Do = Callable[[], object]
Measure = Callable[[Do, Do], tuple[float, float]]
"""Seconds that the one and the other take."""


@dataclass(frozen=True)
class Gain:
    """What was measured of one layer: seconds in all the calls that the example made; ``str()`` is a line."""

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    training: bool
    before: float
    after: float

    @property
    def swapped(self) -> bool:
        """Whether the layer is computed by its equations now."""
        return self.after < self.before

    def __str__(self) -> str:
        what = f"{self.name or 'the model'}: {self.kind} on {', '.join(map(str, self.shapes)) or 'nothing'}"
        if not self.shapes:
            return f"{what}: not called, left as it is"
        counted = "forward and gradients" if self.training else "forward"
        times = f"{self.before * 1e3:.3g} ms → {self.after * 1e3:.3g} ms"
        gain = f"{self.before / self.after:.2f} × as fast" if self.swapped else "no gain, left as it is"
        return f"{what}, {counted}: {times}, {gain}"


def accelerate(
    model: nn.Module, *inputs: Any, measure: Measure | None = None, **named: Any
) -> tuple[Gain, ...]:
    """Let every torch.nn.RNN, LSTM and GRU in a model be computed by its equations, where that is faster.

    The model is run once on ``inputs`` and ``named``; each layer is then timed on what it was given there,
    both ways in turn: forward and gradients if it is in training, else forward. A line for each is printed,
    and those that would be slower are left. Layers stay the same objects with the same parameters, hooks and
    names: only their class changes, so that optimizers and references to them stay good. Buffers of the model
    and the random numbers of the caller are as before. ``measure(theirs, ours)`` gives seconds, where others
    are to be counted.

    A class that is derived from one of torch's may compute something else: it is left, and a line says so.

    Raises ValueError where the model has no such layer, or none that these inputs reach.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 5))
    >>> (gain,) = accelerate(model, torch.zeros(7, 2, 3), measure=lambda theirs, ours: (3e-3, 1e-3))
    1: GRU on (7, 2, 4), forward and gradients: 3 ms → 1 ms, 3.00 × as fast
    >>> type(model[1]).__module__, gain.swapped
    ('chalkgrad.nn.recurrent', True)
    """
    layers = {name: m for name, m in model.named_modules() if type(m) in OURS}
    derived = [
        f"{name or 'the model'}: {type(m).__name__} is derived from torch's {kind.__name__}, left as it is"
        for name, m in model.named_modules()
        for kind in OURS
        if isinstance(m, kind) and type(m) is not kind
    ]
    if not layers:
        raise ValueError("\n".join(["there is no torch.nn.RNN, LSTM or GRU in this model", *derived]))
    with _as_before(model):
        calls = _calls(model, layers, inputs, named)
        if not any(calls.values()):
            raise ValueError("no recurrent layer is called: give the inputs that the model is called with")
        gains = tuple(
            _gain(name, layers[name], calls[name], measure or in_turn) for name in _shown([*layers])
        )
    for gain in gains:
        if gain.swapped:
            ours: Any = layers[gain.name]
            ours.__class__ = OURS[type(ours)]
            enter(ours)
    print(*gains, *derived, sep="\n")
    return gains


def _gain(name: str, layer: nn.Module, calls: Sequence[_Call], measure: Measure) -> Gain:
    before = after = 0.0
    for call in calls:
        theirs, ours = measure(call.on(type(layer), layer), call.on(OURS[type(layer)], layer))
        before += theirs * call.count
        after += ours * call.count
    shapes = tuple(dict.fromkeys(call.shape for call in calls))
    return Gain(name, type(layer).__name__, shapes, layer.training, before, after)


def in_turn(theirs: Do, ours: Do) -> tuple[float, float]:
    """Median seconds of the two, one after the other and again, after a round that is not counted."""
    spent: tuple[list[float], list[float]] = ([], [])
    for do in (theirs, ours):
        do()
    begun = perf_counter()
    while len(spent[0]) < 3 or perf_counter() - begun < _SECONDS:
        for do, times in zip((theirs, ours), spent, strict=True):
            at = perf_counter()
            do()
            times.append(perf_counter() - at)
    return statistics.median(spent[0]), statistics.median(spent[1])


# --- what a layer is called with -----------------------------------------------------------------------


@dataclass
class _Call:
    """What a layer was given, how often something of the same shapes was, and under which autocast."""

    args: Any
    named: Any
    autocast: tuple[str, torch.dtype, bool]
    count: int = field(default=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the input; of a packed sequence that of its data."""
        x = next(_tensors((self.args, self.named)))
        return tuple(x.shape)

    def on(self, kind: type[nn.Module], layer: nn.Module) -> Do:
        """The same call, computed as layers of that kind do: by a twin that shares all that the layer has."""
        other = twin(kind, layer)
        args, named = _leaves((self.args, self.named))
        leaves = [x for x in (*layer.parameters(), *_tensors((args, named))) if x.requires_grad]

        def do() -> None:
            device, dtype, wanted = self.autocast
            with torch.autocast(device, dtype, enabled=wanted):
                if not (layer.training and leaves):
                    with torch.no_grad():
                        other.forward(*args, **named)
                else:
                    y, _ = other.forward(*args, **named)
                    loss = (y.data if isinstance(y, PackedSequence) else y).sum()
                    # A weight that a hook has computed has a past, which every round goes through.
                    torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
            if device == "cuda":
                torch.cuda.synchronize()

        return do


def _calls(
    model: nn.Module, layers: Mapping[str, nn.Module], inputs: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, list[_Call]]:
    """What each layer is called with when the model is run, calls of the same shapes counted together."""
    found: dict[str, dict[object, _Call]] = {name: {} for name in layers}

    def watch(name: str) -> Any:
        def seen(_: nn.Module, args: Any, named: Any) -> None:
            tensors = [*_tensors((args, named))]
            device = tensors[0].device.type
            half = (device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))
            key = (*((x.shape, x.dtype, x.requires_grad) for x in tensors), half)
            found[name].setdefault(key, _Call(args, named, half)).count += 1

        return seen

    hooks = [layer.register_forward_pre_hook(watch(name), with_kwargs=True) for name, layer in layers.items()]
    try:
        with torch.set_grad_enabled(any(layer.training for layer in layers.values())):
            model(*inputs, **named)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: [*calls.values()] for name, calls in found.items()}


@contextmanager
def _as_before(model: nn.Module) -> Iterator[None]:
    """Runs that leave the buffers and the random numbers as they were."""
    kept = [(b, b.clone()) for b in model.buffers()]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in kept:
                    buffer.copy_(value)


def _tensors(given: Any) -> Iterator[Tensor]:
    """The tensors that are computed with, in order; of a packed sequence its data."""
    match given:
        case Tensor():
            yield given
        case PackedSequence():
            yield given.data
        case tuple() | list():
            for part in given:
                yield from _tensors(part)
        case dict():
            yield from _tensors([*given.values()])
        case _:
            return


def _leaves(given: Any) -> Any:
    """The same tensors with no past."""
    match given:
        case Tensor():
            return given.detach().requires_grad_(given.requires_grad)
        case PackedSequence():
            return given._replace(data=_leaves(given.data))
        case tuple() | list():
            return type(given)(_leaves(part) for part in given)
        case dict():
            return {name: _leaves(part) for name, part in given.items()}
        case _:
            return given


def _shown(names: Sequence[str]) -> Iterator[str]:
    """The names, with a bar that shows how far one is where there is a terminal, gone at the end."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = not console.is_terminal or len(names) * 2 * _SECONDS < 2
    yield from track(names, "timing", console=console, transient=True, disable=hidden)
