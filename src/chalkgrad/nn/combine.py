"""Layers of one's own equations in both directions, and one on the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from chalkgrad.equations.ir import Program
from chalkgrad.language.source import EquationError
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.layer import layer as made
from chalkgrad.nn.sizes import own_ranges
from chalkgrad.nn.states import named_tuple

DIRECTIONS = ("onward", "reverse")
"""What the layer from the first step and the one from the last are called."""

_State = named_tuple("State", DIRECTIONS)


def mirrored(source: str, letter: str = "t") -> str:
    """The equations in which every step before is a step after: ``h[t-1]`` is ``h[t+1]``.

    An index letter stands in brackets and scripts alone: it is found wherever a number is added to it.

    >>> mirrored("h[t] = tanh(x[t] W + h[t-1] U)")
    'h[t] = tanh(x[t] W + h[t+1] U)'
    >>> mirrored(r"h_{k} = \\tanh(W h_{k - 1} + U x_{k+2})", "k")
    'h_{k} = \\\\tanh(W h_{k + 1} + U x_{k-2})'
    """
    shifted = re.compile(rf"(?<![\w\\]){re.escape(letter)}(\s*)([+\-−])(?=\s*\d)")
    lines = (line.partition("#") for line in source.split("\n"))
    return "\n".join(
        shifted.sub(lambda m: f"{letter}{m[1]}{'-' if m[2] == '+' else '+'}", text) + mark + comment
        for text, mark, comment in lines
    )


class Bidirectional(nn.Module):
    """A layer and its mirror, which goes from the last step to the first with parameters of its own.

    ``Bidirectional(layer)`` takes a layer, ``Bidirectional("lstm", D=3, H=4)`` what :func:`chalkgrad.layer`
    takes. A call gives the outputs of both at each step, side by side along the features (twice as many), and
    a state of two: ``onward`` after the last step, ``reverse`` after the first. Parameters are ``onward.W``
    and ``reverse.W``; the initial values of a layer that is given hold for itself alone.

    Raises EquationError for equations that have no mirror: those that are no recurrence, begin late, look
    ahead already, or name a step by its number (``h[0] = …``, ``h[T]``).

    >>> net = Bidirectional("gru", D=3, H=4)
    >>> y, state = net(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> y.shape, state.reverse.h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 4]))
    """

    onward: Layer
    reverse: Layer

    def __init__(self, what: Layer | str | Path, **keywords: Any) -> None:
        super().__init__()
        if isinstance(what, Layer) and keywords:
            raise TypeError("Bidirectional(layer) takes no more; say the rest where the layer is made")
        self.onward = what if isinstance(what, Layer) else made(what, **keywords)
        self.reverse = _mirror(self.onward, keywords)

    @property
    def equations(self) -> str:
        """Those of both directions, one after the other."""
        return f"{self.onward.equations.rstrip()}\n\n{self.reverse.equations.rstrip()}\n"

    def forward(self, *args: Any, state: Any = None, **named: Any) -> tuple[Any, Any]:
        """``layer(x)``, ``layer(x, state)``; the rest as in a call of one layer."""
        waiting = [n for n in self.onward.program.given("input") if n.name not in named]
        if len(args) == len(waiting) + 1 and state is None:
            args, state = args[:-1], args[-1]
        states = _parts(state, 2, "onward and reverse")
        (a, onward), (b, reverse) = (
            net(*args, state=s, **named) for net, s in zip((self.onward, self.reverse), states, strict=True)
        )
        if isinstance(a, Tensor):
            joined = torch.cat([a, b], -1)
        else:
            joined = a._make(torch.cat(both, -1) for both in zip(a, b, strict=True))
        return joined, _State(onward, reverse)

    def step(self, *args: Any, **named: Any) -> Any:
        """Raises EquationError: the layer from the last step cannot begin before that has come."""
        raise EquationError(
            "a bidirectional layer has no step: its reverse half begins with the last one",
            help="call layer(x) with the whole sequence, or step the onward half: layer.onward.step(x_t)",
        )


def _mirror(net: Layer, keywords: dict[str, Any]) -> Layer:
    """The layer of the mirrored equations, drawn anew."""
    program = net.program
    letters = {program[s.name].ranges[s.position].axis for s in program.states}

    def refuse(why: str) -> EquationError:
        return EquationError(
            f"these equations have no mirror: {why}",
            net.equations,
            help="write both directions yourself, as in `chalkgrad zoo rnn_bidirectional`",
        )

    if len(letters) != 1:
        raise refuse("they run along two indices" if letters else "they are no recurrence")
    if not all(s.forward for s in program.states):
        raise refuse("they look ahead already")
    [letter] = letters
    source, inputs, functions, sizes = net._page
    given = [n.name for n in program.given("input")] if inputs is None else inputs
    like = next(net.parameters(), None)
    try:
        back = Layer(
            mirrored(source, letter), given, functions, sizes, keywords.get("init") or {},
            None if like is None else like.dtype, None if like is None else like.device, net.backend,
        )  # fmt: skip
    except EquationError as e:
        raise refuse(str(e).splitlines()[0].removeprefix("error: ")) from e
    if not _is_mirror(program, back.program):
        raise refuse("a step has a number")
    short = [n for n in program.outputs if not _has_every_step(net, n, letter)]
    if short:
        raise refuse(f"`{short[0]}` has no value at some of the input's steps")
    return back


def _has_every_step(net: Layer, output: str, letter: str) -> bool:
    """Whether an output has as many steps as the inputs have."""
    program = net.program
    own = [r for r in own_ranges(net._resolved, program[output]) if r.axis == letter]
    steps = {(r.low, r.size) for n in program.given("input") for r in n.ranges if r.axis == letter}
    return {(r.low, r.size) for r in own} == steps


def _is_mirror(a: Program, b: Program) -> bool:
    """Whether the same names are what they were, and every state looks the other way."""
    names = [(n.name, n.role, n.written) for n in a.names] == [(n.name, n.role, n.written) for n in b.names]
    ways = [(s.name, s.depth, not s.forward) for s in a.states] == [
        (s.name, s.depth, s.forward) for s in b.states
    ]
    return names and ways and a.outputs == b.outputs


class Stack(nn.Module):
    """Layers one on the other: what one gives is the input of the next.

    Each has one input and one output: layers of equations, :class:`Bidirectional` ones, other stacks, and
    modules that look at each step by itself, such as ``torch.nn.Linear``. ``dropout`` is the probability with
    which, while training, elements of what one layer gives to the next are zeroed, and the rest scaled up.
    A call gives the output of the last layer and a tuple of states, one for each layer; None for those that
    have none. Parameters are ``0.W``, ``1.onward.W``.

    Raises EquationError for a layer with several inputs or outputs, ValueError for a dropout that is no
    probability, TypeError for torch's recurrent layers.

    >>> net = Stack(Bidirectional("gru", D=3, H=4), made("lstm", D=8, H=5), dropout=0.2)
    >>> y, state = net(torch.zeros(2, 7, 3), lengths=[7, 4])
    >>> y.shape, state[1].c.shape
    (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    dropout: float

    def __init__(self, *layers: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        if not layers:
            raise ValueError("a stack has at least one layer")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout is a probability, a number in [0, 1], and is given as {dropout!r}")
        for k, net in enumerate(layers):
            program = _program(net)
            if isinstance(net, nn.RNNBase):
                raise TypeError(
                    f"layer {k} of the stack is torch's {type(net).__name__}, which has layers of its own: "
                    "write num_layers=, or the equations"
                )
            if program and (len(program.given("input")) != 1 or len(program.outputs) != 1):
                several = [n.name for n in program.given("input")], list(program.outputs)
                raise EquationError(
                    f"layer {k} of the stack has the inputs {', '.join(several[0])} and the outputs "
                    f"{', '.join(several[1])}: one of each is passed on",
                    help="call such a layer by itself",
                )
            self.add_module(str(k), net)
        self.dropout = float(dropout)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The layers, the first one first."""
        return tuple(self._modules.values())  # type: ignore[arg-type]

    @property
    def equations(self) -> str:
        """Those of each layer in turn."""
        return "\n".join(
            f"# layer {k}\n{net.equations.rstrip()}\n"
            for k, net in enumerate(self.layers)
            if isinstance(net, Layer | Bidirectional | Stack)
        )

    def extra_repr(self) -> str:
        return f"dropout={self.dropout}" if self.dropout else ""

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Any = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
    ) -> tuple[Any, tuple[Any, ...]]:
        """The last layer's output and every layer's state; the rest as in a call of one layer."""
        asked = {"lengths": lengths, "resets": resets, "truncate": truncate}

        def call(net: nn.Module, x: Any, before: Any) -> tuple[Any, Any]:
            if isinstance(net, Stack | Bidirectional) or (isinstance(net, Layer) and net.program.states):
                return net(x, state=before, **asked)
            return net(x), None

        return self._through(x, state, call)

    def step(self, x: Tensor, state: Any = None) -> tuple[Any, tuple[Any, ...]]:
        """One step through all layers: ``stack.step(x_t, state)`` → (output, state); see :meth:`Layer.step`.

        Raises EquationError for a layer that has no step.
        """

        def call(net: nn.Module, x: Any, before: Any) -> tuple[Any, Any]:
            if x is None:  # a layer below waits for more of its input
                return None, before
            if isinstance(net, Stack | Bidirectional) or (isinstance(net, Layer) and net.program.states):
                return net.step(x, state=before)
            return net(x), None

        return self._through(x, state, call)

    def _through(self, x: Any, state: Any, call: Any) -> tuple[Any, tuple[Any, ...]]:
        found: list[Any] = []
        states = _parts(state, len(self.layers), "one for each layer")
        for k, (net, before) in enumerate(zip(self.layers, states, strict=True)):
            if k and self.dropout and self.training and x is not None:
                x = dropped(x, self.dropout)
            x, after = call(net, x, before)
            found.append(after)
        return x, tuple(found)


def _program(net: nn.Module) -> Program | None:
    """The equations that a part of a stack is called as."""
    match net:
        case Layer():
            return net.program
        case Bidirectional():
            return net.onward.program
        case _:
            return None


def _parts(state: Any, count: int, which: str) -> Sequence[Any]:
    """The state of each part of a layer."""
    if state is None:
        return (None,) * count
    if not isinstance(state, tuple | list) or len(state) != count:
        said = f"{len(state)}" if isinstance(state, tuple | list) else type(state).__name__
        raise EquationError(
            f"the state has {count} parts, {which}, and is given as {said}",
            help="pass the state that an earlier call returned",
        )
    return state
