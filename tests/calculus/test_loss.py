"""A page that ends in its loss: what folds away, what is said of it, and that all of it is still true."""

from __future__ import annotations

import pytest
import torch
from tests.steps.losses import LOSSES, R3

import chalkgrad
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import explain
from chalkgrad.calculus.loss import losses
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.show import show
from chalkgrad.kernels.eager import Runner
from chalkgrad.language.resolve import read
from chalkgrad.nn.sizes import small_numbers


def lines(text: str) -> dict[str, str]:
    """The printed lines by their left side, without what is remarked."""
    found = (line.partition("  #")[0].partition(" = ") for line in str(chalkgrad.derive(text)).splitlines())
    return {left.strip(): right.strip() for left, _, right in found}


def remark(text: str, left: str) -> str:
    [line] = [x for x in str(chalkgrad.derive(text)).splitlines() if x.startswith(f"{left} ")]
    return line.partition("  # ")[2]


def test_softmax_with_cross_entropy_is_the_difference_of_prediction_and_target() -> None:
    assert lines(R3)["∂o[t]"] == "Σ(y[t]) y'[t] - y[t]"
    assert remark(R3, "∂o[t]") == "∂J[t] = 1; y'[t] - y[t] where Σ(y[t]) = 1"


def test_it_goes_back_to_the_state_from_the_output_and_from_the_next_step() -> None:
    assert lines(R3)["∂h[t]"] == "Wᵀ ∂a[t+1] + Vᵀ ∂o[t]"
    assert lines(R3)["∂a[t]"] == "∂h[t] ⊙ (1 - h[t]²)"


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("cross-entropy in rows", "∂s_y[t]", "Σ(d[t]) y[t] - d[t]"),
        ("log-likelihood", "∂o[t]", "Σ(d[t]) softmax(o[t]) - d[t]"),
        ("log-likelihood as a product", "∂o[t]", "Σ(d[t]) softmax(o[t]) - d[t]"),
        ("squared error", "∂y[t]", "2 (y[t] - d[t]) / |t|"),
        ("mean squared error", "∂y[t]", "2 (y[t] - d[t]) / |d|"),
        ("error at the end", "∂S[k]", "∂S[k+1] w_rec + [k=K-1] 2 (S[K-1] - d)"),
        ("without a recurrence", "∂s_y", "Σ(d) y - d"),
        ("mean without a recurrence", "∂m_L", "2 m_L / |d|"),
    ],
)
def test_the_first_line_after_the_loss_reads_as_in_the_notes(name: str, left: str, right: str) -> None:
    found = lines(LOSSES[name])
    assert right in found.values(), found
    assert found.get(left, right) == right


@pytest.mark.parametrize("name", LOSSES)
def test_no_gradient_of_the_loss_by_itself_is_left(name: str) -> None:
    program = read(LOSSES[name]).program
    [loss] = losses(program)
    d = explain(program, derive(program))
    assert not d.derived.given("seed")
    assert f"∂{loss}" not in "\n".join(line.partition("  #")[0] for line in str(d).splitlines())
    assert f"∂{loss}" in str(d)  # where it stood, that is said once
    assert str(d).count(" = 1") - str(d).count(") = 1") == 1


@pytest.mark.parametrize("name", LOSSES)
def test_the_folded_gradient_is_that_of_the_sum_of_the_losses(name: str) -> None:
    resolved = read(LOSSES[name])
    program, numbers = normalise(resolved.program), small_numbers(resolved, {})
    d = explain(program, derive(program))
    random = torch.Generator().manual_seed(0)
    given = {
        n.name: torch.rand([r.size.value(numbers) for r in n.ranges], generator=random, dtype=torch.float64)
        for n in program.given()
    }
    leaves = {n: x.requires_grad_() for n, x in given.items()}
    loss = Runner(program)(leaves, numbers, list(program.outputs))[program.outputs[0]].sum()
    names = [d.derived[o].of for o in d.derived.outputs]
    expected = torch.autograd.grad(loss, [leaves[n] for n in names], allow_unused=True)
    found = Runner(d.derived)(given, numbers, list(d.derived.outputs))
    for o, n, e in zip(d.derived.outputs, names, expected, strict=True):
        torch.testing.assert_close(found[o], torch.zeros_like(leaves[n]) if e is None else e, msg=o)


def test_where_the_target_sums_to_one_it_is_what_torch_says_of_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(5, 4, dtype=torch.float64).softmax(-1)
    expected = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, target, reduction="sum"), logits)
    torch.testing.assert_close(expected[0], logits.softmax(-1) - target)
    program = normalise(read("y[t] = softmax(o[t])\nJ[t] = -Σ[j] d[t,j] log(y[t,j]) where o: input").program)
    d = explain(program, derive(program, ["o"]))
    sizes = dict(zip(program.symbols, (5, 4), strict=True))
    found = Runner(d.derived)({"o": logits, "d": target}, sizes, ["∂o"])["∂o"]
    torch.testing.assert_close(found, expected[0])


def test_the_logarithm_of_a_probability_too_small_for_a_float_is_still_a_number() -> None:
    net = chalkgrad.layer("y[t] = softmax(x[t])\nJ[t] = -Σ[j] d[t,j] log(y[t,j]) where x[t]: 3")
    x = torch.tensor([[[1000.0, 0.0, -1000.0]]], requires_grad=True)
    loss, _ = out if isinstance(out := net(x, torch.tensor([[[0.0, 0.0, 1.0]]])), tuple) else (out, None)
    assert loss.item() == 2000
    loss.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[1, 0, -1]]]


def test_log_of_a_softmax_is_written_without_its_exponential() -> None:
    shown = show(normalise(read(R3).program))
    assert "log(y'" not in shown
    assert "J[t] = -Σ[j] y[t,j] (o[t,j] - L_y'[t])" in shown


def test_the_square_of_a_norm_is_a_sum_of_squares_also_at_zero() -> None:
    text = "y[t] = x[t] W\nL[t] = norm(y[t] - d[t])^2 / 2"
    assert lines(text)["∂y[t]"] == "y[t] - d[t]"
    net = chalkgrad.layer(text, x=2, y=2)
    x, d = torch.zeros(1, 3, 2, requires_grad=True), torch.zeros(1, 3, 2)
    out = net(x, d)
    (out[0] if isinstance(out, tuple) else out).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == torch.zeros(1, 3, 2).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "y[t] = tanh(x[t] w) where x[t]: 3",  # an output with an ordinary name
        "L[t] = tanh(x[t] W + L[t-1] U)",  # a state
        "L[t] = tanh(x[t] W)",  # a vector at each step
        "E[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] where x: input",  # a picture
    ],
)
def test_what_is_no_loss_keeps_its_gradient(text: str) -> None:
    program = read(text).program
    assert losses(program) == ()
    assert explain(program, derive(program)).derived.given("seed")


def test_the_latex_of_a_remark_is_mathematics() -> None:
    latex = chalkgrad.derive(R3).latex()
    said = r"\text{($\partial J_{t}$ = 1; $y'_{t} - y_{t}$ where $\sum\left(y_{t}\right)$ = 1)}"
    assert said in latex
