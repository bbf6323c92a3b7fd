"""How each step of a plan is staged: an equation's value stored, a loop's steps run, a kernel called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from chalkgrad.equations.ir import Equation, Range, range_of
from chalkgrad.equations.walk import reads
from chalkgrad.kernels.c import matrix
from chalkgrad.kernels.c.loops import Bound, compiled
from chalkgrad.kernels.eager.code import Frame, Place, Ring, Run, Scope, Stage, Test
from chalkgrad.kernels.eager.nests import Call as NestCall
from chalkgrad.kernels.eager.nests import called, nest_of
from chalkgrad.kernels.eager.reads import stacking
from chalkgrad.kernels.eager.steps import (
    Joined,
    Looped,
    Merged,
    Parted,
    Piece,
    Shared,
    equations_of,
    made_by,
    read_by,
)
from chalkgrad.kernels.eager.tables import Lying, Tables, tables
from chalkgrad.kernels.eager.terms import code as staged
from chalkgrad.kernels.eager.views import Affine, Interval, arranged
from chalkgrad.kernels.schedule import Block, Compiled, Loop


def joining(step: Joined, depth: int, dim: int) -> Run:
    """Puts the parts of a name side by side, where a loop has not made them so.

    ``dim`` is the dimension of what ``depth`` loops make at a step.
    """

    def run(f: Frame) -> None:
        held, key = f.store.setdefault(step.name, {}), tuple(f.at[:depth])
        if key not in held:
            held[key] = torch.cat([f.store[p][key] for p in step.parts], dim)

    return run


def parting(step: Parted, depth: int, dim: int) -> Run:
    """Gives each part its piece of a name; ``dim`` is as in :func:`joining`."""

    def run(f: Frame) -> None:
        key = tuple(f.at[:depth])
        pieces = f.store[step.name][key].split(step.sizes, dim)
        for name, piece in zip(step.parts, pieces, strict=True):
            f.store.setdefault(name, {})[key] = piece

    return run


def sharing(step: Shared, like: Tensor) -> Run:
    """One call for what several equations make."""

    def run(f: Frame) -> None:
        for name, x in step.call({n: f.store[n][()] for n in step.given}, like).items():
            f.store[name] = {(): x}

    return run


def _within(depth: int, low: int, size: int) -> Test:
    return lambda at: low <= at[depth] < low + size


class Staging:
    """Stages steps: how an equation's value is stored, and what a loop does before and after its steps."""

    def __init__(
        self,
        numbers: Mapping[str, int],
        intervals: Mapping[str, tuple[Interval, ...]],
        like: Tensor,
        steps: tuple[Merged, ...],
        wanted: frozenset[str],
        ranges: Mapping[str, tuple[Range, ...]] | None,
        library: bool = True,
        spent: frozenset[str] = frozenset(),
    ) -> None:
        self.numbers = numbers
        self.all, self.wanted, self.intervals = steps, wanted, intervals
        self.ranges = ranges  # of every name, where steps may be compiled
        self.rings: dict[int, Ring] = {}
        self.lying: dict[int, Lying] = {}  # of the loops with pieces
        self.deepest = 0
        loops: dict[str, tuple[tuple[Ring, int], ...]] = {}
        self._find_loops(steps, (), loops)
        places = {name: Place(found, loops.get(name, ())) for name, found in intervals.items()}
        mm = matrix.mm if ranges is not None and matrix.pays() else torch.mm
        self.stage = Stage(numbers, places, like, staged, mm, library, spent)
        self.needed = self._outermost_reads(steps, wanted)

    def _find_loops(
        self,
        steps: tuple[Merged, ...],
        around: tuple[Ring, ...],
        loops: dict[str, tuple[tuple[Ring, int], ...]],
    ) -> None:
        self.deepest = max(self.deepest, len(around))
        for step in steps:
            if isinstance(step, Loop | Looped):
                ring = self.rings[id(step)] = Ring(step.axis)
                self._find_loops(step.body, (*around, ring), loops)
            elif isinstance(step, Joined | Parted):
                if around:  # they live as what they are made of does
                    of = read_by(step)[0]
                    loops |= dict.fromkeys(made_by(step), loops[of])
            elif isinstance(step, Block | Piece):
                for e in equations_of(step):
                    found = tuple((ring, e.axes.index(ring.axis)) for ring in around)
                    if len(found) >= len(loops.get(e.target, ())):
                        loops[e.target] = found

    def _outermost_reads(self, steps: tuple[Merged, ...], wanted: frozenset[str]) -> dict[str, int]:
        """For each name the fewest of its own loops that some reader shares with it."""
        needed = dict.fromkeys(wanted, 0)

        def go(steps: tuple[Merged, ...], around: tuple[Ring, ...]) -> None:
            for step in steps:
                if isinstance(step, Loop | Looped):
                    go(step.body, (*around, self.rings[id(step)]))
                    continue
                if around and isinstance(step, Joined | Parted):
                    for name in (*read_by(step), *made_by(step)):
                        needed[name] = min(needed.get(name, len(around)), len(around))
                    continue
                if not isinstance(step, Block | Piece):
                    needed.update(dict.fromkeys((*read_by(step), *made_by(step)), 0))
                    continue
                for read in (r for e in equations_of(step) for r in reads(e.value)):
                    own = [ring for ring, _ in self.stage.places[read.name].loops]
                    shared = sum(a is b for a, b in zip(own, around, strict=False))
                    needed[read.name] = min(needed.get(read.name, shared), shared)

        go(steps, ())
        return needed

    def steps(self, steps: tuple[Merged, ...], around: tuple[Ring, ...]) -> list[Run]:
        return [self.step(step, around) for step in steps]

    def step(self, step: Merged, around: tuple[Ring, ...]) -> Run:
        match step:
            case Block(equation):
                return self.block(equation, around)
            case Loop() | Looped():
                return self.loop(step, around)
            case Compiled():
                return self.call(step)
            case Joined():
                return joining(step, len(around), self.at_a_step(step, around))
            case Parted():
                return parting(step, len(around), self.at_a_step(step, around))
            case Shared():
                return sharing(step, self.stage.like)
            case Piece():
                return self.lying[id(around[-1])].piece(step)

    def at_a_step(self, step: Joined | Parted, around: tuple[Ring, ...]) -> int:
        """The dimension of a step where the loops around have taken theirs away."""
        taken = [position for _, position in self.stage.places[step.name].loops[: len(around)]]
        return step.dim - sum(position < step.dim for position in taken)

    # --- one equation ----------------------------------------------------------------------------------

    def interval(self, e: Equation, axis: str) -> Interval:
        return range_of(e.domain, axis).interval(self.numbers)

    def block(self, e: Equation, around: tuple[Ring, ...]) -> Run:
        """Computes an equation and puts its value where its name lives."""
        if self.ranges is not None and not around:
            nest = nest_of(e, self.numbers, self.intervals, self.stage.like.element_size())
            if nest is not None:
                return self.nest(e, called(nest, self.stage.like.dtype))
        stage, place = self.stage, self.stage.places[e.target]
        stage.line = f"{e.target}[{','.join(e.axes)}] = {e.value}"
        box = {axis: self.interval(e, axis) for axis in e.axes}
        # Along the innermost loop the loop itself asks an equation only where it is defined.
        tests = tuple((d + 1, _within(d, *box[ring.axis])) for d, ring in enumerate(around[:-1]))
        scope = Scope(box, frozenset(e.axes), around, tests=tests)
        labels = tuple(a for a in e.axes if a not in scope.numbers)
        shape = [box[a][1] for a in labels]
        code = stage.tensor(stage.code(e.value, scope))
        value = stage.lifted(code, len(around), scope).run
        lay = arranged(code.labels, labels)
        if len(code.labels) < len(labels) or lay:
            bare = value
            value = lambda f: (lay(bare(f)) if lay else bare(f)).expand(shape)  # noqa: E731
        store = self.storing(e, labels, box, place, len(around))

        def run(f: Frame) -> None:
            if all(test(f.at) for _, test in tests):
                store(f, value(f))

        return run if tests else lambda f: store(f, value(f))

    def nest(self, e: Equation, call: NestCall) -> Run:
        """An equation as a loop nest of its own."""
        names = dict.fromkeys(r.name for r in reads(e.value))

        def run(f: Frame) -> None:
            f.store[e.target] = {(): call({n: f.store[n][()] for n in names})}

        return run

    def storing(
        self, e: Equation, labels: tuple[str, ...], box: Mapping[str, Interval], place: Place, depth: int
    ) -> Callable[[Frame, Tensor], None]:
        """How a value over ``labels`` is put into its name's table."""
        name, deeper = e.target, place.loops[depth:]
        looped = {position for _, position in place.loops}
        taken = [labels.index(e.axes[position]) for _, position in deeper]
        rest = [k for k in range(len(e.axes)) if k not in looped]
        margins: list[int] = []
        for k in reversed(rest):
            (low, size), (first, long) = box[e.axes[k]], place.intervals[k]
            margins += [low - first, first + long - low - size]
        if not deeper and not any(margins):
            if depth == 0:

                def whole(f: Frame, x: Tensor) -> None:
                    f.store[name] = {(): x}

                return whole
            if depth == 1:

                def step(f: Frame, x: Tensor) -> None:
                    f.store[name][(f.at[0],)] = x

                return step
        lows = [box[labels[k]][0] for k in taken]

        def put(f: Frame, x: Tensor) -> None:
            held = f.store.setdefault(name, {})
            parts = {tuple(f.at[:depth]): x}
            for n, (dim, low) in enumerate(zip(taken, lows, strict=True)):
                dim -= sum(d < dim for d in taken[:n])
                parts = {(*k, low + i): y for k, p in parts.items() for i, y in enumerate(p.unbind(dim))}
            for k, p in parts.items():
                if any(margins):
                    p = pad(p, margins)  # the name's other equations fill the rest
                    p = held[k] + p if k in held else p
                held[k] = p

        return put

    # --- a compiled call -------------------------------------------------------------------------------

    def compiled(self, step: Compiled) -> Bound:
        """Steps as one function of tensors; raises CompilerError."""
        assert self.ranges is not None
        wanted = [name for name in step.made if self.read_after(name, step)]
        used = {n: self.ranges[n] for n in (*step.made, *step.given)}
        return compiled(step.steps, used, wanted, self.numbers, self.stage.like.dtype)

    def call(self, step: Compiled) -> Run:
        """Steps as one call; raises CompilerError."""
        call, given = self.compiled(step), step.given

        def run(f: Frame) -> None:
            for name, x in call({n: f.store[n][()] for n in given}).items():
                f.store[name] = {(): x}

        return run

    def read_after(self, name: str, step: Compiled) -> bool:
        """Whether a name is wanted by something else than the call that makes it."""
        return name in self.wanted or any(name in read_by(other) for other in self.all if other is not step)

    # --- a loop ----------------------------------------------------------------------------------------

    def loop(self, loop: Loop | Looped, around: tuple[Ring, ...]) -> Run:
        """Runs the body for each position, then stacks what is read after the loop."""
        ring, depth = self.rings[id(loop)], len(around)
        lie = Tables()
        if self.ranges is not None and any(isinstance(s, Piece) for s in loop.body):
            lie = tables(loop, self.all, self.wanted, self.numbers, self.intervals, self.ranges)
            self.lying[id(ring)] = Lying.before(ring, lie, self.stage)
        active = tuple(s for s in loop.body if s not in lie.idle)
        spans = {id(step): self.span(step, loop.axis, depth) for step in active}
        body = list(zip(active, self.steps(active, (*around, ring)), strict=True))
        low = min(a for a, _ in spans.values())
        high = max(b for _, b in spans.values())
        table: dict[tuple[bool, ...], tuple[Run, ...]] = {}
        turns: list[tuple[int, tuple[Run, ...]]] = []
        for t in range(low, high):
            here = tuple(spans[id(s)][0] <= t < spans[id(s)][1] for s, _ in body)
            if here not in table:
                table[here] = tuple(run for (_, run), on in zip(body, here, strict=True) if on)
            turns.append((t, table[here]))
        if loop.reverse:
            turns.reverse()
        before, saved = tuple(ring.before), tuple(ring.saved)
        made = dict.fromkeys(made_by(loop))
        keep = self.lying[id(ring)].keep if id(ring) in self.lying else lambda _: None
        after = [self.gather(name, depth) for name in made if self.needed[name] <= depth and name not in lie]
        drop = [name for name in made if self.needed[name] > 0] if depth == 0 else []
        passing = [
            (name, reach)
            for name in drop
            if (name not in lie or name in lie.shown) and (reach := self.reach(name, loop)) is not None
        ]
        back = -1 if loop.reverse else 1

        def run(f: Frame) -> None:
            for name in made:
                f.store.setdefault(name, {})
            for fill in before:
                fill(f)
            at = f.at
            stale = [(f.store[name], reach * back) for name, reach in passing]
            for t, steps in turns:
                at[depth] = t
                for step in steps:
                    step(f)
                for held, reach in stale:
                    held.pop((t - reach,), None)
            keep(f)
            for slot in saved:
                f.slots[slot] = None
            for stack in after:
                stack(f)
            for name in drop:
                del f.store[name]

        return run

    def reach(self, name: str, loop: Loop | Looped) -> int | None:
        """How many steps back a name of this loop alone is read; None where that is not one number."""
        place = self.stage.places[name]
        if len(place.loops) != 1:
            return None
        position = place.loops[0][1]
        found = 0
        for e in loop.equations:
            for read in reads(e.value):
                if read.name == name:
                    at = Affine.of(read.at[position], self.numbers)
                    if at.terms != ((loop.axis, 1),) or at.divisor != 1:
                        return None
                    found = max(found, abs(at.shift))
        return found

    def span(self, step: Merged, axis: str, depth: int) -> tuple[int, int]:
        """From where to where (exclusive) a step of loop number ``depth``, over ``axis``, has to run."""
        if isinstance(step, Joined | Parted):
            place = self.stage.places[step.name]
            low, size = place.intervals[place.loops[depth][1]]
            return low, low + size
        found = [self.interval(e, axis) for e in equations_of(step)]
        return min(low for low, _ in found), max(low + size for low, size in found)

    def gather(self, name: str, depth: int) -> Run:
        """Stacks the steps of loop number ``depth`` of a name."""
        whole, place = stacking(self.stage, name), self.stage.places[name]
        outer = [place.intervals[position] for _, position in place.loops[:depth]]

        def run(f: Frame) -> None:
            held, key = f.store[name], tuple(f.at[:depth])
            # An outer loop may begin before this name does: a start has no pre-activation.
            if any(not low <= k < low + size for k, (low, size) in zip(key, outer, strict=True)):
                return
            x = whole(held, key)
            if depth == 0:
                held.clear()
            held[key] = x

        return run
