"""Imports go one way: between modules, between folders, and torch is below where equations become numbers."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
WITHOUT_TORCH = ("equations", "language", "calculus", "notes", "zoo", "drawing", "pipeline")


@cache
def modules() -> dict[str, Path]:
    """The file of every module of the package, by its name."""
    found: dict[str, Path] = {}
    for file in SRC.rglob("*.py"):
        parts = file.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(tree: ast.AST, own: Iterable[str]) -> Iterator[str]:
    """What a module imports, at its top, in its functions and for its types; ``own`` are modules of ours."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for name in names:
                    part = f"{module}.{name.name}"
                    yield part if part in own else module
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: an import that does not say from where")
            case _:
                pass


@cache
def graph() -> dict[str, set[str]]:
    """For every module of ours all that it imports."""
    own = modules()
    return {name: {*imported(ast.parse(file.read_bytes()), own)} - {name} for name, file in own.items()}


def circle(of: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of which each reads the one before it, the first of them again at the end; or nothing."""
    try:
        TopologicalSorter(of).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def folder(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_a_circle_is_found_through_functions_and_types_too() -> None:
    text = "if TYPE_CHECKING:\n    from a.b import c\ndef f():\n    import a.d"
    found = {*imported(ast.parse(text), {"a.b.c", "a.d"})}
    assert found == {"a.b.c", "a.d"}
    assert sorted({*circle({"a": found, "a.b.c": {"x"}, "x": {"a"}})}) == ["a", "a.b.c", "x"]
    assert not circle({"a": found, "a.b.c": {"x"}})


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not circle(graph())


def test_no_folders_import_each_other_in_a_circle() -> None:
    folders: dict[str, set[str]] = {}
    for module, others in graph().items():
        folders.setdefault(folder(module), set()).update(map(folder, others & modules().keys()))
    assert len(folders) > 10
    assert not circle({name: others - {name} for name, others in folders.items()})


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_what_comes_before_numbers_knows_no_torch(part: str) -> None:
    of = {name: others for name, others in graph().items() if folder(name) == f"chalkgrad.{part}"}
    assert of
    assert not {name for name, others in of.items() if any(o.partition(".")[0] == "torch" for o in others)}
