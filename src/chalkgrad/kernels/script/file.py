"""A layer as a script that runs alone: forward, backward, and the check of one against the other."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from chalkgrad.equations.ir import Apply, Const, Expr, Program, Range, Read, Size, full
from chalkgrad.equations.size import Floor
from chalkgrad.equations.walk import nodes, reads
from chalkgrad.kernels.schedule import equations_of, schedule
from chalkgrad.kernels.script import check
from chalkgrad.kernels.script.access import reading
from chalkgrad.kernels.script.body import Array, Body, array
from chalkgrad.kernels.script.dialect import HELPERS, Dialect, Library
from chalkgrad.kernels.script.identifiers import Identifiers, identifier, of_size
from chalkgrad.kernels.script.prepare import Passes, passes
from chalkgrad.kernels.script.shapes import symbol, unpacked
from chalkgrad.kernels.script.statements import fill
from chalkgrad.kernels.script.steps import ordered, write


def script(program: Program, dialect: Dialect, sizes: Mapping[str, int], page: str = "") -> str:
    """The layer as a Python script with its forward and its backward pass, which checks itself when run.

    ``program`` is about one example, as it was read; ``sizes`` gives a number for each of its size symbols
    and for ``batch``, for the check; ``page`` is quoted at the top.

    >>> from chalkgrad.language.resolve import read
    >>> code = script(read("y = W x where x: input").program, "numpy", {"|y|": 2, "|x|": 3, "batch": 2})
    >>> print(code[code.index("    # ∂W") : code.index("    return {")])
        # ∂W = ∂y xᵀ
        dW = grad_y.T @ x
    <BLANKLINE>
    """
    p = passes(program)
    writer = _Script(p, Library(dialect, set()), sizes)
    backward = writer.backward()
    functions = [writer.forward(), backward]
    checking = check.source(*writer.given(), writer.heads, dialect, _needs_positive(p))
    return "\n\n".join([writer.top(page), *writer.helpers(), *functions, checking])


class _Script:
    """The identifiers and layouts that both functions share, and each function's text."""

    def __init__(self, p: Passes, library: Library, numbers: Mapping[str, int]) -> None:
        self.passes, self.library, self.numbers = p, library, numbers
        self.names = Identifiers()
        symbols = {s for n in p.program.names for r in n.ranges for s in r.size.symbols}
        self.batch = "batch" if "B" in symbols | {n.name for n in p.program.names} else "B"
        self.names.of["size batch"] = self.names.free(self.batch)
        roles = ("input", "seed", "parameter", "start", "defined")
        self.inputs = sorted(p.given, key=lambda n: roles.index(n.role))
        self.arrays: dict[str, Array] = {}
        several = {e.target for e in p.program.equations if len(p.program.defining(e.target)) > 1}
        ordered_names = [*self.inputs, *p.seeds, *(n for n in p.program.names if n.role == "defined")]
        starts = {n.name for n in self.inputs if n.role == "start"}
        for n in ordered_names:
            wish = f"grad_{n.of}" if n.role == "seed" else n.name
            name = self.names.call(n.name, wish)
            adjoint = n.role == "defined" and n.name.startswith("∂")
            wraps = (n.of if adjoint else n.name) in several
            start = n.role == "start" or (adjoint and n.of in starts)
            self.arrays.setdefault(n.name, array(name, n.ranges, start=start, wraps=wraps, note=not adjoint))
        self.derived: dict[Size, str] = {}
        for n in ordered_names[::-1]:
            for r in n.ranges:
                self._size_names(r, self.arrays[n.name].name)
        self.measured: set[str] = set()  # given names that backward needs for their shapes alone
        self.definition = {name: s for s, name in self.derived.items()}

    def _size_names(self, r: Range, where: str) -> None:
        for s in r.size.symbols:
            self.names.call(f"size {s}", of_size(s))
        atoms = [a for a, _ in r.size.terms]
        named = len(atoms) > 1 or any(isinstance(a, Floor) for a in atoms)
        if named and r.size not in self.derived:
            wish = f"n_{identifier(r.axis.rstrip('′'))}"
            taken = wish in self.names.taken
            self.derived[r.size] = self.names.free(f"{wish}_{where}" if taken else wish)

    # --- the functions ----------------------------------------------------------------------------------

    @property
    def heads(self) -> check.Heads:
        p = self.passes
        outputs = [self.arrays[o].name for o in p.outputs]
        seeds = {n.of: self.arrays[n.name].name for n in p.seeds}
        losses = [self.arrays[o].name for o in p.losses]
        return check.Heads(outputs, [seeds.get(o, "") for o in p.outputs], losses)

    @property
    def saved(self) -> list[str]:
        """What backward reads of forward's, the given first."""
        p = self.passes
        own = schedule(p.program, p.gradients, p.known, apart=False)
        read = {r.name for s in own for e in equations_of(s) for r in reads(e.value)}
        names = [n.name for n in self.inputs] + list(p.saved)
        return [n for n in names if n in read or n in self.measured]

    def body(self, like: str) -> Body:
        parameters = {
            s for n in self.inputs if n.role == "parameter" for r in n.ranges for s in r.size.symbols
        }
        return Body(
            self.library, self.names, self.arrays, frozenset(parameters), self.derived, like, fill=fill
        )

    def forward(self) -> str:
        p = self.passes
        b = self.body(self.arrays[self.inputs[0].name].name)
        wanted = dict.fromkeys((*p.outputs, *p.saved))
        steps = schedule(p.program, wanted, apart=False)
        starts = {n.name: self.arrays[n.name].name for n in self.inputs if n.role == "start"}
        write(b, ordered(steps, p), starts)
        saved = [self.arrays[n].name for n in self.saved]
        outputs = [self._output(b, o) for o in p.outputs]
        arguments = [self.arrays[n.name].name + ("=None" if n.role == "start" else "") for n in self.inputs]
        last = [f"{saved[-1]},)" if len(saved) == 1 else f"{saved[-1]})"] if saved else [")"]
        returned = [*saved[:-1], *last]
        returned[0] = f"({returned[0]}"  # one bracket in the items: a long line breaks between them
        head = _head("forward", arguments)
        doc = self._doc(b, p.outputs)
        given = [self.arrays[n.name] for n in self.inputs]
        sizes, lacking = unpacked(b, given[: len(given) - len(starts)], self.definition)
        if lacking:  # only a start tells some size: it must be given
            sizes, lacking = unpacked(b, given, self.definition, self.numbers)
            head = head if lacking else head.replace("=None", "")
        end = _wrapped("return ", [*outputs, *returned])
        return "\n".join([head, *doc, *sizes, *b.lines, *end, ""])

    def _doc(self, b: Body, outputs: tuple[str, ...]) -> list[str]:
        """The docstring of forward: the shape of everything that comes in and goes out."""
        kept, used, b.derived = b.derived, dict(b.used), {}

        def shape(name: str, ranges: tuple[Range, ...]) -> str:
            sizes = ", ".join(b.size(r.size) for r in ranges) + ("," if len(ranges) == 1 else "")
            return f"{self.arrays[name].name}: {f'({sizes})' if ranges else 'a number'}"

        out = ", ".join(shape(o, self.passes.own[o]) for o in outputs)
        given = [
            shape(n.name, tuple(r for r, gone in zip(a.ranges, a.dropped, strict=True) if not gone))
            + (" or None" if n.role == "start" else "")
            for n in self.inputs
            for a in [self.arrays[n.name]]
        ]
        b.derived, b.used = kept, used
        lines = [
            f'    """The output{"s" if len(outputs) > 1 else ""} {out}, and what backward needs.',
            "",
            "",
        ]
        for text in given:
            if len(lines[-1]) + len(text) + 3 > 110:
                lines[-1] += ","
                lines.append("")
            lines[-1] += f"{', ' if lines[-1].strip() else '    '}{text}"
        return [*lines[:-1], lines[-1] + ".", '    """']

    def backward(self) -> str:
        p = self.passes
        seeds = [n.name for n in p.seeds]
        saved = self.saved
        like = self.arrays[(*seeds, *saved, self.inputs[0].name)[0]].name
        b = self.body(like)
        b.made |= {self.arrays[n].name for n in saved}
        write(b, ordered(schedule(p.program, p.gradients, p.known, apart=False), p), {})
        names = [self.arrays[n].name for n in saved]
        unpack = []
        if names:
            left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
            unpack = [f"    {left} = saved"]
            if len(unpack[0]) > 110:
                unpack = _broken("(", names, ") = saved")
        sizes, lacking = unpacked(b, [self.arrays[n] for n in (*seeds, *saved)], self.definition)
        holders = {symbol(r.size): n.name for n in self.inputs[::-1] for r in n.ranges}
        if (holding := {holders[s] for s in lacking if s in holders}) and not self.measured:
            self.measured = holding
            return self.backward()
        if lacking:
            sizes, _ = unpacked(b, [self.arrays[n] for n in (*seeds, *saved)], self.definition, self.numbers)
        known = {n.name: n for n in p.program.names}
        pairs = [f'"{self.arrays[known[g].of].name}": {self.arrays[g].name}' for g in p.gradients]
        end = [f"    return {{{', '.join(pairs)}}}"]
        if len(end[0]) > 110:
            end = ["    return {", *(f"        {pair}," for pair in pairs), "    }"]
        head = _head("backward", [*(self.arrays[s].name for s in seeds), "saved"])
        what = " and ".join(self.arrays[s].name for s in seeds)
        doc = f'    """The gradient of the loss by everything given, where {what} is that by the output."""'
        if not seeds:
            doc = '    """The gradient of the loss by everything given."""'
        if len(seeds) > 1:
            doc = doc.replace(" is that by the output", " are those by the outputs")
        return "\n".join([head, doc, *unpack, *sizes, *b.lines, *end, ""])

    def _output(self, b: Body, name: str) -> str:
        """An output without the steps before its start."""
        a, own = self.arrays[name], self.passes.own[name]
        return reading(b, a, full(own), {r.axis: r for r in own}).code

    # --- the check ------------------------------------------------------------------------------------

    def given(self) -> tuple[list[str], list[tuple[str, str]]]:
        """A line for the sizes of the check, and identifier and shape of everything given."""
        b = self.body("")
        b.derived = {}
        shapes = [(self.arrays[n.name].name, ", ".join(b.shape(self.arrays[n.name]))) for n in self.inputs]
        used = [s for s in b.used if s in self.numbers]
        names = ", ".join(self.names.of[f"size {s}"] for s in used)
        return [f"    {names} = {', '.join(str(self.numbers[s]) for s in used)}"] if used else [], shapes

    # --- the top ----------------------------------------------------------------------------------------

    def top(self, page: str) -> str:
        lines = [f"# {line}".rstrip() for line in _quoted(page)]
        lines += ["#"] if lines else []
        lines += [
            "# Forward and backward over a batch, which is the first axis. The comments are about one",
            "# example; what they call ∂h, the gradient of the loss by h, is dh in the code.",
        ]
        for n in self.passes.seeds:
            if n.name.startswith("∂"):
                continue
            lines.append(f"# {n.name} is what the loss says of {n.of} directly: {self.arrays[n.name].name}.")
        for o in self.passes.losses:
            lines.append(f"# {o} is the loss, added up over the batch: its own gradient is one.")
        lines.append("# Run as a script, it checks its own gradients.")
        modules = ["sys"] + (["math"] if "math" in self.library.used else [])
        imports = [f"import {m}" for m in sorted(modules)]
        library = "import torch" if self.library.torch else "import numpy as np"
        return "\n".join([*lines, *imports, "", library, ""])

    def helpers(self) -> list[str]:
        return [text for name, text in HELPERS.items() if name in self.library.used]


def _quoted(page: str) -> list[str]:
    """The page's lines, what it says in comments laid out anew."""
    lines: list[str] = []
    remark: list[str] = []
    for line in [*page.strip().splitlines(), ""]:
        text = line.strip()
        if text.startswith("#"):
            remark.append(text.lstrip("# "))
            continue
        lines += textwrap.wrap(" ".join(remark), 100)
        lines += textwrap.wrap(text, 108, break_long_words=False, subsequent_indent="    ")
        remark = []
    return lines


def _head(name: str, arguments: list[str]) -> str:
    line = f"def {name}({', '.join(arguments)}):"
    return line if len(line) <= 110 else "\n".join(_broken(f"def {name}(", arguments, "):", 0))


def _wrapped(lead: str, items: list[str]) -> list[str]:
    line = f"    {lead}{', '.join(items)}"
    return [line] if len(line) <= 110 else _broken(f"{lead}(", items, ")")


def _broken(lead: str, items: list[str], end: str, depth: int = 1) -> list[str]:
    """Items in brackets over as many lines as they need."""
    lines, room = [""], 110 - 4 * depth - 4
    for item in items:
        if len(lines[-1]) + len(item) + 2 > room:
            lines.append("")
        lines[-1] += f"{item}, "
    pad = "    " * depth
    return [f"{pad}{lead}", *(f"{pad}    {text.rstrip()}" for text in lines), f"{pad}{end}"]


def _needs_positive(p: Passes) -> bool:
    """Whether some function is asked for that only positive numbers have."""

    def asks(e: Expr) -> bool:
        match e:
            case Apply("log" | "sqrt", (base,)):
                return read(base)
            case Apply("pow", (base, Const(k))):
                return read(base) and (not float(k).is_integer() or k < 0)
            case Apply("pow", (base, _)):
                return read(base)
            case _:
                return False

    def read(e: Expr) -> bool:  # a size is positive already
        return any(isinstance(n, Read) for n in nodes(e))

    return any(asks(n) for e in p.program.equations for n in nodes(e.value))
