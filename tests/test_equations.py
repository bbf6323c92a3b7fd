"""The equations of the notes, as layers: what every page computes, and its gradients.

Every page is held against three things that know nothing of one another: the plain meaning of its equations,
differences, and torch's autograd through the forward equations.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.naive import evaluate
from tests.often import often
from tests.pages import PAGES, Page
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck

import chalkgrad
from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations import ops
from chalkgrad.language.resolve import read
from chalkgrad.nn.arguments import Arguments
from chalkgrad.nn.operator import System, system_of
from chalkgrad.nn.sizes import Numbers
from layers_of_pages import LONG, flat, float64, function, normal, weighted

# --- every page ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_page_computes_what_its_equations_say(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    net = float64(text, **sizes)
    program = net.program
    inputs = {
        n.name: normal(2, *s, seed=k)
        for k, (n, s) in enumerate(zip(program.given("input"), shapes, strict=True))
    }
    first = net(**inputs)
    starts = [normal(*s.shape, seed=50 + k) for k, s in enumerate(first[1])] if program.states else []
    found = flat(net(**inputs, state=starts) if starts else first)
    resolved = read(text)
    numbers = Arguments(resolved, sizes, Numbers(resolved, sizes)).solve(inputs)
    parameters = {name: p.detach().numpy() for name, p in net.named_parameters()}
    for example in range(2):
        given = {**parameters, **{name: x[example].numpy() for name, x in inputs.items()}}
        for state, value in zip(program.states, starts, strict=True):
            start = value[example]
            start = start.unsqueeze(state.position) if state.depth == 1 else start.movedim(0, state.position)
            given[state.start] = start.numpy()
        meant = evaluate(program, given, numbers, program.outputs)
        for name, value in zip(program.outputs, found, strict=False):
            expected = meant[name]
            # Without the steps before its start: the equation that stands last is the one of every step.
            for axis, (whole, own) in enumerate(
                zip(program[name].ranges, program.defining(name)[-1].domain, strict=True)
            ):
                first = (own.low - whole.low).value(numbers)
                expected = expected.take(range(first, first + own.size.value(numbers)), axis)
            np.testing.assert_allclose(value[example].detach(), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("page", PAGES)
def test_gradients_by_inputs_states_and_parameters_are_the_differences(page: str) -> None:
    call, values = function(PAGES[page], examples=2)
    assert gradcheck(call, values, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("page", often(PAGES, seldom=LONG))
def test_second_derivatives_are_the_differences_of_first_ones(page: str) -> None:
    call, values = function(PAGES[page], examples=1)
    assert gradgradcheck(call, values, eps=1e-6, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("page", PAGES)
def test_first_and_second_derivatives_are_those_torch_finds(page: str) -> None:
    text, sizes, shapes = PAGES[page]
    resolved = read(text)
    system = System(normalise(batch(resolved.program)))
    names = [n.name for n in resolved.program.given("input")]
    inputs = {n: normal(2, *s, seed=k) for k, (n, s) in enumerate(zip(names, shapes, strict=True))}
    numbers = Arguments(resolved, sizes, Numbers(resolved, sizes)).solve(inputs)
    given = {
        n.name: 0.6 * normal(*(r.size.value(numbers) for r in n.ranges), seed=k)
        for k, n in enumerate(system.program.given("parameter", "start"))
    }
    given = {n: x.requires_grad_() for n, x in {**inputs, **given}.items()}
    wanted = tuple(dict.fromkeys((*resolved.program.outputs, *(s.name for s in resolved.program.states))))

    def both(results: tuple[Tensor, ...]) -> list[Tensor]:
        leaves = list(given.values())
        first = torch.autograd.grad(weighted(results), leaves, create_graph=True, materialize_grads=True)
        # Where everything is linear the first derivatives are constants, and torch will not derive those.
        anchor = torch.stack([0 * x.sum() for x in leaves]).sum()
        second = torch.autograd.grad(weighted(first) + anchor, leaves, materialize_grads=True)
        return [*first, *second]

    derived = both(system(given, numbers, wanted))
    found = system.runner(given, numbers, wanted)
    by_torch = both(tuple(found[n] for n in wanted))
    assert len(derived) == len(by_torch)
    for ours, theirs in zip(derived, by_torch, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


# --- and does the checking check? ----------------------------------------------------------------------


def broken(name: str) -> ops.Op:
    """A function with slopes one per cent too steep, and an offset where a slope is zero by rule."""
    right = ops.OPS[name]
    slopes = tuple(
        lambda y, args, slope=slope: ops.add(ops.mul(ops.Const(1.01), slope(y, args)), ops.Const(1e-3))
        for slope in right.slopes
    )
    return ops.Op(right.name, slopes, right.torch, right.latex, right.symbol, right.aliases, right.interval)


ONE_ARGUMENT = [name for name, op in ops.OPS.items() if op.arity == 1]


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_the_checker_finds_any_wrong_slope(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"y[i] = {name}(x[i]) where x: input"
    assert chalkgrad.check(text)
    monkeypatch.setitem(ops.OPS, name, broken(name))
    assert not chalkgrad.check(text)


@pytest.fixture
def no_plans_kept() -> Iterator[None]:
    """Layers of one text share what is derived: a broken slope must neither miss it nor stay in it."""
    system_of.cache_clear()
    yield
    system_of.cache_clear()


# A rectifier in a recurrence: after a convolution it is left to the library, which has its own slope.
RECTIFIED = PAGES["R2"]._replace(text=PAGES["R2"].text.replace("σ", "relu"))


@pytest.mark.usefixtures("no_plans_kept")
@pytest.mark.parametrize(
    ("name", "page"),
    [("tanh", PAGES["G1"]), ("sigmoid", PAGES["R2"]), ("relu", RECTIFIED), ("exp", PAGES["A2"])],
)
def test_a_wrong_slope_fails_the_gradient_check(
    name: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ops.OPS, name, broken(name))
    call, values = function(page, examples=1)
    with pytest.raises(GradcheckError):
        gradcheck(call, values, eps=1e-6, atol=1e-7, rtol=1e-6)
