"""A layer from its equations: a torch.nn.Module whose parameters are the names on the page."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Equation, Program, Read
from chalkgrad.equations.walk import free_axes
from chalkgrad.kernels.backends import BACKENDS, Backend
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError, EquationWarning
from chalkgrad.nn.arguments import Arguments, in_dtype_of
from chalkgrad.nn.claims import hold_claims
from chalkgrad.nn.function import Watch
from chalkgrad.nn.masks import Variants
from chalkgrad.nn.operator import System, system_of
from chalkgrad.nn.parameters import Init, begin, shape_of
from chalkgrad.nn.prepared import Prepared
from chalkgrad.nn.recording import Recorded, exporting, in_one, is_recorded
from chalkgrad.nn.rows import Rows
from chalkgrad.nn.sizes import Given, Numbers, own_cuts, own_names, own_part, with_own_parts
from chalkgrad.nn.states import States, named_tuple
from chalkgrad.nn.streaming import Streaming, one_step, stepped, streaming
from chalkgrad.zoo import source_of

if TYPE_CHECKING:
    from chalkgrad.calculus.explain import Derivation


def layer(
    what: str | Path,
    *,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
    init: Init | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    backend: Backend | None = None,
    **sizes: Given,
) -> Layer:
    """A trainable layer from equations, the name of a standard layer, or a file.

    ``inputs`` (``"Q, K, V"``) and ``functions`` (``{"τ": "tanh"}``) say what the page does not.
    ``sizes`` are by symbol (``D=64``) or by name (``h=128``, ``W=(3, 4)``); those in no parameter stay free.
    ``init`` gives initial values by parameter: a number, a tensor, or a function such as
    ``torch.nn.init.ones_``. ``backend`` says what runs it:

    - ``"c"`` (or None): loops, and the sums around them, are compiled to C where they can be, on the CPU; the
      rest runs with torch's operations; what is a convolution or a pool is torch's own call of that name.
    - ``"torch"``: the same without compiled code, every loop step by step.
    - ``"eager"``: the plain specification. One equation after the other, as written, with torch's elementary
      operations on views: nothing is recognised, nothing put together.

    Raises EquationError where the equations or sizes are wrong; warns
    (EquationWarning) of what is probably not meant.

    >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
    >>> y, state = net(torch.zeros(2, 5, 3))  # batch, time, features
    >>> y.shape, state.h.shape
    (torch.Size([2, 5, 4]), torch.Size([2, 4]))
    """
    made = Layer(source_of(what), inputs, functions, sizes, init or {}, dtype, device, backend or "c")
    for warning in made.warnings:
        warnings.warn(warning, EquationWarning, stacklevel=2)
    return made


class Layer(Recorded):
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
        backend: Backend = "c",
    ) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise EquationError(
                f"backend={backend!r} is none", help=f"backend={' or '.join(map(repr, BACKENDS))}"
            )
        self._backend: Backend = backend
        inputs = inputs if inputs is None or isinstance(inputs, str) else tuple(inputs)
        self._page = (source, inputs, dict(functions or {}), dict(sizes))
        self._read()
        hold_claims(self._resolved)
        if dtype is not None and not dtype.is_floating_point:
            raise EquationError(
                f"dtype={dtype}: equations are computed in real numbers", help="dtype=torch.float32"
            )
        for name in self.program.given("parameter"):
            shape = shape_of(name, self._numbers)
            if hasattr(self, name.name) or "." in name.name:
                raise self._numbers.fail(
                    f"`{name.name}` cannot name a parameter: a torch.nn.Module has an attribute of that name",
                    name.name,
                    help=f"call it {name.name}_",
                )
            value = nn.Parameter(torch.empty(shape, dtype=dtype, device=device))
            self.register_parameter(name.name, value)
        begin(self._parameters, self.program, {**self._resolved.init, **init}, self._numbers)

    def _read(self) -> None:
        source, inputs, functions, sizes = self._page
        counts = {n: k for n, k in sizes.items() if isinstance(k, int)}
        self._resolved: Resolved = read(source, inputs, functions, counts)
        sizes = {n: k for n, k in sizes.items() if n not in self._resolved.axes}
        self._numbers = Numbers(self._resolved, sizes)
        self._own = own_names(self.program)
        self._system: System = system_of(
            normalise(batch(with_own_parts(self.program, self._own))), self._backend
        )
        self._arguments = Arguments(self._resolved, sizes, self._numbers)
        self._states = States(self.program, self._numbers)
        self._variants = Variants(self.program, self._numbers, self._backend)
        self._cuts = {n: own_cuts(self._resolved, n) for n in self.program.outputs}
        defined = ((n, self._system.program.defining(n)) for n in self.program.outputs)
        self._copies = {n for n, es in defined if len(es) == 1 and _may_be_a_view(es[0])}
        self._parameter_names = tuple(n.name for n in self.program.given("parameter"))
        self._streaming: Streaming | None = None
        self._rows: Rows | None = None
        if self.program.states and self._arguments.names and not self._copies and self._backend == "c":
            self._rows = Rows(self.program, self._system, self._arguments, self._states, self._own)
        fields = self._states.fields
        self._kinds = (named_tuple("Output", self.program.outputs), named_tuple("State", fields), len(fields))
        self._prepared = Prepared()
        self.watch: Watch | None = None  # is told of gradients: chalkgrad.flow

    # Plans and programs are made anew from the page: a pickle holds text, sizes and tensors.
    def __getstate__(self) -> dict[str, Any]:
        made = (
            "_resolved",
            "_numbers",
            "_system",
            "_arguments",
            "_states",
            "_variants",
            "_own",
            "_cuts",
            "_copies",
            "_parameter_names",
            "_prepared",
            "watch",
            "_kinds",
            "_rows",
        )
        return {k: v for k, v in self.__dict__.items() if k not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._read()

    # --- what it is ------------------------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """What runs it: see :func:`layer`."""
        return self._backend

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
    def derivation(self) -> Derivation:
        """The backward equations; ``str()`` shows them."""
        from chalkgrad.pipeline import derivation_of  # what computes need not wait for what explains

        return derivation_of(self.program)

    @property
    def watched(self) -> bool:
        return self.watch is not None

    def extra_repr(self) -> str:
        lines = [line.strip() for line in self.equations.splitlines()]
        text = "\n".join(line for line in lines if line and not line.startswith("#"))
        sizes = ", ".join(f"{s}={n}" for s, n in self.sizes.items())
        return f"{text}\n({sizes})" if sizes else text

    # --- the call --------------------------------------------------------------------------------------

    @in_one
    def forward(
        self,
        *args: Any,
        state: Any = None,
        lengths: Sequence[int] | Tensor | int | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
        **named: Tensor,
    ) -> Any:
        """``layer(x)`` → output, or (output, state) for a recurrence; ``layer(x, state)`` goes on from there.

        Inputs are (batch, axes as written …), or without the batch; several go by keyword or in order. Each
        tensor of the state is (batch, features), with the steps it reaches back in between if more than one.

        ``lengths`` says how many steps each example has: outputs after them are zero, the state is that of
        its last step, and what the input holds there is not read. ``resets``, (batch, steps) of true and
        false, says where an example begins anew from the state that was passed. ``truncate=k`` stops the
        gradient of the states after every k steps. (An input of such a name is the input.)

        Raises EquationError for a wrong shape, dtype or device.

        >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
        >>> y, state = net(torch.randn(2, 5, 3), lengths=[5, 2], truncate=3)
        >>> y[1, 2:].any().item(), torch.equal(state.h[1], y[1, 1])
        (False, True)
        """
        simple = not named and lengths is resets is truncate is None
        if simple and self._prepared and len(args) == 1 and state is None:
            again = self._again(args[0])
            if again is not None:
                return again
        if simple and self._rows is not None and self._is_plain(()):
            found = self._rows.again(args, state, None, self._values())
            if found is not None:
                return self._shaped(found)
        beside: dict[str, Any] = {"lengths": lengths, "resets": resets, "truncate": truncate}
        for word in self._variants.inputs:
            if beside[word] is not None:
                named[word] = beside[word]
                beside[word] = None
        tensors, state = self._arguments.bound(args, state, named)
        asked = beside if any(x is not None for x in beside.values()) else None
        like = next(self.parameters(), None)
        if like is None or like.is_meta or not torch.is_autocast_enabled(like.device.type):
            return self._shaped(self._run(tensors, state, like, asked))
        # A recurrence adds over many steps: under autocast it takes what is half and computes in full.
        tensors = {n: in_dtype_of(like, x) for n, x in tensors.items()}
        several = isinstance(state, (tuple, list))
        state = tuple(in_dtype_of(like, x) for x in state) if several else in_dtype_of(like, state)
        with torch.autocast(like.device.type, enabled=False):
            return self._shaped(self._run(tensors, state, like, asked))

    def _shaped(self, found: Sequence[Tensor]) -> Any:
        """What the caller gets: in named tuples, but in plain ones from a file, which has no classes."""
        n = len(found) - self._kinds[2]
        outputs, states = found[:n], found[n:]
        if not exporting():
            outputs, states = self._kinds[0](*outputs), self._kinds[1](*states)
        output = outputs[0] if n == 1 else outputs
        return (output, states) if states else output

    def step(self, *args: Any, state: Any = None, **named: Tensor) -> tuple[Any, Any]:
        """One step of a sequence: ``layer.step(x_t, state)`` → (output, state), for what comes bit by bit.

        Inputs are those of a call without the axis of steps: (batch, features), or without the batch. The
        numbers are those of the whole sequence, but for the rounding of its larger products. Where equations
        look back at an input, ``x[t-1]``, the state carries its last steps too, and the output is None until
        there are enough.

        Raises EquationError for equations that need more than the past: ``g[t+1]``, all steps at once, or the
        number of the step.

        >>> net = layer("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)", x=3, h=4)
        >>> state = None
        >>> for x_t in torch.zeros(5, 2, 3):
        ...     y_t, state = net.step(x_t, state)
        >>> y_t.shape
        torch.Size([2, 4])
        """
        if self._streaming is None:
            self._streaming = streaming(self._resolved, self._numbers, self._states.fields)
        # An explicit None is a state too: the first of a loop.
        if len(args) + len(named) == len(self._arguments.names) + 1 and args and args[-1] is None:
            args = args[:-1]
        how = self._streaming
        if self._rows is not None and not (named or how.back) and self._is_plain(()):
            found = self._rows.again(args, state, how, self._values())
            if found is not None:
                return self._shaped(found)
        tensors, state = self._arguments.bound(args, state, named)
        now, batch = one_step(self, how, tensors)
        if self._rows is not None and not how.back and self._is_plain(tensors.values()):
            self._arguments.batched(now, next(self.parameters(), None))
            found = self._rows([*tensors.values()], state, how, self._values())
            if found is not None:
                return self._shaped(found)
        return stepped(self, how, now, batch, state)

    def _is_plain(self, tensors: Iterable[Tensor]) -> bool:
        """Whether a call may be made without :meth:`forward`: nothing is hooked, watched or recorded."""
        hooked = self._forward_hooks or self._forward_pre_hooks or self._backward_hooks
        hooked = hooked or self._backward_pre_hooks or self.watch is not None
        return not (hooked or torch.is_autocast_enabled("cpu") or is_recorded(tensors))

    def _values(self) -> list[Tensor]:
        """The parameters; a parametrised one is a property."""
        own = self._parameters
        return [getattr(self, n) if (p := own.get(n)) is None else p for n in self._parameter_names]

    def _again(self, x: Any) -> Tensor | None:
        """The output where an earlier call of such shapes has prepared it; None where none has."""
        return self._prepared(None, [x, *self._values()]) if isinstance(x, Tensor) else None

    def _run(
        self, tensors: dict[str, Tensor], state: Any, like: Tensor | None, asked: dict[str, Any] | None
    ) -> tuple[Tensor, ...]:
        batched = self._arguments.batched(tensors, like)
        simple = asked is None and self.watch is None and not is_recorded(tensors.values())
        if simple and self._rows is not None:
            found = self._rows([*tensors.values()], state, None, self._values())
            if found is not None:
                return tuple(found)
        if not batched:
            tensors = {n: x.unsqueeze(0) for n, x in tensors.items()}
        numbers = self._arguments.solve(tensors)
        given: dict[str, Tensor] = dict(tensors)
        given |= zip(self._parameter_names, self._values(), strict=True)
        first = next(iter(tensors.values()))
        given |= self._states.starts(state, numbers, first, batched)
        program, system, carried, own = self.program, self._system, {}, self._own
        if is_recorded(given.values()):
            own = {}  # a part of a result is no other result of an operator: it would be a copy
        elif batched and len(tensors) == len(program.outputs) == 1 and not (asked or program.states or own):
            (output,) = program.outputs
            if output not in self._copies:
                names = (self._arguments.names[0], *self._parameter_names)
                plan = system.whole(given, numbers, program.outputs)

                def again(*tensors: Tensor) -> Tensor:
                    given = dict(zip(names, tensors, strict=True))
                    found = system(given, numbers, (output,), watch=self.watch)
                    return own_part(self._cuts[output], found[0], numbers)

                run = plan.of(names) if plan else again
                self._prepared.add(None, [given[n] for n in names], run, whole=plan is not None)
        if asked is not None:
            variant, masks = self._variants.masks(asked, numbers, first, batched)
            given |= masks
            system, carried, own = variant.system, variant.written.carried, {}
        last = [carried.get(s.start, s.name) for s in program.states]
        wanted = tuple(dict.fromkeys((*(own.get(n, n) for n in program.outputs), *last)))
        values = dict(zip(wanted, system(given, numbers, wanted, watch=self.watch), strict=True))
        outputs = [
            values[own[n]]
            if n in own
            else own_part(
                self._cuts[n], _unshared(values[n], given) if n in self._copies else values[n], numbers
            )
            for n in program.outputs
        ]
        # A state is kept from call to call; as a view it would keep every step with it.
        states = [
            self._states.last(s, values[n]).clone() if n == s.name else self._states.steps(s, values[n])
            for n, s in zip(last, program.states, strict=True)
        ]
        if not batched:
            outputs, states = [x.squeeze(0) for x in outputs], [x.squeeze(0) for x in states]
        return (*outputs, *states)


def _may_be_a_view(e: Equation) -> bool:
    """Whether a value may be a part of what is given (``y[i] = x[i+1]``), or one number at many places."""
    return isinstance(e.value, Read) or not {*e.axes} <= {*free_axes(e.value)}


def _unshared(value: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """A value in memory of its own, a place for every element."""
    if torch._C._are_functorch_transforms_active() or is_recorded([value]):  # what is seen then has no memory
        return value.clone()
    storage = value.untyped_storage().data_ptr()
    shared = any(x.untyped_storage().data_ptr() == storage for x in given.values())
    return value.clone() if shared or 0 in value.stride() else value
