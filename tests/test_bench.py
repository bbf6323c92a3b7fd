"""The benchmarks' arithmetic and their tables; nothing here asks how fast anything is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench import convolution, limit, run
from bench.cells import Cell, Side, Size, agree
from bench.fresh import fresh
from bench.jax_scan import against_jax
from bench.loops import LOOPS, against_loop
from bench.measure import pair
from bench.memory import peak_while
from bench.products import against_torch_mm
from bench.tables import Job, Kind, MissingError, Plan, Row, write
from bench.torch_nn import PEERS, against_torch_nn
from typer.testing import CliRunner

import chalkgrad
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.kernels.account import account
from chalkgrad.language.resolve import read
from chalkgrad.zoo import source_of

SMALL: Size = (7, 3, 8)
ROWS: list[Row] = [("a", 1, 2.0), ("b", 1, 0.5), ("a", 2, 8.0)]


def kind(jobs: Callable[[Plan], list[Job]] = lambda plan: []) -> Kind:
    return Kind("things", "What is said.", ("peer", "T", "ratio"), 1, "ratio", "× as long", min, jobs)


def test_a_summary_is_the_geometric_mean_and_the_worst_of_each_peer() -> None:
    assert kind().summary(ROWS) == [
        "a         4 × as long, at worst 2",
        "b       0.5 × as long, at worst 0.5",
    ]


def test_a_table_is_markdown_and_csv_and_leaves_nothing_else(tmp_path: Path) -> None:
    write(kind(), ROWS, ["jax is not there"], "today, here", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["things.csv", "things.md"]
    assert (tmp_path / "things.csv").read_text() == "peer,T,ratio\na,1,2.0\nb,1,0.5\na,2,8.0\n"
    assert (tmp_path / "things.md").read_text().splitlines() == [
        "today, here", "", "What is said.", "",
        "    a         4 × as long, at worst 2",
        "    b       0.5 × as long, at worst 0.5",
        "", "Not measured: jax is not there", "",
        "| peer | T | ratio |",
        "| --- | --: | --: |",
        "| a | 1 | 2 |", "| b | 1 | 0.5 |", "| a | 2 | 8 |",
    ]  # fmt: skip


def test_a_run_says_what_it_cannot_measure_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def absent() -> list[Row]:
        raise MissingError("a peer is not installed: pip install it")

    monkeypatch.setattr(run, "machine", lambda: "a machine")
    monkeypatch.setattr(run, "KINDS", {"things": kind(lambda plan: [absent, lambda: ROWS, absent])})
    threads = torch.get_num_threads()
    app = run.typer.Typer()
    app.command()(run.run)
    result = CliRunner().invoke(app, ["--threads", str(threads), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.output.count("not measured: a peer is not installed: pip install it") == 1
    assert "a         4 × as long" in result.output
    assert "Not measured: a peer is not installed" in (tmp_path / "things.md").read_text()


def test_without_jax_its_rows_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setenv("PJRT_NPROC", "1")  # set by the peer, and so put back
    with pytest.raises(MissingError, match="jax is not installed: pip install"):
        against_jax("lstm", SMALL)


@pytest.mark.parametrize("name", PEERS)
def test_torch_s_layers_compute_what_ours_do(name: str) -> None:
    assert against_torch_nn(name, SMALL).size == SMALL  # `agree` has compared them


@pytest.mark.parametrize("name", LOOPS)
def test_loops_compute_what_ours_do(name: str) -> None:
    assert against_loop(name, SMALL).size == SMALL


@pytest.mark.parametrize("name", PEERS)
def test_scans_compute_what_ours_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setenv("PJRT_NPROC", "1")
    assert against_jax(name, SMALL).size == SMALL


def test_a_product_of_matrices_is_torch_s() -> None:
    ours, theirs = against_torch_mm((70, 60, 50))
    torch.testing.assert_close(ours(), theirs())


@pytest.mark.parametrize("wrong", ["output", "gradient", "nothing but nan"])
def test_what_computes_something_else_is_no_peer(wrong: str) -> None:
    right = torch.tensor([1.0, 2.0])
    off = right * torch.nan if wrong == "nothing but nan" else right + torch.tensor([0.0, 0.01])
    ours = Side(lambda: right, lambda: (right,))
    theirs = Side(
        lambda: right if wrong == "gradient" else off, lambda: (off if wrong == "gradient" else right,)
    )
    agree(Cell("it", SMALL, ours, ours))
    with pytest.raises(AssertionError, match=r"it at .* computes something else"):
        agree(Cell("it", SMALL, ours, theirs))


def test_two_things_are_done_in_turn() -> None:
    done: list[str] = []
    pair(lambda: done.append("A"), lambda: done.append("B"), 0.0)
    assert "".join(done) == "AB" + "ABABAB"


def test_a_turn_begins_with_work_that_is_not_counted() -> None:
    done: list[str] = []
    pair(lambda: done.append("A"), lambda: done.append("B"), 0.0, settle=1e-9)
    assert "".join(done) == "AB" + "AABB" * 3


def test_a_fresh_process_returns_what_is_asked_or_says_what_went_wrong() -> None:
    assert fresh(os.getpid) not in (os.getpid(), fresh(os.getpid))
    assert fresh(os.getenv, "CHALKGRAD_TRIED", env={"CHALKGRAD_TRIED": "yes"}) == "yes"
    with pytest.raises(RuntimeError, match=r"getenv\(3,\) failed:[^$]*TypeError: str expected"):
        fresh(os.getenv, 3)


@pytest.mark.parametrize("name", limit.LOOPS_ALONE)
def test_the_work_of_a_step_is_what_the_plan_counts(name: str) -> None:
    T, B, H = SMALL

    def counted(page: str) -> tuple[int, int]:
        """FLOPs of products before the loop and in it."""
        program = normalise(batch(read(page).program))
        numbers = {"batch": B, "T": T, "D": H, "H": H}
        found = [0, 0]
        for e in account(program, program.outputs, (), numbers):
            found[e.depth] += e.flops if "product" in e.how else 0
        return found[0], found[1]

    before, inside = counted(source_of(name))
    alone = limit.LOOPS_ALONE[name]
    assert counted(alone) == (0, inside)
    assert limit.multiplied(chalkgrad.layer(name, D=H, H=H), T, B) == before + inside
    assert limit.multiplied(chalkgrad.layer(alone, H=H), T, B) == inside


def test_a_layer_s_limit_is_measured_forward_and_in_training() -> None:
    found = list(limit.rows("rnn", SMALL, Plan(quick=True, threads=1, seconds=0.0)))
    assert [row[:5] for row in found] == [("rnn", "training", *SMALL), ("rnn", "forward", *SMALL)]
    assert [len(row) for row in found] == [len(limit.KIND.columns)] * 2
    assert found[0][5] == pytest.approx(3 * float(found[1][5]))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
def test_a_peak_of_memory_counts_what_was_let_go() -> None:
    size = 64 * 2**20

    def do() -> None:
        held = torch.ones(size // 4)
        del held

    assert peak_while(do) == pytest.approx(size, rel=0.05)  # the system counts in handfuls of pages


@pytest.mark.parametrize("case", convolution.cases(8), ids=lambda case: case.name)
def test_a_convolution_and_its_peer_compute_the_same(case: convolution.Case) -> None:
    cell = convolution.beside(case)
    assert cell.ours.forward().shape == cell.theirs.forward().shape
