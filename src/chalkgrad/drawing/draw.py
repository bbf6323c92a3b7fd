"""The computation graph of a layer as a picture, SVG or PNG, for a slide."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from chalkgrad.calculus.latex import symbol
from chalkgrad.drawing.graph import Graph, folded
from chalkgrad.drawing.unrolled import unrolled
from chalkgrad.equations.ir import Program
from chalkgrad.files import write
from chalkgrad.language.resolve import Resolved, read
from chalkgrad.language.source import EquationError
from chalkgrad.zoo import source_of

if TYPE_CHECKING:
    from chalkgrad.drawing.picture import Picture

PIXELS, DOTS = 1600, (160, 320)
"""How wide a PNG is, in pixels, where its dots per inch stay between these."""

SUFFIXES = (".svg", ".png")


class Drawing:
    """A picture of a layer; ``svg()`` and ``png()`` are its files, ``save(path)`` writes one."""

    def __init__(self, resolved: Resolved, graph: Graph) -> None:
        self._resolved, self.graph = resolved, graph

    @property
    def program(self) -> Program:
        """The equations in index form, about one example."""
        return self._resolved.program

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is probably not meant, such as a definition that reaches no output."""
        return self._resolved.warnings

    @cached_property
    def picture(self) -> Picture:
        """The figure, and where everything of it is. Raises EquationError without matplotlib."""
        needs_matplotlib()
        from matplotlib import rc_context

        from chalkgrad.drawing.labels import SETTINGS, NoGlyph
        from chalkgrad.drawing.picture import picture

        with rc_context(SETTINGS):
            _drawable(self.graph)
            try:
                return picture(self.graph)
            except NoGlyph as e:
                raise EquationError(
                    f"the picture cannot set the formula {e}",
                    help="use Latin or Greek letters, and simpler signs",
                ) from None

    def svg(self) -> str:
        """The picture as SVG: letters are outlines, and every part has its name as a title."""
        content = io.StringIO()
        self._save(content, "svg", {"metadata": {"Date": None, "Creator": "chalkgrad"}})
        flat = re.sub(r"\n +<", "\n<", content.getvalue())
        shorter = _LONG.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), flat)
        seen: Counter[str] = Counter()
        named = _GROUP.sub(lambda m: _titled(m, seen), shorter)
        title = f"<title>{escape(_one_line(self._resolved.source))}</title>"
        return re.sub(r"(<svg [^>]*>)", rf"\1\n{title.replace(chr(92), chr(92) * 2)}", named, count=1)

    def png(self) -> bytes:
        """The picture as PNG, about 1600 pixels wide."""
        wide = self.picture.canvas.x1 / 72
        dots = min(max(PIXELS / wide, DOTS[0]), DOTS[1])
        content = io.BytesIO()
        self._save(content, "png", {"dpi": dots, "metadata": {"Software": "chalkgrad"}})
        return content.getvalue()

    def _save(self, content: io.StringIO | io.BytesIO, form: str, options: Mapping[str, object]) -> None:
        figure = self.picture.figure
        from matplotlib import rc_context

        from chalkgrad.drawing.labels import SETTINGS

        with rc_context(SETTINGS):
            figure.savefig(content, format=form, facecolor="white", **options)  # pyright: ignore[reportArgumentType]

    def save(self, path: str | Path) -> Path:
        """Write one file, SVG or PNG by its ending. Raises EquationError where it cannot be written."""
        path = Path(path)
        form = path.suffix.lower()
        if form not in SUFFIXES:
            raise EquationError(
                f"{path}: a picture is written as .svg or .png", help=f"name it {path.stem or 'picture'}.svg"
            )
        write(path, self.svg() if form == ".svg" else self.png())
        return path

    def _repr_svg_(self) -> str:
        return self.svg()


def draw(
    what: str | Path,
    path: str | Path | None = None,
    *,
    unroll: int | None = None,
    inputs: str | Iterable[str] | None = None,
    functions: Mapping[str, str] | None = None,
) -> Drawing:
    """The computation graph, folded (a recurrence is a loop) or with ``unroll`` steps side by side.

    Each equation is a box that says it, with its weights; each wire what reads what. A convolution is
    unrolled place by place. ``path`` writes the picture, as SVG or PNG by its ending; a notebook shows it.
    Raises EquationError, also where matplotlib is missing.

    >>> drawing = draw("h[t] = tanh(x[t] W_x + h[t-1] W_h + b)")
    >>> [(k.source, k.target, k.delay) for k in drawing.graph.links]
    [('x', 'h', ''), ('h', 'h', 't-1')]
    """
    resolved = read(source_of(what), inputs, functions)
    drawing = Drawing(resolved, folded(resolved) if unroll is None else unrolled(resolved, unroll))
    if path is not None:
        drawing.save(path)
    return drawing


def needs_matplotlib() -> None:
    """Raises EquationError that says how to get matplotlib where it is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise EquationError(
            "pictures are drawn with matplotlib, which is not installed",
            help='pip install "chalkgrad[report]"',
        ) from None


def _drawable(graph: Graph) -> None:
    """Raises EquationError for a name with a letter that the fonts lack."""
    from chalkgrad.drawing.labels import NoGlyph, extent

    for name in dict.fromkeys(n for v in graph.vertices for n in (v.name, *v.weights)):
        try:
            extent(symbol(name), 10)
        except NoGlyph:
            raise EquationError(
                f"the fonts of the picture have no letters for `{name}`",
                help="give it a name in Latin or Greek letters",
            ) from None


_GROUP = re.compile(r'<g id="(name|weight|wire) ([^"]*)">')


_LONG = re.compile(r"-?\d+\.\d{3,}")
"""Numbers to a hundredth of a point are fine enough."""


def _titled(match: re.Match[str], seen: Counter[str]) -> str:
    """A group with its name as a title, and an identity that no other has."""
    kind, name = match.groups()
    identity = re.sub(r"[^\w.-]+", "-", f"{kind}-{name}").strip("-")
    seen[identity] += 1
    if seen[identity] > 1:
        identity += f".{seen[identity]}"
    return f'<g id="{identity}">\n<title>{name}</title>'


def _one_line(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    return "; ".join(line for line in lines if line and not line.startswith("#"))
