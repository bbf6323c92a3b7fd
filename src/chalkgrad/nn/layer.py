"""A layer from its equations: a torch.nn.Module whose parameters are the names on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Name, Program, Range, State
from chalkgrad.equations.size import ONE
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError
from chalkgrad.nn.initial import initialise
from chalkgrad.nn.operator import System, system_of
from chalkgrad.nn.sizes import Given, Numbers, own_ranges
from chalkgrad.nn.states import named_tuple
from chalkgrad.zoo import source_of

Init = Mapping[str, float | Tensor | Callable[[Tensor], Any]]


def layer(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    init: Init | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **sizes: Given,
) -> Layer:
    """A trainable layer from equations, the name of a standard layer, or a file.

    ``inputs`` and ``functions`` say what the page does not: ``inputs="Q, K, V"``, ``functions={"τ":
    "tanh"}``.
    ``sizes`` are by symbol (``D=64``) or by name (``h=128``, ``W=(3, 4)``); those in no parameter stay free.
    ``init`` gives initial values by parameter: a number, a tensor, or a function such as
    ``torch.nn.init.ones_``. Raises EquationError where the equations or sizes are wrong.

    >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
    >>> y, state = net(torch.zeros(2, 5, 3))  # batch, time, features
    >>> y.shape, state.h.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """
    return Layer(source_of(what), inputs, functions, sizes, init or {}, dtype, device)


class Layer(nn.Module):
    """Equations as a module: ``layer(x)``, ``layer(x, state)``; made by :func:`layer`.

    ``equations`` is the text, ``sizes`` the numbers of its size symbols, ``program`` its index form and
    ``derivation`` its backward equations.
    """

    def __init__(
        self,
        source: str,
        inputs: str | Iterable[str] | None,
        functions: Mapping[str, str] | None,
        sizes: Mapping[str, Given],
        init: Init,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ) -> None:
        super().__init__()
        inputs = inputs if inputs is None or isinstance(inputs, str) else tuple(inputs)
        self._page = (source, inputs, dict(functions or {}), dict(sizes))
        self._read()
        for name in self.program.given("parameter"):
            self._add_parameter(name, dtype, device)
        self._initialise(init)

    def _read(self) -> None:
        source, inputs, functions, sizes = self._page
        self._resolved: Resolved = read(source, inputs, functions)
        self._numbers = Numbers(self._resolved, sizes)
        self._system: System = system_of(normalise(batch(self.program)))
        self._solved: dict[tuple[torch.Size, ...], dict[str, int]] = {}
        self._inputs = self.program.given("input")
        self._parameter_names = tuple(n.name for n in self.program.given("parameter"))

    # Plans and programs are made anew from the page: a pickle holds text, sizes and tensors.
    def __getstate__(self) -> dict[str, Any]:
        made = ("_resolved", "_numbers", "_system", "_solved", "_inputs", "_parameter_names")
        return {k: v for k, v in self.__dict__.items() if k not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._read()

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def equations(self) -> str:
        """The text, as it was written."""
        return self._page[0]

    @property
    def program(self) -> Program:
        """The equations in index form, about one example."""
        return self._resolved.program

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of the size symbols that are fixed."""
        return self._numbers.known

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably not meant, such as a definition that reaches no output."""
        return self._resolved.warnings

    @property
    def derivation(self) -> Any:
        """The backward equations; ``str()`` shows them."""
        from chalkgrad.pipeline import derive

        source, inputs, functions, _ = self._page
        return derive(source, inputs=inputs, functions=functions)

    def extra_repr(self) -> str:
        lines = [line.strip() for line in self.equations.splitlines()]
        text = "\n".join(line for line in lines if line and not line.startswith("#"))
        sizes = ", ".join(f"{s}={n}" for s, n in self.sizes.items())
        return f"{text}\n({sizes})" if sizes else text

    # --- parameters ------------------------------------------------------------------------------------

    def _add_parameter(
        self, name: Name, dtype: torch.dtype | None, device: torch.device | str | None
    ) -> None:
        shape: list[int] = []
        for r in name.ranges:
            size = self._numbers.value(r.size)
            if size is None:
                free = list(self._numbers.unknowns.reduce(r.size).symbols)
                plain = [s for s in free if s.isidentifier()]
                raise self._numbers.fail(
                    f"the size {r.size} of the parameter `{name.name}` is not fixed",
                    name.name,
                    help="give it: " + (f"{plain[0]}=64" if plain else f"{free[0].split('|')[1]}=64"),
                )
            if size < 1:
                raise self._numbers.fail(
                    f"the parameter `{name.name}` would have size {size} along {r.axis}", name.name
                )
            shape.append(size)
        if hasattr(self, name.name) or "." in name.name:
            raise self._numbers.fail(
                f"`{name.name}` cannot name a parameter: a torch.nn.Module has an attribute of that name",
                name.name,
                help=f"call it {name.name}_",
            )
        self.register_parameter(name.name, nn.Parameter(torch.empty(shape, dtype=dtype, device=device)))

    def _initialise(self, init: Init) -> None:
        for name in self.program.given("parameter"):
            initialise(self.get_parameter(name.name), name, self.program)
        chosen: dict[str, Any] = {**self._resolved.init, **init}
        for name, value in chosen.items():
            if name not in self._parameter_names:
                raise EquationError(
                    f"init: `{name}` is no parameter of these equations",
                    help="parameters: " + ", ".join(self._parameter_names),
                )
            parameter = self.get_parameter(name)
            with torch.no_grad():
                if callable(value):
                    value(parameter)
                elif isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                    raise self._numbers.fail(
                        f"init: `{name}` is {tuple(parameter.shape)} and is given {tuple(value.shape)}",
                        name,
                    )
                else:
                    parameter.copy_(torch.as_tensor(value))

    # --- the call --------------------------------------------------------------------------------------

    def forward(self, *args: Any, state: Any = None, **named: Tensor) -> Any:
        """``layer(x)`` → output, or (output, state) for a recurrence; ``layer(x, state)`` goes on from there.

        Inputs are (batch, axes as written …), or without the batch; several go by keyword or in order. Each
        tensor of the state is (batch, features), with the steps it reaches back in between if more than one.
        Raises EquationError for a wrong shape, dtype or device.
        """
        tensors, state = self._bound(args, state, named)
        batched = self._check(tensors)
        if not batched:
            tensors = {n: x.unsqueeze(0) for n, x in tensors.items()}
        numbers = self._solve(tensors)
        given: dict[str, Tensor] = {**tensors, **{n: self.get_parameter(n) for n in self._parameter_names}}
        like = next(iter(tensors.values()))
        given |= self._starts(state, numbers, like, batched)
        program = self.program
        wanted = tuple(dict.fromkeys((*program.outputs, *(s.name for s in program.states))))
        values = dict(zip(wanted, self._system(given, numbers, wanted), strict=True))
        outputs = [self._trimmed(n, values[n]) for n in program.outputs]
        states = [self._last(s, values[s.name]) for s in program.states]
        if not batched:
            outputs, states = [x.squeeze(0) for x in outputs], [x.squeeze(0) for x in states]
        output = outputs[0] if len(outputs) == 1 else named_tuple("Output", program.outputs)(*outputs)
        return (output, named_tuple("State", self._state_fields)(*states)) if states else output

    @property
    def _state_fields(self) -> tuple[str, ...]:
        states = self.program.states
        twice = {s.name for s in states if sum(o.name == s.name for o in states) > 1}
        return tuple(s.start.replace("₀", "_") if s.name in twice else s.name for s in states)

    def _bound(
        self, args: tuple[Any, ...], state: Any, named: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], Any]:
        """Arguments by name: inputs in the order of the equations, then the state."""
        names = [n.name for n in self._inputs]
        signature = ", ".join([*names, *(["state"] if self.program.states else [])])
        unknown = [n for n in named if n not in names]
        if unknown:
            raise self._numbers.fail(
                f"`{unknown[0]}` is no input of these equations", help=f"call layer({signature})"
            )
        waiting = [n for n in names if n not in named]
        if len(args) == len(waiting) + 1 and state is None and self.program.states:
            args, state = args[:-1], args[-1]
        if len(args) != len(waiting):
            raise self._numbers.fail(
                f"this layer takes {len(names)} input{'s' if len(names) != 1 else ''} and is given "
                f"{len(args) + len(named)}",
                *waiting[len(args) :],
                help=f"call layer({signature})",
            )
        bound = {**named, **dict(zip(waiting, args, strict=True))}
        return {n: bound[n] for n in names}, state

    def _check(self, tensors: dict[str, Tensor]) -> bool:
        """Whether the inputs come in a batch. Raises EquationError for what no call can be made with."""
        like = next(self.parameters(), None)
        ranks: dict[str, int] = {}
        for name in self._inputs:
            x = tensors[name.name]
            expected, shown = self._expected(name), getattr(x, "shape", None)
            if not isinstance(x, Tensor):
                raise self._numbers.fail(
                    f"`{name.name}` is a tensor, and is given {type(x).__name__}",
                    name.name,
                    help=f"{name.name}: torch.Tensor of shape {expected}",
                )
            ranks[name.name] = x.dim() - len(name.ranges)
            if ranks[name.name] not in (0, 1):
                raise self._numbers.fail(
                    f"`{name.name}` has {x.dim()} axes: {tuple(shown or ())}",
                    name.name,
                    help=f"{name.name} is {expected}",
                )
            if like is not None and x.dtype != like.dtype:
                raise self._numbers.fail(
                    f"`{name.name}` is {_short(x.dtype)} and the parameters are {_short(like.dtype)}",
                    name.name,
                    help=f"{name.name}.to({like.dtype}) or layer.to({x.dtype})",
                )
            if not x.dtype.is_floating_point:
                raise self._numbers.fail(
                    f"`{name.name}` is {_short(x.dtype)}, and equations are computed in real numbers",
                    name.name,
                    help=f"{name.name}.float()",
                )
            if like is not None and x.device != like.device:
                raise self._numbers.fail(
                    f"`{name.name}` is on {x.device} and the parameters are on {like.device}",
                    name.name,
                    help=f"{name.name}.to({str(like.device)!r}) or layer.to({str(x.device)!r})",
                )
        if len(set(ranks.values())) > 1:
            some = {r: n for n, r in ranks.items()}
            raise self._numbers.fail(
                f"`{some[1]}` comes with a batch and `{some[0]}` without",
                some[1],
                some[0],
                help="give both alike",
            )
        return 1 in ranks.values()

    def _expected(self, name: Name) -> str:
        numbers = self._numbers
        axes = [
            f"{r.size}={n}" if (n := numbers.value(r.size)) and r.size.symbols else str(r.size)
            for r in name.ranges
        ]
        return f"({', '.join(['batch', *axes])}) or ({', '.join(axes)})"

    def _solve(self, tensors: dict[str, Tensor]) -> dict[str, int]:
        """The number of every size symbol, the batch included."""
        key = tuple(x.shape for x in tensors.values())
        numbers = self._solved.get(key)
        if numbers is None:
            numbers = self._solved_for(tensors)
            if len(self._solved) > 256:
                self._solved.clear()
            self._solved[key] = numbers
        return numbers

    def _solved_for(self, tensors: dict[str, Tensor]) -> dict[str, int]:
        numbers = Numbers(self._resolved, self._page[3])
        size = next(iter(tensors.values())).shape[0]
        for name in self._inputs:
            x = tensors[name.name]
            if x.shape[0] != size:
                raise self._numbers.fail(
                    f"`{name.name}` has a batch of {x.shape[0]}, and another input one of {size}", name.name
                )
            for r, n in zip(name.ranges, x.shape[1:], strict=True):
                if not numbers.unknowns.unify(r.size, numbers.unknowns.reduce(ONE * n)):
                    raise self._numbers.fail(
                        f"`{name.name}` has size {n} where {r.size} = {numbers.value(r.size)} is needed: "
                        f"its shape is {tuple(x.shape)}",
                        name.name,
                        help=f"{name.name} is {self._expected(name)}",
                    )
        known = numbers.known
        free = [s for s in self.program.symbols if s not in known]
        if free:
            raise self._numbers.fail(
                f"no input says what {free[0]} is", help="give the size when the layer is made"
            )
        for n in self.program.names:
            if n.role != "defined":
                continue
            for r in own_ranges(self._resolved, n):
                if r.size.value(known) < 0 or (r.size.value(known) == 0 and r.size.const):
                    shapes = ", ".join(f"{m} {tuple(x.shape[1:])}" for m, x in tensors.items())
                    raise self._numbers.fail(
                        f"`{n.name}` would read outside of its input: "
                        f"its size {r.size} is {r.size.value(known)} for {shapes}",
                        n.name,
                        help="give a longer input, or let zeros be read: where x: input zero outside",
                    )
        return {**known, "batch": size}

    # --- states ----------------------------------------------------------------------------------------

    def _starts(self, state: Any, numbers: dict[str, int], like: Tensor, batched: bool) -> dict[str, Tensor]:
        """The initial value of each state, its axes as the program has them."""
        states = self.program.states
        if state is not None and not states:
            raise self._numbers.fail("these equations have no state", help="call layer(x)")
        if isinstance(state, Tensor):
            state = (state,)
        if state is not None and len(state) != len(states):
            fields = ", ".join(self._state_fields)
            raise self._numbers.fail(
                f"the state is ({fields}), and {len(state)} tensors are given",
                help="pass the state that an earlier call returned",
            )
        found: dict[str, Tensor] = {}
        for k, s in enumerate(states):
            ranges = self.program[s.start].ranges
            shape = (numbers["batch"], *(r.size.value(numbers) for r in ranges))
            if state is None:
                found[s.start] = like.new_zeros(shape)
                continue
            value: Tensor = state[k]
            outside = _outside(s, shape)
            want = outside if batched else outside[1:]
            if tuple(value.shape) != want:
                raise self._numbers.fail(
                    f"the state `{s.name}` has shape {tuple(value.shape)}, and {want} is needed", s.name
                )
            if value.dtype != like.dtype or value.device != like.device:
                raise self._numbers.fail(
                    f"the state `{s.name}` is {_short(value.dtype)} on {value.device}, and the input is "
                    f"{_short(like.dtype)} on {like.device}",
                    s.name,
                )
            value = value if batched else value.unsqueeze(0)
            found[s.start] = (
                value.unsqueeze(1 + s.position) if s.depth == 1 else value.movedim(1, 1 + s.position)
            )
        return found

    def _trimmed(self, name: str, value: Tensor) -> Tensor:
        """An output without the steps before its start."""
        for s in self.program.states:
            if s.name == name:
                dim, first = 1 + s.position, s.depth if s.forward else 0
                value = value.narrow(dim, first, value.shape[dim] - s.depth)
        return value

    def _last(self, state: State, value: Tensor) -> Tensor:
        """What a state carries on: its last steps, oldest first."""
        dim = 1 + state.position
        for s in self.program.states:
            if s.name == state.name and s.position != state.position:
                # The start along one axis of a table begins before the other axis does, where both are read.
                other = self.program[state.start].ranges[s.position]
                first = value.shape[1 + s.position] - 1 - _length(other, value.shape[1 + s.position])
                value = value.narrow(
                    1 + s.position, max(0, first + 1), _length(other, value.shape[1 + s.position])
                )
        last = value.narrow(dim, value.shape[dim] - state.depth if state.forward else 0, state.depth)
        return last.squeeze(dim) if state.depth == 1 else last.movedim(dim, 1)


def _length(r: Range, whole: int) -> int:
    """How much of an axis of length ``whole`` the start covers: all of it, or all but the step before."""
    return whole if r.low.const < 0 else whole - 1


def _outside(s: State, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape a caller sees: (batch, steps back, …), no axis for one step."""
    rest = (*shape[1 : 1 + s.position], *shape[2 + s.position :])
    return (shape[0], *(() if s.depth == 1 else (s.depth,)), *rest)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
