"""Scripts written from equations: they run alone, say what the torch backend says, and check themselves."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.kernels.scripts import LAYERS, ODD, POSITIVE, Pair, checked, namespace, pair, program, written
from tests.kernels.test_eager import READS
from tests.often import LARGE, often
from tests.programs import CASES
from tests.shorthand import d, eq, f, r, x

from chalkgrad.equations import ops
from chalkgrad.equations.ir import Const, Program
from chalkgrad.kernels.script import Dialect, script
from chalkgrad.kernels.script.identifiers import RESERVED, Identifiers
from chalkgrad.language.source import EquationError
from chalkgrad.zoo import names

GOLDEN = Path(__file__).parent.parent / "golden" / "code"
DIALECTS: tuple[Dialect, ...] = ("numpy", "torch")
PINNED = ("conv2d", "gru", "lstm", "rnn")

both = pytest.mark.parametrize("dialect", DIALECTS)


def most_in_numpy(pages: Iterable[str]) -> list[Any]:
    """Every page in both dialects; torch's beyond the standard layers only where there is time."""
    return [
        pytest.param(page, d, id=f"{page} {d}", marks=pytest.mark.slow if late(page, d) else ())
        for page in pages
        for d in DIALECTS
    ]


def late(page: str, dialect: Dialect) -> bool:
    """Difference after difference through many loops of Python, or no standard layer in torch."""
    return page in ("conv_lstm", "conv3d") if dialect == "numpy" else page not in names()


# --- what a script computes ----------------------------------------------------------------------------


@both
@pytest.mark.parametrize("layer", often(LAYERS, seldom=LARGE))
def test_outputs_and_gradients_are_those_of_the_torch_backend(layer: str, dialect: Dialect) -> None:
    pair(layer, dialect).agrees(program(layer)[1])


@pytest.mark.parametrize(("layer", "dialect"), most_in_numpy(LAYERS))
def test_a_script_finds_its_own_gradients_right(layer: str, dialect: Dialect) -> None:
    right, printed = checked(written(layer, dialect))
    assert right, printed
    assert printed.count("right") == len(printed.splitlines())


@pytest.mark.parametrize(("page", "dialect"), most_in_numpy(ODD))
def test_pages_out_of_the_way_come_out_right_too(page: str, dialect: Dialect) -> None:
    pair(page, dialect).agrees(program(page)[1], page in POSITIVE)
    right, printed = checked(written(page, dialect))
    assert right, printed


@pytest.mark.parametrize(("case", "dialect"), most_in_numpy(CASES))
def test_programs_built_by_hand_come_out_right(case: str, dialect: Dialect) -> None:
    Pair(CASES[case].program, dialect).agrees({**CASES[case].numbers, "batch": 2})


@pytest.mark.parametrize("page", often((*LAYERS, *ODD), only=names()))
def test_one_script_serves_every_size(page: str) -> None:
    layer, drawn = program(page)[0], random.Random(page)
    tried = [[1] * 12, [2] * 12, *([drawn.choice((1, 2, 3, 5)) for _ in range(12)] for _ in range(3))]
    for sizes in tried:
        numbers = dict(zip((*layer.symbols, "batch"), sizes, strict=False))
        if all(r.size.value(numbers) >= 1 for name in layer.names for r in name.ranges):
            pair(page, "numpy").agrees(numbers, page in POSITIVE)


# A function of what has no gradient, or of nothing at all, is no layer; the sums' size is nowhere given.
NO_LAYER = ("constant", "unused axis", "constant maximum")


@pytest.mark.parametrize(("read", "dialect"), most_in_numpy(n for n in READS if n not in NO_LAYER))
def test_every_kind_of_read_is_one(read: str, dialect: Dialect) -> None:
    for sizes in ({"M": 3, "N": 4, "batch": 2}, {"M": 1, "N": 1, "batch": 1}, {"M": 5, "N": 2, "batch": 1}):
        Pair(READS[read], dialect, sizes=sizes).agrees(sizes)


def test_a_size_that_nothing_tells_is_asked_for() -> None:
    with pytest.raises(EquationError, match="nothing on the page tells the size N") as caught:
        script(READS["unused axis"], "numpy", {"M": 3, "batch": 2})
    assert "where w: N" in str(caught.value)


@both
@pytest.mark.parametrize("op", [op for op in ops.OPS if op not in ("add", "mul", "pow")])
def test_every_function_has_its_code(op: str, dialect: Dialect) -> None:
    # Halved, so that no two arguments are the same and what is between 0 and 1 is met.
    arguments = [r(f"{letter}[n]") for letter in "uvw"[: ops.OPS[op].arity]]
    if op in ("select", "stop"):
        arguments[0] = f("step", arguments[0])
    value = ops.mul(Const(0.5), f(op, *arguments))
    given = tuple(x(f"{letter}[n<N]") for letter in "uvw"[: ops.OPS[op].arity])
    alone = Program((eq("y", "n<N", value),), (*given, d("y[n<N]")), ("y",))
    Pair(alone, dialect).agrees({"N": 13, "batch": 2}, ops.OPS[op].interval[0] > 0)


# --- that it runs alone, and fails where it should -----------------------------------------------------


@pytest.mark.parametrize(("layer", "dialect"), [("rnn", "numpy"), ("conv2d", "torch"), ("page A1", "numpy")])
def test_a_script_runs_alone(layer: str, dialect: Dialect, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(written(layer, dialect), encoding="utf-8")
    # Neither this project's folder nor a chalkgrad of the environment can be imported.
    run = f"runpy.run_path({str(path)!r}, run_name='__main__')"
    alone = f"import sys, runpy; sys.modules['chalkgrad'] = None; {run}"
    done = subprocess.run([sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.endswith("right") for line in done.stdout.splitlines())
    assert ("torch" if dialect == "numpy" else "numpy") not in path.read_text(encoding="utf-8")


@both
def test_a_wrong_slope_is_found_by_the_script_itself(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    right = ops.OPS["tanh"]
    wrong = ops.Op("tanh", (lambda y, _: ops.minus(Const(1), y),), right.torch, right.latex)
    monkeypatch.setitem(ops.OPS, "tanh", wrong)
    layer, sizes = program("rnn")
    code = script(layer, dialect, sizes)
    found, printed = checked(code)
    assert not found
    assert [line.split()[-1] for line in printed.splitlines()] == ["wrong"] * 5
    if dialect == "numpy":  # the other takes seconds to import
        (tmp_path / "rnn.py").write_text(code, encoding="utf-8")
        done = subprocess.run([sys.executable, tmp_path / "rnn.py"], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, printed)


@both
@pytest.mark.parametrize("line", ["dW_h = ", "dh[:, t - 1] += "])
def test_a_line_that_is_changed_is_found(line: str, dialect: Dialect) -> None:
    code = written("rnn", dialect)
    assert line in code
    right, printed = checked(code.replace(line, line + "2 * "))
    assert not right
    assert "wrong" in printed


@both
def test_a_start_that_is_left_out_is_zero(dialect: Dialect) -> None:
    layer = namespace(written("lstm", dialect))
    ones = layer["torch" if dialect == "torch" else "np"].ones
    given = [0.1 * ones(size) for size in ((2, 5, 3), *[(3, 4), (4, 4), (4,)] * 4)]
    start = 0 * ones((2, 4))
    without, _ = layer["forward"](*given)
    given_zero, _ = layer["forward"](*given, start, start)
    assert (without == given_zero).all()


def test_backward_can_be_called_again() -> None:
    layer = namespace(written("gru", "numpy"))
    np = layer["np"]
    given = [np.ones(s) for s in ((2, 5, 3), *[(4, 3), (4, 4), (4,)] * 3)]
    h, saved = layer["forward"](*given)
    first, second = layer["backward"](h, saved), layer["backward"](h, saved)
    assert all((first[name] == second[name]).all() for name in first)


# --- how it reads --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("layer", PINNED)
def test_scripts_are_pinned(layer: str, dialect: Dialect, pinned: Callable[[str, str], None]) -> None:
    pinned(f"code/{layer}_{dialect}.py.txt", written(layer, dialect))


def test_every_pinned_script_has_its_layer() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {f"{n}_{d}.py.txt" for n in PINNED for d in DIALECTS}


def test_the_equation_stands_above_its_line() -> None:
    lines = [line.strip() for line in written("rnn", "numpy").splitlines()]
    below = dict(pairwise(lines))
    assert below["# h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"] == (
        "h[:, t] = np.tanh(x[:, t] @ W_x + h[:, t - 1] @ W_h + b)"
    )
    assert below["# ∂a[t] = ∂h[t] ⊙ (1 - h[t]²)"] == "da[:, t] = dh[:, t] * (1 - h[:, t] ** 2)"
    assert below["# ∂h[t-1] += ∂a[t] W_hᵀ"] == "dh[:, t - 1] += da[:, t] @ W_h.T"
    assert "# h[t] = tanh(x[t] W_x + h[t-1] W_h + b)" in lines[:5]  # the page, at the top


def test_softmax_and_its_loss_leave_a_difference() -> None:
    code = written("loss in time", "numpy")
    assert "do = y.sum(axis=2)[:, :, None] * y_prime - y" in code
    assert "def backward(saved):" in code


def test_only_a_recurrence_and_a_kernel_are_loops() -> None:
    def loops(layer: str) -> int:
        code = written(layer, "numpy")
        return code[: code.index("def check")].count("for ")

    assert [loops(n) for n in ("mlp", "rnn", "lstm", "conv1d", "conv2d", "page X2", "page A2")] == [
        0,
        2,
        2,
        3,
        6,
        4,
        0,
    ]


@both
@pytest.mark.parametrize("layer", LAYERS)
def test_lines_are_short(layer: str, dialect: Dialect) -> None:
    assert max(map(len, written(layer, dialect).splitlines())) <= 112


def test_the_scripts_of_the_standard_layers_pass_a_linter(tmp_path: Path) -> None:
    for layer in names():
        for dialect in DIALECTS:
            (tmp_path / f"{layer}_{dialect}.py").write_text(written(layer, dialect), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_no_name_takes_what_a_script_needs_itself() -> None:
    names = Identifiers()
    taken = [
        names[n]
        for n in ("lambda", "np", "x", "dx", "∂x", "h₀", "h0", "y'", "y_prime", "ﬁ", "fi", "_", "rng")
    ]
    assert len(set(taken)) == len(taken)
    assert not set(taken) & RESERVED
    assert all(n.isidentifier() for n in taken)
