"""Which equations of a note belong together: one reads what another defines, within one part of the note.

A name that is defined again begins another layer; what that one does not say itself it has from before (the
second variant of a GRU changes one line). Parts of a note stay apart, unless the equations need each other in
a circle: the gates of an LSTM, each under a heading of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chalkgrad.notes import names
from chalkgrad.notes.page import Heading
from chalkgrad.notes.pieces import Equation


@dataclass(frozen=True)
class Family:
    """The equations of one layer, by their numbers; those of ``borrowed`` stand with another layer too."""

    members: tuple[int, ...]
    borrowed: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Every equation, in the order of the page."""
        return tuple(sorted({*self.members, *self.borrowed}))


@dataclass
class _Node:
    """An equation of a layer: what it defines and reads, and in which part and turn of the note it stands."""

    number: int
    name: str
    reads: frozenset[str]
    text: str
    start: int
    block: int
    whole: bool
    base: str  # h of h_0
    part: int = 0
    turn: int = 0  # how often names have been defined again before, in this part
    repeats: bool = False


def families(
    equations: Sequence[Equation], headings: Sequence[Heading]
) -> tuple[tuple[Family, ...], dict[int, int]]:
    """The layers of a note (what reads nothing is none); for each equation that repeats one, which one."""
    nodes = [
        _Node(
            k,
            names.base(n) if names.is_start(e.line) and names.base(n) else n,
            names.reads(e.line),
            e.text,
            e.span.start,
            e.piece.block,
            e.piece.whole,
            "start" if names.is_start(e.line) else "",
        )
        for k, e in enumerate(equations)
        if e.kind == "layer" and e.line is not None and (n := names.defined(e.line))
    ]
    fences = _whole(nodes)
    nodes = [n for n in nodes if not n.whole]
    tree = _Tree(headings)
    for part, within in enumerate(_parts(nodes, tree)):
        for n in within:
            n.part = part
        _unstart(within)
        _repeated(within)
        _turns(within)
    found, again = _families(nodes, _joined(nodes, tree))
    kept: list[Family] = []
    shown: list[tuple[frozenset[str], Family]] = []
    found = [f for f in found if any(names.reads(line) for k in f.all if (line := equations[k].line))]
    for f in sorted([*found, *fences], key=lambda f: f.members[0]):
        texts = frozenset(equations[k].text for k in f.all)
        before = next((g for known, g in shown if texts <= known), None)
        if before is None:
            kept.append(f)
            shown.append((texts, f))
        else:
            own = {equations[k].text: k for k in reversed(before.all)}
            again |= {k: own[equations[k].text] for k in f.members}
    return tuple(kept), again


class _Tree:
    """The headings with what stands above and below each."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self.headings = headings
        self.starts = [h.start for h in headings[1:]]
        self.above: list[int] = []
        self.below: list[list[int]] = [[] for _ in headings]
        open_: list[int] = []
        for k, h in enumerate(headings):
            while open_ and headings[open_[-1]].end <= h.start and open_[-1]:
                open_.pop()
            self.above.append(open_[-1] if open_ else -1)
            if open_:
                self.below[open_[-1]].append(k)
            open_.append(k)

    def path(self, at: int) -> list[int]:
        """The headings that a place stands under, the nearest first."""
        k = bisect_right(self.starts, at)
        found: list[int] = []
        while k >= 0:
            found.append(k)
            k = self.above[k]
        return found


def _whole(nodes: list[_Node]) -> list[Family]:
    blocks: dict[int, list[int]] = {}
    for n in nodes:
        if n.whole:
            blocks.setdefault(n.block, []).append(n.number)
    return [Family(tuple(b)) for b in blocks.values()]


def _unstart(nodes: list[_Node]) -> None:
    """h_1 is a name of its own where nothing defines h."""
    defined = {n.name for n in nodes if not n.base}
    for n in nodes:
        if n.base and n.name not in defined:
            n.name, n.base = n.text.split(" = ")[0], ""


def _key(n: _Node) -> str:
    return f"{n.name}₀" if n.base else n.name


def _repeated(nodes: list[_Node]) -> None:
    """Formulas all of whose equations stand word for word before."""
    seen: dict[str, _Node] = {}
    blocks: dict[int, list[_Node]] = {}
    for n in nodes:
        blocks.setdefault(n.block, []).append(n)
    for block in blocks.values():
        again = all(n.text in seen for n in block)
        for n in block:
            n.repeats = again
            seen.setdefault(n.text, n)


# --- parts of the note ---------------------------------------------------------------------------------


def _parts(nodes: list[_Node], tree: _Tree) -> list[list[_Node]]:
    """The equations that may be one text: below the level of the note's own parts, while no name is twice."""
    levels = [h.level for h in tree.headings[1:]]
    repeated = [a for a in sorted(set(levels)) if levels.count(a) > 1]
    main = repeated[0] if repeated else min(levels, default=0)
    starts = [n.start for n in nodes]
    found: list[list[_Node]] = []

    def visit(k: int) -> None:
        h = tree.headings[k]
        everything = nodes[bisect_left(starts, h.start) : bisect_left(starts, h.end)]
        if not everything:
            return
        if h.level >= main and not _twice(everything):
            found.append(everything)
            return
        found.append(nodes[bisect_left(starts, h.start) : bisect_left(starts, h.own)])
        for below in tree.below[k]:
            visit(below)

    visit(0)
    return [f for f in found if f]


def _twice(nodes: Iterable[_Node]) -> bool:
    found: dict[str, str] = {}
    return any(found.setdefault(_key(n), n.text) != n.text for n in nodes)


def _turns(within: list[_Node]) -> None:
    """Number the turns of a part: a name that is defined again begins the next one."""
    turn, begun = 0, 0
    here: set[str] = set()
    for k, n in enumerate(within):
        if not n.repeats and _key(n) in here:
            first = _back(within, begun, k)
            turn, begun = turn + 1, first
            here = set()
            for m in within[first:k]:
                m.turn = turn
                here.add(_key(m))
        n.turn = turn
        if not n.repeats:
            here.add(_key(n))


def _back(within: list[_Node], begun: int, k: int) -> int:
    """Where a turn begins whose first repeated name is that of ``k``: with its formula, and with what stands
    right before it and is read only from there on."""
    first = next(j for j in range(k, begun - 1, -1) if j == begun or within[j - 1].block != within[k].block)
    if first == begun:
        first = k
    while first - 1 > begun:
        n = within[first - 1]
        before, after = within[begun : first - 1], within[first:]
        if any(n.name in m.reads for m in before) or not any(n.name in m.reads for m in after):
            break
        first -= 1
    return first


# --- joining -------------------------------------------------------------------------------------------


def _joined(nodes: list[_Node], tree: _Tree) -> list[list[_Node]]:
    """Connected equations: of one part and turn, and circles across parts."""
    root = list(range(len(nodes)))

    def find(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = root[k]
        return k

    at = {n.number: k for k, n in enumerate(nodes)}
    named: dict[tuple[int, int, str], list[int]] = {}
    for k, n in enumerate(nodes):
        if not n.repeats:
            named.setdefault((n.part, n.turn, n.name), []).append(k)
    for k, n in enumerate(nodes):
        if n.repeats:
            continue
        for name in n.reads | ({n.name} if n.base else set()):
            for j in named.get((n.part, n.turn, name), ()) or named.get(
                (n.part, n.turn, names.base(name)), ()
            ):
                root[find(k)] = find(j)
    for circle in _circles(nodes, tree, at):
        together = [m for m in range(len(nodes)) if find(m) in {find(k) for k in circle}]
        keys = [_key(nodes[m]) for m in together if not nodes[m].repeats]
        if len(keys) == len(set(keys)):
            for k in circle:
                root[find(k)] = find(circle[0])
    groups: dict[int, list[_Node]] = {}
    for k, n in enumerate(nodes):
        if not n.repeats:
            groups.setdefault(find(k), []).append(n)
    return list(groups.values())


def _circles(nodes: list[_Node], tree: _Tree, at: dict[int, int]) -> list[list[int]]:
    """Equations that need each other across parts: each name stands once in the nearest part with it."""
    by_name: dict[str, list[_Node]] = {}
    for n in nodes:
        if not (n.repeats or n.base):
            by_name.setdefault(n.name, []).append(n)
    reads: list[list[int]] = []
    for n in nodes:
        found: list[int] = []
        for name in () if n.repeats else sorted(n.reads):
            for h in (tree.headings[k] for k in tree.path(n.start)) if name in by_name else ():
                near = [m for m in by_name.get(name, ()) if h.start <= m.start < h.end]
                if near:
                    found += [at[m.number] for m in near] if len(near) == 1 else []
                    break
        reads.append(found)
    return [c for c in _strong(reads) if len({nodes[k].part for k in c}) > 1]


def _strong(reads: list[list[int]]) -> list[list[int]]:
    """Strongly connected components (Tarjan 1972), without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on: set[int] = set()
    found: list[list[int]] = []
    for first in range(len(reads)):
        if first in index:
            continue
        work = [(first, 0)]
        while work:
            k, next_ = work.pop()
            if next_ == 0:
                index[k] = low[k] = len(index)
                stack.append(k)
                on.add(k)
            for position in range(next_, len(reads[k])):
                j = reads[k][position]
                if j not in index:
                    work += [(k, position + 1), (j, 0)]
                    break
                if j in on:
                    low[k] = min(low[k], index[j])
            else:
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[k])
                if low[k] == index[k]:
                    circle = [stack.pop()]
                    while circle[-1] != k:
                        circle.append(stack.pop())
                    on -= {*circle}
                    found.append(circle)
    return found


def _families(nodes: list[_Node], groups: list[list[_Node]]) -> tuple[list[Family], dict[int, int]]:
    """Each group, with what it reads of other turns of its part; and what only says again."""
    found: list[Family] = []
    named: dict[str, list[_Node]] = {}
    for n in nodes:
        if not (n.repeats or n.base):
            named.setdefault(n.name, []).append(n)
    for group in groups:
        own = {n.name for n in group}
        parts = {n.part for n in group}
        borrowed: list[_Node] = []
        todo = [*group]
        while todo:
            n = todo.pop()
            for name in sorted(n.reads - own):
                source = _nearest([m for m in named.get(name, ()) if m.part in parts], group[0].turn)
                if source is not None:
                    own.add(name)
                    borrowed.append(source)
                    todo.append(source)
        found.append(Family(tuple(n.number for n in group), tuple(n.number for n in borrowed)))
    first = {n.text: n.number for n in reversed(nodes) if not n.repeats}
    return found, {n.number: first[n.text] for n in nodes if n.repeats}


def _nearest(defining: list[_Node], turn: int) -> _Node | None:
    """What defines a name for a turn: the last one before it, else the first one after."""
    before = [n for n in defining if n.turn <= turn]
    return before[-1] if before else defining[0] if defining else None
