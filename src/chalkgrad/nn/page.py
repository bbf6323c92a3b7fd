"""A page of equations as a function of tensors, for modules that hold the tensors themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import with_winners
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import Program
from chalkgrad.equations.size import ONE
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.nn.arguments import short
from chalkgrad.nn.operator import System, system_of
from chalkgrad.nn.prepared import Prepared
from chalkgrad.nn.recording import is_open, is_recorded
from chalkgrad.nn.sizes import Numbers
from chalkgrad.nn.windows import no_window

if TYPE_CHECKING:
    from chalkgrad.calculus.explain import Derivation

_SHAPES = 256
"""For how many shapes solved sizes are kept."""


class Page:
    """Equations with one output and one input, and masks; every size is that of the tensors of a call."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.resolved = read(text)
        self.program: Program = self.resolved.program
        self.system: System = system_of(normalise(batch(self.program)), backend=None)
        self.input, *_ = self.program.given("input")  # masks come after it
        self.parameters = self.program.given("parameter")
        self.output = self.program.outputs[0]  # the only one, but in a recurrence that goes both ways
        self.names = (self.input.name, *(n.name for n in self.parameters))
        self._unsolved = Numbers(self.resolved, {})
        self._solved: dict[tuple[torch.Size, ...], dict[str, int]] = {}
        self._whole = Prepared()  # what is library calls alone

    def __call__(self, x: Tensor, *parameters: Tensor) -> Tensor:
        """The output; ``x`` comes in a batch, the parameters in the order of the page.

        Raises EquationError for tensors that the equations cannot be about.
        """
        again = self.again(x, *parameters)
        if again is not None:
            return again
        given, numbers = self._bound(x, parameters)
        plan = None if is_recorded(given.values()) else self.system.whole(given, numbers, (self.output,))
        if plan is not None:
            self._whole.add(None, (x, *parameters), plan.of(self.names))
        (y,) = self.system(given, numbers, (self.output,))
        return y

    def again(self, x: Tensor, *parameters: Tensor) -> Tensor | None:
        """The output where it is library calls that an earlier one has prepared; None where it is not."""
        return self._whole(None, (x, *parameters)) if self._whole else None

    def with_winners(self, x: Tensor) -> tuple[Tensor, ...]:
        """The output, a maximum, and for each of its axes which tap of the window it is at."""
        given, numbers = self._bound(x, ())
        return self._with_winners(given, numbers, self._with_winners.program.outputs)

    @cached_property
    def _with_winners(self) -> System:
        program = with_winners(self.system.program)
        winners = (n.name for n in program.names if n.name not in self.system.program.table)
        return system_of(replace(program, outputs=(*program.outputs, *winners)), backend=None)

    def fail(self, problem: str, *names: str, help: str = "") -> NoReturn:
        """Raise EquationError, pointing at where these names first stand."""
        raise self._unsolved.fail(problem, *names, help=help)

    def _bound(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[dict[str, Tensor], Mapping[str, int]]:
        """The tensors by name, and the number of every size symbol."""
        given, dtype, device = {self.input.name: x}, x.dtype, x.device
        for name, value in zip(self.parameters, parameters, strict=True):
            given[name.name] = value
            if value.dtype is not dtype:
                self.fail(
                    f"`{self.input.name}` is {short(dtype)} and `{name.name}` is {short(value.dtype)}",
                    self.input.name,
                    name.name,
                    help="give both in one dtype",
                )
            if value.device != device:
                self.fail(
                    f"`{self.input.name}` is on {device} and `{name.name}` is on {value.device}",
                    self.input.name,
                    name.name,
                    help="put both on one device",
                )
        key = (x.shape, *(p.shape for p in parameters))
        numbers = None if is_recorded((x, *parameters)) else self._solved.get(key)
        if numbers is None and is_recorded((x, *parameters)):
            numbers = self._solve(given)
        elif numbers is None:
            numbers = self._solve(given)
            if len(self._solved) >= _SHAPES:
                self._solved.clear()
            self._solved[key] = numbers
        if not x.dtype.is_floating_point:
            self.fail(
                f"`{self.input.name}` is {short(x.dtype)}, and equations are computed in real numbers",
                self.input.name,
                help=f"{self.input.name}.float()",
            )
        return given, numbers

    def _solve(self, given: Mapping[str, Tensor]) -> dict[str, int]:
        numbers = Numbers(self.resolved, {})
        if any(is_open(x.shape) for x in given.values()):
            images = given[self.input.name].shape
            shapes = [(n, given[n.name].shape) for n in self.parameters]
            axes = [(self.input, images[1:]), *shapes]
            if all(len(name.ranges) == len(shape) for name, shape in axes):
                known = numbers.open(
                    (r.size, n) for name, shape in axes for r, n in zip(name.ranges, shape, strict=True)
                )
                if known is not None:
                    return {**known, "batch": images[0]}
        for name in (self.input, *self.parameters):
            whole = given[name.name].shape
            shape = whole[1:] if name is self.input else whole
            form = "×".join(str(r.size) for r in name.ranges)
            if len(shape) != len(name.ranges):
                self.fail(
                    f"`{name.name}` is {form}, and its shape is {tuple(whole)}",
                    name.name,
                    help="give a tensor with as many axes"
                    + (", or with a batch before them" if name is self.input else ""),
                )
            for r, n in zip(name.ranges, map(int, shape), strict=True):
                if not numbers.unknowns.unify(r.size, numbers.unknowns.reduce(ONE * n)):
                    self.fail(
                        f"`{name.name}` is {form} and is given as {'×'.join(map(str, shape))}: {r.size} is "
                        f"{numbers.unknowns.reduce(r.size)} already",
                        name.name,
                        help="give tensors whose sizes agree",
                    )
        numbers.check_reads()
        return {**numbers.known, "batch": given[self.input.name].shape[0]}


@lru_cache(maxsize=512)
def page(text: str) -> Page:
    """The page of a text; one for all modules that are written alike."""
    return Page(text)


REFUSALS = (RuntimeError, ValueError, TypeError, NotImplementedError, IndexError)
"""What torch raises for an argument it cannot take."""


class Written:
    """What a module of this kind can say of itself; ``equations`` is the text of its page."""

    @property
    def equations(self) -> str:
        """The text of the page, with the numbers of this layer."""
        raise NotImplementedError

    @property
    def program(self) -> Program:
        """The equations in index form, about one example."""
        return page(self.equations).program

    @property
    def derivation(self) -> Derivation:
        """The backward equations; ``str()`` shows them."""
        from chalkgrad.pipeline import derivation_of  # what computes need not wait for what explains

        return derivation_of(self.program)


def refuse(
    error: Exception, torchs: Callable[..., Any], *args: Any, module: Written | None = None
) -> NoReturn:
    """Raise what torch's own layer says of arguments that a module cannot take, and the equation.

    Its type and text are torch's, whatever version is installed; where torch takes them, ``error`` is raised.
    Where that is not the equations' own error, those of ``module`` are shown.
    """
    try:
        torchs(*args)
    except REFUSALS as its:
        raise type(its)(f"{its}\n{_besides(error, module)}") from error
    raise error


def _besides(error: Exception, module: Written | None) -> str:
    """What the equations say of arguments: their own error, or where they stand when it is the library's."""
    if isinstance(error, EquationError) or module is None:
        return str(error)
    try:
        return str(no_window(module.equations, "these equations cannot be computed so", "give other numbers"))
    except REFUSALS:  # numbers that no equation can be written with
        return ""
