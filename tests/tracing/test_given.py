"""Values that cannot be used are said to be so, with what is needed instead; none ends in a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from chalkgrad.language.source import EquationError
from chalkgrad.tracing.trace import trace
from chalkgrad.tracing.values import plain, tensor

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
GOOD: dict[str, Any] = {
    "x": [[1, 0], [0, 1]],
    "W_x": [[0.5, -1, 0], [0.25, 0, 1]],
    "W_h": [[1, 0, 0], [0, -1, 0.5], [0, 0, 0]],
    "b": [0, 0.5, -0.5],
}

WRONG: dict[str, tuple[Any, str, str]] = {
    "missing": ({"x": [[1, 0]]}, "no value is given for `W_x`, `W_h` and `b`", "W_x: |x|×|h| = 2×…;"),
    "unknown": ({**GOOD, "W_z": 1}, "these equations have no `W_z`", "did you mean W_"),
    "case": ({**GOOD, "B": 1}, "these equations have no `B`", "did you mean b?"),
    "computed": ({**GOOD, "a": 1}, "these equations have no `a`", "they have x, W_x, W_h, b, h₀"),
    "state": ({**GOOD, "h": 1}, "`h` is computed by the equations, not given", "leave `h` out"),
    "rank": ({**GOOD, "b": 1}, "`b` is one number, and |h| = 3 is needed", "a list: [1, 2]"),
    "size": ({**GOOD, "b": [1, 2]}, "`b` is 2, and its size along j is |h| = 3", "b is |h| = 3"),
    "ragged": (
        {**GOOD, "x": [[1, 0], [1]]},
        "`x[1]` has 1 entries, and the first list beside it has 2",
        "same length",
    ),
    "mixed": (
        {**GOOD, "x": [[1, 0], 1]},
        "`x[1]` is a number where its first neighbour is a list",
        "one shape",
    ),
    "mixed the other way": ({**GOOD, "b": [1, [2], 3]}, "`b[1]` is a list where", "one shape"),
    "empty": ({**GOOD, "x": []}, "`x` is empty", "at least one"),
    "text": (
        {**GOOD, "b": [0, "one", 2]},
        '`b[1]` is the text "one", and a number is needed',
        "give numbers",
    ),
    "null": ({**GOOD, "b": [0, None, 2]}, "`b[1]` is null", "give numbers"),
    "true": ({**GOOD, "b": [0, True, 2]}, "`b[1]` is true", "give numbers"),
    "object": ({**GOOD, "b": {}}, "`b` is an object", "give numbers"),
    "nan": ({**GOOD, "b": [0, float("nan"), 2]}, "`b[1]` is not a number (NaN)", "give numbers"),
    "infinite": ({**GOOD, "b": [0, float("inf"), 2]}, "`b[1]` is infinite", "give numbers"),
    "large": ({**GOOD, "b": [0, 10**400, 2]}, "`b[1]` is too large a number", "give numbers"),
    "batch": ({**GOOD, "x": [[[1, 0]], [[1, 0]]]}, "`x` has 2 examples (2×1×2)", "x is T×|x|"),
    "twice": ({**GOOD, "h0": [0, 0, 0], "h₀": [0, 0, 0]}, "`h₀` is given twice", "once"),
    "seed": ({**GOOD, "ȳ": [[1, 1, 1]]}, "its size along t is T = 2", "T×|h| = 2×3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_values_is_said(name: str) -> None:
    values, problem, help = WRONG[name]
    with pytest.raises(EquationError) as caught:
        trace(RNN, values)
    assert problem in caught.value.problem
    assert help in caught.value.help


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "a trace needs numbers: x, W_x, W_h, b"),
        ({"random": True, "steps": 0}, "there is at least one step"),
        ({"random": True, "steps": 30_000}, "too long to follow"),
        ({"random": True, "h": 2000}, "too long to follow"),
        ({"random": True, "steps": 10**15}, "too long to follow"),
        ({"random": True, "q": 2}, "no size and no name `q`"),
        ({"random": True, "digits": 0}, "1 to 17 digits"),
        ({"values": GOOD, "steps": 3}, "`x` is 2×2, and its size along t is T = 3"),
        ({"values": GOOD, "h": 4}, "`W_x` is 2×3, and its size along k is |h| = 4"),
    ],
)
def test_what_cannot_be_traced_is_said(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(EquationError) as caught:
        trace(RNN, **options)
    assert problem in caught.value.problem


def test_steps_need_time() -> None:
    with pytest.raises(EquationError, match="nothing here runs through time"):
        trace("conv1d", random=True, steps=2)


def test_a_kernel_longer_than_its_input_is_said() -> None:
    with pytest.raises(EquationError, match=r"read outside|is empty"):
        trace("y[i] = Σ[j] V[j] x[i+j] where x: input", {"x": [1, 2], "V": [1, 2, 3]})


FILES = {
    "no JSON": ('{"x": [1, 2', "is not JSON"),
    "a list": ("[1, 2]", "holds a list, not values by name"),
    "twice": ('{"x": 1, "x": 2}', "`x` is given twice"),
    "deep": ("[" * 100_000, "nested too deep"),
    "digits": ('{"x": ' + "9" * 5000 + "}", "Exceeds the limit"),
    "NaN": ('{"x": [[NaN, 1]]}', "is not a number (NaN)"),
    "deep numbers": ('{"x": ' + "[" * 50 + "1" + "]" * 50 + "}", "nested too deep"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_no_values_is_explained(name: str, tmp_path: Path) -> None:
    content, problem = FILES[name]
    path = tmp_path / "values.json"
    path.write_text(content)
    with pytest.raises(EquationError) as caught:
        trace(RNN, path)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_the_place_in_a_file_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text('{\n "x": [1, 2,],\n}')
    with pytest.raises(EquationError) as caught:
        trace(RNN, path)
    assert 'line 2 |  "x": [1, 2,],' in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EquationError, match="there is no file"):
        trace(RNN, tmp_path / "nothing.json")
    with pytest.raises(EquationError, match="is a folder"):
        trace(RNN, tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EquationError, match="not UTF-8"):
        trace(RNN, tmp_path / "bytes.json")


def test_names_may_be_typed_plainly() -> None:
    assert plain("h₀") == plain("h0")
    assert plain("ȳ") == plain("y_bar") == plain("y\u0304")
    assert plain("W_x") != plain("W")


def test_a_number_alone_is_a_scalar() -> None:
    assert tensor("α", 2).shape == ()
    assert tensor("α", torch.tensor(2.5)).item() == 2.5
