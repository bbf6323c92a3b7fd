"""Recurrences written out: forward, backward, and the paths of a parameter, as text and in numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from tests.calculus.page_reader import Reader
from tests.calculus.test_notation import balanced
from tests.often import LARGE, often
from tests.pages import PAGES
from tests.steps.losses import LOSSES, R3

import chalkgrad.zoo
from chalkgrad.calculus.jacobian import jacobian
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.notation import NOTATIONS
from chalkgrad.calculus.unroll import MOST_STEPS
from chalkgrad.equations.ir import Const, Equation, Program
from chalkgrad.equations.ops import mul
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.steps.bench import Bench, DerivationError
from chalkgrad.steps.sheet import latex_sheet, sheet
from chalkgrad.steps.unrolling import Unrolling, unrolling

ZOO = {name: chalkgrad.zoo.page(name) for name in chalkgrad.zoo.names()}
EVERY = {**{n: p.text for n, p in PAGES.items()}, **ZOO, **LOSSES}
WITHOUT = (
    *(f"C{k}" for k in (1, 2, 3, 4, 5, 6, 10)),
    *("C1 from zero", "strided and dilated", "zero outside by one", "causal", "max pooling", "R1", "A2"),
    *("zero outside axis by axis", "zero outside, more after than before", "infinity outside"),
    *("between places", "mean of windows", "conv1d", "conv2d", "conv3d", "conv_transpose1d"),
    *("conv_transpose2d", "max_pool2d", "avg_pool2d", "conv_pool", "scores", "mlp", "tcn", "wavenet"),
    *("attention", "attention_causal", "attention_multihead", "layer_norm", "neural_ngram"),
    *("conv_relu", "picture_state"),
    *("without a recurrence", "mean without a recurrence"),
)
RECURRENT = {n: text for n, text in EVERY.items() if n not in (*WITHOUT, "X2")}
RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


@cache
def written_out(text: str, steps: int = 3, by: str | None = None) -> Unrolling:
    return unrolling(read(text), steps, by)


def part(page: str, head: str) -> list[str]:
    """The lines under a heading."""
    [block] = [b for b in re.split(r"\n\n(?=\S)", page) if b.startswith(head)]
    return [line.strip() for line in block.splitlines()[1:] if line.strip()]


@pytest.mark.parametrize("name", often(RECURRENT, seldom=LARGE))
def test_every_line_of_a_recurrence_written_out_holds(name: str) -> None:
    found = written_out(RECURRENT[name])
    assert found.lines > 10
    assert found.worst < 1e-12


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("name", ["rnn", "lstm", "G4", "two steps back"])
def test_any_number_of_steps_can_be_written_out(name: str, steps: int) -> None:
    page = sheet(written_out(RECURRENT[name], steps))
    step = str(steps).translate(str.maketrans("1234", "₁₂₃₄"))
    assert f"h{step} " in page
    assert f"Forward, t = 1 to {steps}:" in page


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "R5", "R6", "A1", "two steps back", "cross-entropy"])
def test_every_printed_line_is_true_as_it_is_printed(name: str) -> None:
    found = written_out(RECURRENT[name])
    reader = _reader(found)
    count = 0
    for line in (*part(sheet(found, width=1000), "Forward"), *part(sheet(found, width=1000), "Backward")):
        left, right = line.split("   ∂")[0].split("   y'")[0].split(" = ", 1)
        left = left.strip()
        for where in reader.points(left):
            expected, value = reader.value(left, where), reader.value(right.strip(), where)
            np.testing.assert_allclose(
                np.broadcast_to(value, expected.shape), expected, atol=1e-9, err_msg=line
            )
            count += 1
    assert count > 10


def _reader(found: Unrolling) -> Reader:
    d = found.derivation
    bench = Bench(d.forward, found.sizes, losses(d.forward))
    new = [n for n in d.derived.names if n.name not in d.forward.table]
    values = {n: v.numpy() for n, v in bench.learn(new).items()}
    return Reader(d.page.names, values, found.sizes, d.forward.columns)


def test_the_steps_are_those_of_a_loop_in_torch() -> None:
    """h₃ and its gradients, by a loop written by hand and torch's autograd."""
    found = written_out(RNN)
    d = found.derivation
    values = Bench(d.forward, found.sizes).values
    leaves = {n: values[n].clone().requires_grad_() for n in ("W_x", "W_h", "b")}
    h = values["h₀"]
    for x in ("x₁", "x₂", "x₃"):
        h = torch.tanh(values[x] @ leaves["W_x"] + h @ leaves["W_h"] + leaves["b"])
    torch.testing.assert_close(h.detach(), values["h₃"])


# --- the paths (B1, B8) --------------------------------------------------------------------------------


def test_the_expansion_reads_as_in_the_notes() -> None:
    lines = part(sheet(written_out(RNN)), "How W_h reaches h₃")
    assert lines == [
        "∂h₃/∂W_h = Σ[1≤k≤3] ∂h₃/∂h[k] · ∂⁺h[k]/∂W_h   h₀ is given: no term for k = 0",
        "= ∂⁺h₃/∂W_h",
        "+ ∂h₃/∂h₂ · ∂⁺h₂/∂W_h",
        "+ ∂h₃/∂h₁ · ∂⁺h₁/∂W_h",
        "= ∂⁺h₃/∂W_h   as products",
        "+ ∂h₃/∂h₂ · ∂⁺h₂/∂W_h",
        "+ ∂h₃/∂h₂ · ∂h₂/∂h₁ · ∂⁺h₁/∂W_h",
    ]


def test_the_paths_of_an_lstm_go_through_both_states() -> None:
    page = sheet(written_out(ZOO["lstm"]))
    assert part(page, "How W_hi reaches h₃")[1:] == [
        "= ∂h₃/∂c₃ · ∂⁺c₃/∂W_hi",
        "+ ∂h₃/∂c₂ · ∂⁺c₂/∂W_hi",
        "+ ∂h₃/∂c₁ · ∂⁺c₁/∂W_hi",
    ]
    assert "∂h₃/∂c₂ = ∂h₃/∂c₃ · ∂⁺c₃/∂c₂ + ∂h₃/∂h₂ · ∂⁺h₂/∂c₂" in part(page, "From the last state back")
    assert "∂⁺c[t]/∂c[t-1]      = diag(f[t])" in part(page, "At one step")  # B7


def test_the_jacobian_of_one_step_is_a_weight_and_the_slopes() -> None:
    rows = part(sheet(written_out(RNN)), "At one step")
    assert rows[0].startswith("∂h[t]/∂h[t-1]      = diag(1 - h[t]²) W_hᵀ")
    columns = part(sheet(written_out(R3)), "At one step")
    assert columns[0] == "∂h[t]/∂h[t-1]    = diag(1 - h[t]²) W"
    assert columns[1].startswith("(∂h[t]/∂h[t-1])ᵀ = Wᵀ diag(1 - h[t]²)")  # B4


@pytest.mark.parametrize(("text", "weight", "turned"), [(RNN, "W_h", True), (R3, "W", False)])
def test_the_expansion_is_the_jacobian_by_numbers_made_by_hand(text: str, weight: str, turned: bool) -> None:
    """B1 with NumPy alone: products of one-step Jacobians, against autograd through the loop."""
    found = written_out(text)
    values = {n: v.numpy() for n, v in Bench(found.derivation.forward, found.sizes).values.items()}
    w = values[weight]
    size = len(values["h₁"])
    eye = np.eye(size)

    def jacobian(step: str) -> np.ndarray:
        return np.diag(1 - values[f"h{step}"] ** 2) @ (w.T if turned else w)

    def alone(step: str, before: str) -> np.ndarray:
        slope = 1 - values[f"h{step}"] ** 2
        rule = "ik,j,i->ijk" if turned else "ij,k,i->ijk"
        return np.einsum(rule, eye, values[f"h{before}"], slope)

    terms = [
        alone("₃", "₂"),
        np.einsum("ia,ajk->ijk", jacobian("₃"), alone("₂", "₁")),
        np.einsum("ia,ajk->ijk", jacobian("₃") @ jacobian("₂"), alone("₁", "₀")),
    ]
    by_torch = torch.autograd.functional.jacobian(
        lambda m: _loop(values, weight, m, turned), torch.tensor(w), vectorize=False
    )
    np.testing.assert_allclose(sum(terms), by_torch.numpy(), atol=1e-12)


def _loop(values: Mapping[str, np.ndarray], weight: str, m: torch.Tensor, turned: bool) -> torch.Tensor:
    """h₃ of the plain network, with another matrix in place of its weight."""
    t = {n: torch.tensor(v) for n, v in values.items()}
    h = t["h₀"]
    for x in ("x₁", "x₂", "x₃"):
        a = t[x] @ t["W_x"] + h @ m if turned else m @ h + t["U"] @ t[x]
        h = torch.tanh(a + t["b"])
    return h


@pytest.mark.parametrize("by", ["W_x", "b"])
def test_any_parameter_can_be_followed(by: str) -> None:
    assert f"∂h₃/∂{by} = Σ[1≤k≤3]" in sheet(written_out(RNN, by=by))


def test_a_start_that_is_learned_is_followed_from_the_first_step() -> None:
    page = sheet(written_out("h[0] = a\nh[t] = tanh(x[t] W + h[t-1] U + b)", by="a"))
    assert part(page, "How a reaches h₃") == [
        "∂h₃/∂a = Σ[1≤k≤1] ∂h₃/∂h[k] · ∂⁺h[k]/∂a",
        "= ∂h₃/∂h₁ · ∂⁺h₁/∂a",
        "= ∂h₃/∂h₂ · ∂h₂/∂h₁ · ∂⁺h₁/∂a   as products",
    ]


# --- how it reads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "cross-entropy", "R6", "G4"])
def test_written_out_recurrences_read_as_they_did(name: str, pinned: Callable[[str, str], None]) -> None:
    page = sheet(written_out(RECURRENT[name]))
    page = re.sub(r"largest\s+relative\s+error \S+\.", "largest relative error …", page) + "\n"
    pinned(f"steps/{name.replace('-', '_')}_unrolled.txt", page)


def test_a_weight_shared_by_all_steps_has_a_term_for_each() -> None:
    assert "∂W_h = h₀ᵀ ∂a₁ + h₁ᵀ ∂a₂ + h₂ᵀ ∂a₃" in part(sheet(written_out(RNN)), "Backward")


def test_the_last_state_receives_from_its_own_output_alone() -> None:
    lines = part(sheet(written_out(R3)), "Backward")
    assert "∂h₃ = Vᵀ ∂o₃" in lines  # B3
    assert "∂h₂ = Wᵀ ∂a₃ + Vᵀ ∂o₂" in lines
    assert lines[0].startswith("∂o₃ = Σ(y₃) y'₃ - y₃")


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("name", ["rnn", "gru", "cross-entropy"])
def test_it_has_every_notation_and_latex(name: str, notation: str) -> None:
    found = written_out(RECURRENT[name])
    assert len(sheet(found, notation, 1000).splitlines()) == len(sheet(found, width=1000).splitlines())
    page = latex_sheet(found, notation)
    balanced(page)
    assert r"\frac{\partial^{+} h_{k}}{\partial " in page


def test_notations_reach_into_the_names_of_steps() -> None:
    found = written_out(RNN)
    assert "∂L/∂h₂ = ∂L/∂y₂ + (∂L/∂a₃) W_hᵀ" in re.sub(" +", " ", sheet(found, "leibniz"))
    assert "h̄₂ = ȳ₂ + δ₃ W_hᵀ" in re.sub(" +", " ", sheet(found, "adjoint"))
    assert r"\bar{h}_{2} &= \bar{y}_{2} + \delta_{3}\,W_{h}^{\top}" in latex_sheet(found, "adjoint")


# --- what cannot be written out ------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, -1, MOST_STEPS + 1, 1000])
def test_a_number_of_steps_that_makes_no_page_is_refused(steps: int) -> None:
    with pytest.raises(EquationError, match=f"--unroll {steps}") as caught:
        written_out(RNN, steps)
    assert "help: --unroll 3" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"), [*((n, "no recurrence") for n in WITHOUT), ("X2", "along i and along j")]
)
def test_a_page_without_one_recurrence_is_refused(name: str, said: str) -> None:
    with pytest.raises(EquationError, match=said) as caught:
        written_out(EVERY[name])
    assert "help:" in str(caught.value)


@pytest.mark.parametrize("by", ["x", "h", "nothing"])
def test_only_a_parameter_can_be_followed(by: str) -> None:
    with pytest.raises(EquationError, match="no state depends on a parameter") as caught:
        written_out(RNN, by=by)
    assert "help: one of W_x, W_h, b" in str(caught.value)


def test_a_jacobian_that_is_wrong_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Program, of: str, by: str) -> Equation:
        e = jacobian(program, of, by)
        return replace(e, value=mul(Const(1.01), e.value))

    monkeypatch.setattr("chalkgrad.steps.paths.jacobian", wrong)
    with pytest.raises(DerivationError, match="does not hold"):
        unrolling(read(RNN), 2)


def test_progress_is_told_line_by_line() -> None:
    told: list[tuple[int, int]] = []
    unrolling(read(RNN), 2, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == len(told)
