"""A function in a file of the user's own: found, called, and what goes wrong in it shown at its line."""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalkgrad.language.source import EquationError, Span


@dataclass(frozen=True)
class Function:
    """A function and the file that it stands in; ``others`` are the names beside it."""

    name: str
    path: Path
    source: str
    call: Callable[..., Any]
    others: Mapping[str, Any]

    @property
    def parameters(self) -> tuple[inspect.Parameter, ...]:
        return tuple(inspect.signature(self.call).parameters.values())

    def beside(self, name: str) -> Function | None:
        """Another function of the same file."""
        call = self.others.get(name)
        return Function(name, self.path, self.source, call, self.others) if callable(call) else None

    def returned(self) -> ast.expr | None:
        """The expression of its last ``return``."""
        tree = ast.parse(self.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == self.name:
                found = [r for r in _own_statements(node.body) if isinstance(r, ast.Return) and r.value]
                return found[-1].value if found else None
        return None

    def at(self, problem: str, line: int, note: str, help: str) -> EquationError:
        """An error that points at a line of the file."""
        return EquationError(problem, self.source, ((_line(self.source, line), note),), help)

    def place(self) -> int:
        """The line on which it begins."""
        return getattr(getattr(self.call, "__code__", None), "co_firstlineno", 1)


def load(what: str) -> Function:
    """``FILE:function``, the file run as Python runs it; NumPy is there as ``np``, as in a notebook.

    Raises EquationError for a file or function that does not exist, and for what goes wrong in the file.
    """
    file, colon, name = what.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise EquationError(
            f"--python {what}: a file, `:` and the name of a function are needed",
            help="--python backward.py:backward_gradient",
        )
    path = Path(file)
    source = _source(path)
    import numpy

    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path), "np": numpy, "numpy": numpy}
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        exec(compile(source, str(path), "exec"), names)
    except SyntaxError as error:
        line = error.lineno or 1
        raise EquationError(
            f"{path} is no Python: {error.msg}",
            source,
            ((_line(source, line), "here"),),
            "correct it; python -m py_compile says more",
        ) from None
    except Exception as error:
        raise _went_wrong(error, path, source, f"{path} cannot be run") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    call = names.get(name)
    if not callable(call):
        defined = [n for n, v in names.items() if inspect.isfunction(v)]
        near = difflib.get_close_matches(name, defined, n=2, cutoff=0.5)
        raise EquationError(
            f"{path} has no function `{name}`",
            help="did you mean " + " or ".join(near)
            if near
            else "it has " + ", ".join(defined)
            if defined
            else "it defines no function",
        )
    return Function(name, path, source, call, names)


def called(function: Function, arguments: Mapping[str, Any]) -> Any:
    """What the function returns. Raises EquationError that points at the line on which it went wrong."""
    positional = [
        arguments[p.name]
        for p in function.parameters
        if p.name in arguments and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    named = {
        p.name: arguments[p.name]
        for p in function.parameters
        if p.name in arguments and p.kind == p.KEYWORD_ONLY
    }
    gap = any(p.name not in arguments for p in function.parameters[: len(positional)])
    if gap:  # one with a default stands before one that is passed
        positional, named = [], dict(arguments)
    try:
        return function.call(*positional, **named)
    except Exception as error:
        raise _went_wrong(error, function.path, function.source, f"`{function.name}` went wrong") from error


def _went_wrong(error: Exception, path: Path, source: str, lead: str) -> EquationError:
    """An exception at the last line of the file that it came through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    line = next((n for n in reversed(lines) if n), 1)
    said = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    return EquationError(
        lead, source, ((_line(source, line), said),), "it is run as it stands; correct it there"
    )


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise EquationError(f"there is no file {path}", help="check the path") from None
    except IsADirectoryError:
        raise EquationError(f"{path} is a folder", help="name the Python file in it") from None
    except UnicodeDecodeError as e:
        raise EquationError(f"{path} is not UTF-8 text (byte {e.start})", help="save it as UTF-8") from None
    except OSError as e:
        raise EquationError(f"{path} cannot be read: {e.strerror}", help="check the path") from None


def _line(source: str, number: int) -> Span:
    """A line of a text without the blanks around it, counted from 1."""
    lines = source.split("\n")
    number = min(max(number, 1), len(lines))
    line = lines[number - 1]
    begin = sum(len(x) + 1 for x in lines[: number - 1])
    return Span(begin + len(line) - len(line.lstrip()), begin + len(line.rstrip()))


def _own_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a function, not those of functions in it."""
    found: list[ast.stmt] = []
    for s in body:
        found.append(s)
        if not isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for part in ast.iter_child_nodes(s):
                inner = getattr(part, "body", None)
                if isinstance(part, ast.stmt):
                    found += _own_statements([part])
                elif isinstance(inner, list):
                    found += _own_statements(inner)
    return found
