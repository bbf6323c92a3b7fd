"""Convolutions found in sums of products: forward, and both gradients.

A window ``x[(α a + β b + γ)/δ]`` ties three coordinates together: ``a`` of the result, ``b`` of the other
factor, and x's own. Solved for one whose coefficient is ±1 it reads ``n = s·i + d·p + e``: the *image* is
read from *positions* ``i`` a stride s apart, by a *kernel* whose taps ``p`` lie d apart. Which of the three
tensors is the result says which call it is:

    positions   a convolution
    image       a transposed convolution, which is also the image's gradient
    kernel      the kernel's gradient

So one rule finds all of them, whatever the direction of reading. Where an index leaves its tensor, a guard
makes it count as zero, and that is padding. An axis of two of the three is a batch (image and positions), an
input channel (image and kernel) or an output channel (positions and kernel); one of all three is a group.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import prod
from typing import Literal

from chalkgrad.equations.ir import Condition, Expr, Index, Read
from chalkgrad.kernels.eager.code import Labels, Scope, Stage
from chalkgrad.kernels.eager.guards import misses
from chalkgrad.kernels.eager.views import Affine, Interval

Which = Literal["read", "other", "result"]
"""The three tensors of a product: the factor that has windows, the other factor, the sum."""

Roles = tuple[Which, Which, Which]
"""Which tensor is the image, which one runs over the positions, which is the kernel."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """One tensor's axis in a window: its label, how many places it has, whether it is turned round."""

    label: str
    size: int
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """``n = stride · i + dilation · p + offset``, each counted from zero: image, position and tap."""

    image: Coordinate
    position: Coordinate
    tap: Coordinate
    stride: int
    dilation: int
    offset: int

    @property
    def coordinates(self) -> tuple[Coordinate, Coordinate, Coordinate]:
        return self.image, self.position, self.tap

    @property
    def reach(self) -> int:
        """How many places of the image the positions and taps span."""
        return self.stride * (self.position.size - 1) + self.dilation * (self.tap.size - 1) + 1

    @property
    def meets(self) -> bool:
        """Whether any of what it spans lies in the image, and there is any."""
        return -self.reach < self.offset < self.image.size and all(c.size for c in self.coordinates)

    @property
    def margin(self) -> int | None:
        """How many zeros at either end of the image make the positions come out, or None."""
        return -self.offset if self.offset <= 0 and 0 <= self.over < self.stride else None

    @property
    def cut(self) -> int | None:
        """The output padding with which a transposed convolution has the image's size, or None."""
        return self.over if self.offset <= 0 and 0 <= self.over < max(self.stride, self.dilation) else None

    @property
    def over(self) -> int:
        """What a margin as wide as the first leaves of the image beyond the last position."""
        return self.image.size - 2 * self.offset - self.reach


@dataclass(frozen=True, slots=True)
class Convolution:
    """A sum of products as a convolution.

    ``read`` is the factor with windows, a new label in the place of each, whose interval is in ``box``;
    ``other`` is the other factor.
    """

    read: Read
    other: Read
    box: Mapping[str, Interval]
    roles: Roles
    windows: tuple[Window, ...]
    batch: Labels
    groups: Labels
    incoming: Labels
    outgoing: Labels

    @property
    def name(self) -> str:
        """The library call that it is."""
        form = ("nn.functional.conv_transpose{}d", "nn.functional.conv{}d", "nn.grad.conv{}d_weight")
        return "torch." + form[self.roles.index("result")].format(len(self.windows))

    @property
    def layouts(self) -> tuple[tuple[Labels, ...], ...]:
        """The labels of each dimension of image, positions and kernel, as the library has them."""
        image, positions, taps = (
            tuple((w.coordinates[role].label,) for w in self.windows) for role in range(3)
        )
        return (
            (self.batch, self.groups + self.incoming, *image),
            (self.batch, self.groups + self.outgoing, *positions),
            (self.groups + self.outgoing, self.incoming, *taps),
        )

    @property
    def channels(self) -> Labels | None:
        """The labels of the result of which the library can add a number to each; None where it adds none."""
        match self.roles.index("result"):
            case 1:
                return self.groups + self.outgoing
            case 0 if all(w.cut is not None for w in self.windows):
                return self.groups + self.incoming
            case _:
                return None

    def takes(self, bias: Read) -> bool:
        """Whether the call adds it too: one number for each channel of the result."""
        channels = self.channels
        plain = [i.axes[0] if i.axes and i == Index.axis(i.axes[0]) else "" for i in bias.at]
        return channels is not None and sorted(plain) == sorted(channels)


def convolution(
    stage: Stage, factors: Sequence[Expr], conditions: Sequence[Condition], over: Collection[str], s: Scope
) -> Convolution | None:
    """What the product of ``factors``, summed over ``over``, is as a convolution; None where it is none.

    ``s`` is the scope inside the sum, ``conditions`` are those of its guards that do not hold everywhere.
    """
    match factors:
        case (Read() as a, Read() as b) if not s.mask and all(size for _, size in s.box.values()):
            return _found(stage, a, b, conditions, over, s) or _found(stage, b, a, conditions, over, s)
        case _:
            return None


def _found(
    stage: Stage,
    read: Read,
    other: Read,
    conditions: Sequence[Condition],
    over: Collection[str],
    s: Scope,
) -> Convolution | None:
    intervals = stage.places[read.name].intervals
    index = [Affine.of(i, stage.sizes) for i in read.at]
    where = [k for k, i in enumerate(index) if len(i.terms) > 1]
    if not 1 <= len(where) <= 3:
        return None
    # A guard may only keep away from where a window leaves the tensor: zeros there do the same.
    if not all(any(misses(stage, read.at[k], intervals[k], c, s) for k in where) for c in conditions):
        return None
    own = {k: f"{read.name}·{k}" for k in where}
    at = tuple(Index.axis(own[k]) if k in own else i for k, i in enumerate(read.at))
    box = {own[k]: intervals[k] for k in where}
    ties = [_tie(own[k], index[k], over, {**s.box, **box}) for k in where]
    if any(t is None for t in ties):
        return None
    known = [t for t in ties if t is not None]
    roles = _roles(known)
    if roles is None:
        return None
    order = [*s.box]
    windows = [_solved(t, roles) for t in sorted(known, key=lambda t: order.index(t.result[0].label))]
    if not all(w.meets for w in windows):
        return None
    loops = {*s.numbers}
    axes = {
        "read": [a for i in at for a in i.axes if a not in loops],
        "other": [a for i in other.at for a in i.axes if a not in loops],
        "result": [a for a in order if a not in over and a not in loops],
    }
    windowed = {w.coordinates[role].label: roles[role] for w in windows for role in range(3)}
    # A window's axes stand nowhere else, once each; any other axis is shared, and read as it stands.
    if any(axes[which].count(a) != (windowed[a] == which) for a in windowed for which in axes):
        return None
    holders = {
        a: tuple(a in axes[r] for r in roles) for which in roles for a in axes[which] if a not in windowed
    }

    def held(image: bool, positions: bool, kernel: bool) -> Labels:
        return tuple(a for a in order if holders.get(a) == (image, positions, kernel))

    found = Convolution(
        Read(read.name, at),
        other,
        box,
        roles,
        tuple(windows),
        batch=held(True, True, False),
        groups=held(True, True, True),
        incoming=held(True, False, True),
        outgoing=held(False, True, True),
    )
    return found if all(sum(h) > 1 for h in holders.values()) else None


# --- one window ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tie:
    """What an index says of three coordinates: each times its coefficient, and ``shift``, add up to zero."""

    read: tuple[Coordinate, int]
    other: tuple[Coordinate, int]
    result: tuple[Coordinate, int]
    shift: int

    def of(self, which: Which) -> tuple[Coordinate, int]:
        match which:
            case "read":
                return self.read
            case "other":
                return self.other
            case "result":
                return self.result


def _tie(own: str, index: Affine, over: Collection[str], box: Mapping[str, Interval]) -> Tie | None:
    """The index of a window, its own value under the label ``own``; None where it ties something else."""
    match sorted(index.terms, key=lambda term: term[0] in over):
        case [(a, alpha), (b, beta)] if a not in over and b in over:
            terms = {own: -index.divisor, b: beta, a: alpha}
        case _:
            return None
    read, other, result = ((Coordinate(v, box[v][1]), k) for v, k in terms.items())
    return Tie(read, other, result, index.shift + sum(k * box[v][0] for v, k in terms.items()))


def _roles(ties: Sequence[Tie]) -> Roles | None:
    """Which tensor is which, in all windows alike; None where no coordinate can be solved for.

    Of all ways the one that turns the fewest axes round, then the one with the smallest kernel, then a
    convolution forwards.
    """
    whiches: tuple[Which, Which, Which] = ("read", "other", "result")

    def rank(roles: Roles) -> tuple[int, int, bool, int]:
        turned = sum(c.turned for t in ties for c in _solved(t, roles).coordinates)
        image, _, kernel = (prod(t.of(r)[0].size for t in ties) for r in roles)
        return turned, kernel, roles[1] != "result", -image

    ways = [r for r in permutations(whiches, 3) if all(abs(t.of(r[0])[1]) == 1 for t in ties)]
    return min(ways, key=rank, default=None)


def _solved(t: Tie, roles: Roles) -> Window:
    """``n = s·i + d·p + e``, with what a negative s or d would read backwards turned round."""
    (n, sign), (i, stride), (p, dilation) = (t.of(r) for r in roles)
    stride, dilation, offset = -sign * stride, -sign * dilation, -sign * t.shift
    if stride < 0 and dilation < 0:
        n, stride, dilation, offset = replace(n, turned=True), -stride, -dilation, n.size - 1 - offset
    if stride < 0:
        i, stride, offset = replace(i, turned=True), -stride, offset + stride * (i.size - 1)
    if dilation < 0:
        p, dilation, offset = replace(p, turned=True), -dilation, offset + dilation * (p.size - 1)
    return Window(n, i, p, stride, dilation, offset)
