"""Programs run with torch operations, on any device and dtype: the specification of every faster backend.

A :class:`Runner` turns a program into a plan of closures the first time it is asked for some names at some
sizes, and after that only calls torch. Nothing is written in place, so that torch's own autograd can go
through a plan: a loop keeps its steps in a table and stacks them once, with the loop's axis slowest in
memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import Parameter

from chalkgrad.equations.ir import Program
from chalkgrad.equations.walk import read_counts
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.c.build import CompilerError
from chalkgrad.kernels.c.loops import Bound, can_be_compiled, give_up, kernels_wanted
from chalkgrad.kernels.eager.code import Frame, Run
from chalkgrad.kernels.eager.merging import planned
from chalkgrad.kernels.eager.recognition import is_call, is_torchs
from chalkgrad.kernels.eager.staging import Staging
from chalkgrad.kernels.eager.steps import Merged, made_by, read_by
from chalkgrad.kernels.eager.straight import Straight
from chalkgrad.kernels.schedule import Block, Compiled

_PLANS = 64
"""How many plans a runner keeps: lengths may change from call to call."""


class Runner:
    """Computes the names of a program.

    >>> from chalkgrad.equations.ir import Equation, Index, Name, Range, Read, Reduce, Size
    >>> from chalkgrad.equations.ops import mul
    >>> i, j, N, K = Index.axis("i"), Index.axis("j"), Size.symbol("N"), Size.symbol("K")
    >>> y = Reduce("sum", (Range("j", K),), mul(Read("V", (j,)), Read("x", (i + j,))))
    >>> runner = Runner(Program(
    ...     (Equation("y", (Range("i", N - K + 1),), y),),
    ...     (Name("x", "input", (Range("n", N),)), Name("V", "parameter", (Range("j", K),)),
    ...      Name("y", "defined", (Range("i", N - K + 1),))),
    ...     ("y",)))
    >>> given = {"x": torch.tensor([1.0, 2, 3, 4]), "V": torch.tensor([1.0, -1])}
    >>> runner(given, {"N": 4, "K": 2}, ["y"])["y"].tolist()
    [-1.0, -1.0, -1.0]
    """

    def __init__(self, program: Program, backend: Backend = "c") -> None:
        self.program = program
        self.backend: Backend = backend
        self._plans: dict[object, Plan] = {}

    def __call__(
        self,
        given: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        wanted: Sequence[str],
        known: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The values of ``wanted``, axes in the order of each name's ranges.

        ``given`` holds a tensor per input, parameter, start and seed that is needed, ``numbers`` a value per
        size symbol, ``known`` values of defined names that need not be computed again. A result may share
        memory with a tensor that came in. Raises ValueError for a tensor whose shape is not that of its name,
        KeyError for one that is missing, ScheduleError where the equations have no order.
        """
        tensors = {**given, **known} if known else given
        return self.plan(tensors, numbers, wanted, known or ())(tensors)

    def plan(
        self,
        tensors: Mapping[str, Tensor],
        numbers: Mapping[str, int],
        wanted: Sequence[str],
        known: Iterable[str] = (),
    ) -> Plan:
        """The plan for ``wanted``, for tensors like these."""
        like = next(iter(tensors.values())) if tensors else torch.zeros(())
        compile = self.backend == "c" and _may_compile(tensors.values(), like)
        key = (tuple(wanted), tuple(known), tuple(numbers.items()), like.dtype, like.device, compile)
        plan = self._plans.get(key)
        if plan is None:
            have = frozenset(known)
            if len(self._plans) >= _PLANS:
                del self._plans[next(iter(self._plans))]
            # Masks and positions are kept with the plan, so they must be ordinary tensors.
            with torch.inference_mode(False), torch.no_grad():
                given = (tuple(wanted), have, numbers, like.new_zeros(()), self.backend != "eager")
                make = partial(_stage, self.program, *given)
                try:
                    plan = make(compile)
                except CompilerError as error:
                    give_up(error)
                    plan = make(False)
                self._plans[key] = plan
        return plan


@dataclass(frozen=True, slots=True)
class Plan:
    """What to call, in order, for some names at some sizes.

    ``whole`` says that torch's own gradient of these calls is by the calls that are derived.
    """

    wanted: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    steps: tuple[Run, ...] = ()
    loops: int = 0
    slots: int = 0
    call: Bound | None = None  # instead of steps, where the plan is one compiled call
    whole: bool = False

    def __call__(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        for name, shape in self.shapes.items():
            x = tensors[name]
            if x.shape != shape:
                raise ValueError(f"{name} has shape {tuple(x.shape)}, and its equations make it {shape}")
            if x.is_neg():  # compiled code reads what lies in memory, and that is minus what it holds
                tensors = {**tensors, name: x.resolve_neg()}
        if self.call:
            values = self.call(tensors)
            return {name: values[name] for name in self.wanted}
        frame = Frame(self.loops, self.slots)
        for name in self.shapes:
            frame.store[name] = {(): tensors[name]}
        for step in self.steps:
            step(frame)
        return {name: frame.store[name][()] for name in self.wanted}

    def of(self, names: Sequence[str]) -> Straight:
        """The first of what is wanted as a function of the tensors of these names."""
        return lambda *tensors: self(dict(zip(names, tensors, strict=True)))[self.wanted[0]]


def _may_compile(tensors: Iterable[Tensor], like: Tensor) -> bool:
    """Whether steps may run as compiled calls: ordinary tensors on the CPU, and no graph to be recorded."""
    dtype, recorded = like.dtype, torch.is_grad_enabled()
    if dtype not in (torch.float32, torch.float64) or not kernels_wanted():
        return False
    for x in tensors:  # a loop, since this is done at every call
        if type(x) is not Tensor and type(x) is not Parameter:
            return False
        if x.dtype is torch.int64 and x.is_cpu:
            continue  # winners among windows, which only the library's calls are given
        if x.dtype is not dtype or not x.is_cpu or x.layout is not torch.strided:
            return False
        if recorded and x.requires_grad:
            return False
    return True


def _stage(
    program: Program,
    wanted: tuple[str, ...],
    known: frozenset[str],
    numbers: Mapping[str, int],
    like: Tensor,
    library: bool,
    compile: bool,
) -> Plan:
    can = can_be_compiled if compile else None
    plan = planned(program, wanted, known, numbers, can, library)
    made = {name for step in plan.steps for name in made_by(step)}
    used = dict.fromkeys((*wanted, *(name for step in plan.steps for name in read_by(step))))
    steps = plan.steps
    whole = library and made.issuperset(wanted)
    whole = whole and all(
        isinstance(s, Block) and is_torchs(s.equation, numbers, plan.intervals) for s in steps
    )
    ranges = plan.ranges if compile and not whole else None  # else a part may be what autograd does not see
    spent = _spent(steps, wanted, numbers, plan.intervals) if library else frozenset[str]()
    staging = Staging(numbers, plan.intervals, like, steps, frozenset(wanted), ranges, library, spent)
    shapes = {n: tuple(size for _, size in plan.intervals[n]) for n in used if n not in made}
    if len(steps) == 1 and isinstance(steps[0], Compiled) and made.issuperset(wanted):
        return Plan(wanted, shapes, call=staging.compiled(steps[0]))
    last = {name: k for k, step in enumerate(steps) for name in (*made_by(step), *read_by(step))}
    runs = [
        _forgetting(run, tuple(name for name, at in last.items() if at == k and name not in wanted))
        for k, run in enumerate(staging.steps(steps, ()))
    ]
    return Plan(wanted, shapes, tuple(runs), staging.deepest, staging.stage.slots, whole=whole)


def _spent(
    steps: Sequence[Merged],
    wanted: Sequence[str],
    numbers: Mapping[str, int],
    intervals: Mapping[str, tuple[tuple[int, int], ...]],
) -> frozenset[str]:
    """The names whose values a library's call makes, in memory of its own, and one equation reads, once."""
    blocks = [step.equation for step in steps if isinstance(step, Block)]
    made = {e.target for e in blocks if is_call(e, numbers, intervals)}
    read = Counter(name for step in steps if not isinstance(step, Block) for name in read_by(step) * 2)
    read += read_counts(blocks)
    return frozenset(n for n in made if read[n] == 1 and n not in wanted)


def _forgetting(run: Run, names: tuple[str, ...]) -> Run:
    """A step after which the values of ``names`` are let go."""

    def both(f: Frame) -> None:
        run(f)
        for name in names:
            f.store.pop(name, None)

    return both if names else run
