"""Two runs that differ in a remedy alone, what is said of them, and ``chalkgrad flow compare`` as typed."""

from dataclasses import replace
from math import inf, isnan, nan
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from chalkgrad.cli import app, flow
from chalkgrad.flowing.advice import keeping_biases, recurrent_weights
from chalkgrad.flowing.verdict import Finding, Verdict
from chalkgrad.nn.layer import layer
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.experiments import compare as runs
from chalkgrad.tasks.experiments.compare import TASKS, Comparison, Remedy, Seen, compare
from chalkgrad.tasks.experiments.learn import Course

SHORT = replace(TASKS["bit"], steps=5, length=12, units=8, batch=4)


def typed(*words: object) -> Result:
    """Run a command; an error that is no clean exit is a failed test."""
    result = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "120"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_both_runs_begin_alike_and_only_the_remedy_is_other() -> None:
    found = compare(SHORT, "rnn", Remedy(clip=1e-6))
    a, b = found.without.course, found.treated.course
    assert a.losses[0] == b.losses[0]
    assert a.norms[0] == b.norms[0]  # noted before it is clipped
    assert a.losses[-1] != b.losses[-1]
    assert compare(SHORT, "rnn", Remedy(clip=1e6)).treated == found.without  # a bound that nothing reaches


def test_an_orthogonal_start_is_of_what_multiplies_a_state() -> None:
    net = runs._net(SHORT, "gru", 0)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    runs._start(net, Remedy(orthogonal=True), 0)
    changed = [n for n, p in net.named_parameters() if not torch.equal(p, before[n])]
    assert sorted(changed) == ["U", "U_r", "U_z"] == sorted(recurrent_weights(net.program))
    for n in changed:
        u = net.get_parameter(n).detach()
        torch.testing.assert_close(u @ u.T, torch.eye(8))


def test_forget_biases_are_found_in_the_equations_with_their_sign() -> None:
    assert keeping_biases(layer("lstm", D=2, H=3).program) == {"b_f": 1}
    net = runs._net(SHORT, "gru", 0)
    runs._start(net, Remedy(forget=2.0), 0)
    assert net.get_parameter("b_z").tolist() == [-2.0] * 8


def test_a_truncated_run_is_seen_to_be_and_another_cell_has_its_own_states() -> None:
    found = compare(SHORT, "rnn", Remedy(truncate=4))
    assert found.without.verdict.kind != "truncated"
    assert found.treated.verdict.kind == "truncated"
    gated = compare(SHORT, "h[k] = tanh(x[k] A + h[k-1] B)", Remedy(cell="lstm"))
    assert gated.without.course.losses[0] != gated.treated.course.losses[0]


def test_what_comes_next_in_a_text_is_learned_and_measured_on_its_end() -> None:
    text = runs.of_text("abc" * 200)
    found = compare(replace(text, length=10, steps=60, units=16), "rnn", Remedy(truncate=5))
    assert found.without.unseen < 0.5 < found.without.course.losses[0]
    with pytest.raises(TaskError, match="do not fit"):
        compare(replace(text, length=100), "rnn", Remedy(clip=1.0))
    with pytest.raises(TaskError, match="20 characters, and 200"):
        runs.of_text("a" * 20)


def seen(unseen: float, *losses: float) -> Seen:
    return Seen(Course(losses, losses), Verdict((Finding("healthy", "well"),)), unseen)


@pytest.mark.parametrize(
    ("without", "treated", "says"),
    [
        (1.0, 0.5, "better with forget bias 1: unseen loss 0.5 with it, 1 without"),
        (0.5, 1.0, "worse with forget bias 1: unseen loss 1 with it, 0.5 without"),
        (1.0, 0.97, "no difference: unseen loss 0.97 with it, 1 without"),
        (nan, 3.0, "better with forget bias 1: unseen loss 3 with it, lost without"),
        (inf, nan, "no difference: unseen loss lost with it, lost without"),
    ],
)
def test_the_better_one_is_named(without: float, treated: float, says: str) -> None:
    assert Comparison(Remedy(forget=1.0), seen(without), seen(treated), 1).better == says


def test_losses_stand_side_by_side_by_tenths_and_end_where_a_run_breaks_off() -> None:
    rows = Comparison(Remedy(clip=1.0), seen(nan, *[1.0] * 5), seen(2.0, *range(20)), 20).rows
    assert [row[0] for row in rows] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert rows[0][1:] == (1.0, 0.5)
    assert rows[2][1:] == (1.0, 4.5)
    assert isnan(rows[3][1])
    assert rows[9][2] == 18.5


def test_the_command_shows_both_verdicts_the_losses_and_the_better_one(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 30)
    result = typed("flow", "compare", "rnn", "--text", text, "--cell", "gru", "--steps", 10, "--length", 12)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "rnn on the next character of a text, 12 steps"
    assert lines[2] == "without:"
    assert "with cell gru:" in lines
    assert sum(line[:4].strip().isdigit() for line in lines) == 10
    assert "unseen loss" in lines[-1]
    assert tuple(TASKS) == flow.TASKS


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "name what is to be tried: --clip, --init, --forget-bias, --cell or --truncate"),
        (("--init", "zeros"), "there is no start 'zeros': --init orthogonal"),
        (("--task", "sums"), "there is no task 'sums': adding, order, bit, or --text FILE"),
        (("--optimizer", "lion"), "there is no optimizer 'lion': adam, rmsprop, sgd"),
        (("--clip", 0), "a gradient is clipped to a norm over 0, not 0"),
        (("--truncate", 30), "gradients are cut after 1 to 29 of 30 steps, not 30"),
        (("--forget-bias", 1), "this page has no gate with a bias that says how much of a state stays"),
        (("--clip", 1, "--length", 5), "there are 10 steps in a sequence at least"),
        (("--clip", 1, "--cell", "mlp"), "a page has one input, and a state h"),
        (("--clip", 1, "--cell", "s[t] = tanh(x[t] W + s[t-1] U)"), "one input, and a state h"),
        (("--clip", 1, "--cell", "lsm"), "error: "),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_learned(
    words: tuple[object, ...], says: str
) -> None:
    result = typed("flow", "compare", "rnn", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_a_page_without_recurrent_matrices_has_no_orthogonal_start() -> None:
    with pytest.raises(TaskError, match="no square matrix"):
        compare(SHORT, "indrnn", Remedy(orthogonal=True))
