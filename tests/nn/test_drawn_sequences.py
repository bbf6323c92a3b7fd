"""Lengths, resets and truncate on drawn pages: each sequence as if alone, compiled as step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.kernels.recurrences import Drawn, recurrences
from tests.nn.layers_of_sequences import F64, close, flat, gradients, normal
from tests.nn.test_lengths_resets_truncate import padded, shortened
from torch import Tensor

import chalkgrad
from chalkgrad.calculus.draft import Asked
from chalkgrad.calculus.sequences import sequences
from chalkgrad.language.resolve import read
from chalkgrad.nn.layer import Layer

SIZES = {"D": 3, "H": 4, "K": 2, "S": 3}


class Tried:
    """A drawn page as a layer, with inputs and initial states for a batch."""

    def __init__(self, page: Drawn, examples: int, steps: int, asked: Asked) -> None:
        found = read(page.text)
        known = {*found.program.symbols, *found.sizes}
        self.net: Layer = chalkgrad.layer(
            page.text, dtype=F64, **{s: n for s, n in SIZES.items() if s in known}
        )
        program = self.net.program
        self.symbol = sequences(program, asked).steps
        assert {*program.symbols} <= {self.symbol, *SIZES}
        numbers = {**SIZES, self.symbol: steps}
        assume(all(r.size.value(numbers) for e in program.equations for r in e.domain))
        with torch.no_grad():
            for k, p in enumerate(self.net.parameters()):
                p.copy_(0.5 * normal(*p.shape, seed=100 + k))

        def drawn(name: str, seed: int) -> Tensor:
            return 0.5 * normal(examples, *(r.size.value(numbers) for r in program[name].ranges), seed=seed)

        self.names = [n.name for n in program.given("input")]
        self.inputs = [drawn(n, k).requires_grad_() for k, n in enumerate(self.names)]
        self.starts: list[Tensor] = []
        for k, s in enumerate(program.states):
            start = drawn(s.start, 50 + k)
            start = start.squeeze(1 + s.position) if s.depth == 1 else start.movedim(1 + s.position, 1)
            self.starts.append(start.contiguous().requires_grad_())

    @property
    def leaves(self) -> list[Tensor]:
        return [*self.inputs, *self.starts, *self.net.parameters()]

    def timed(self, name: str) -> list[int]:
        """Where time stands among the axes of a batch."""
        ranges = self.net.program[name].ranges
        return [1 + k for k, r in enumerate(ranges) if self.symbol in r.size.symbols]

    def call(self, inputs: Sequence[Tensor], starts: Sequence[Tensor], **asked: Any) -> list[Tensor]:
        state = {"state": tuple(starts)} if starts else {}
        return flat(self.net(**dict(zip(self.names, inputs, strict=True)), **state, **asked))


def ends_as_if_alone(page: Drawn, steps: int, lengths: Sequence[int], kernels: str) -> None:
    lengths = [min(n, steps) for n in lengths]
    tried = Tried(page, len(lengths), steps, Asked(lengths=True))
    program = tried.net.program
    shortest = {**SIZES, tried.symbol: min(lengths)}
    assume(all(r.size.value(shortest) > 0 for e in program.equations for r in e.domain))
    holed: list[Tensor] = []
    for name, x in zip(tried.names, tried.inputs, strict=True):
        held = x
        for axis in tried.timed(name):
            after = x.shape[axis] - steps + torch.tensor(lengths)[:, None]
            there = torch.arange(x.shape[axis]) < after
            across = [x.shape[axis] if k == axis else 1 for k in range(1, x.dim())]
            held = torch.where(there.view(len(lengths), *across), held, torch.nan)
        holed.append(held)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHALKGRAD_KERNELS", kernels)
        found = tried.call(holed, tried.starts, lengths=lengths)
        alone = [
            tried.call(
                [
                    shortened(x[b : b + 1], tried.timed(n), length, steps)
                    for n, x in zip(tried.names, tried.inputs, strict=True)
                ],
                [s[b : b + 1] for s in tried.starts],
            )
            for b, length in enumerate(lengths)
        ]
        expected = [torch.cat([padded(r[k], value) for r in alone]) for k, value in enumerate(found)]
        close(found, expected)
        close(gradients(found, tried.leaves), gradients(expected, tried.leaves))


def compiled_as_step_by_step(page: Drawn, steps: int, asked: dict[str, Any]) -> None:
    given = Asked(*(word in asked for word in ("lengths", "resets", "truncate")))
    # A sum over its own past cannot be reset, nor cut.
    assume("n[t]" not in page.text)
    tried = Tried(page, 3, steps, given)
    asked = {**asked, "lengths": [min(n, steps) for n in asked["lengths"]]} if "lengths" in asked else asked
    if "resets" in asked:
        asked["resets"] = asked["resets"][:, :steps]
    shortest = {**SIZES, tried.symbol: min(asked.get("lengths", [steps]))}
    assume(all(r.size.value(shortest) > 0 for e in tried.net.program.equations for r in e.domain))
    found: list[list[Tensor]] = []
    with pytest.MonkeyPatch.context() as patch:
        for kernels in ("on", "off"):
            patch.setenv("CHALKGRAD_KERNELS", kernels)
            results = tried.call(tried.inputs, tried.starts, **asked)
            found.append([*results, *gradients(results, tried.leaves)])
    close(*found)


LENGTHS = st.lists(st.integers(1, 6), min_size=3, max_size=3)
RESETS = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=3, max_size=3).map(torch.tensor)
ASKED = st.fixed_dictionaries(
    {"truncate": st.integers(1, 4), "resets": RESETS}, optional={"lengths": LENGTHS}
)
QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
FEW = settings(max_examples=4, derandomize=True, phases=[Phase.generate], **QUIET)
MANY = settings(max_examples=16, **QUIET)


@FEW
@given(recurrences(), st.integers(1, 6), LENGTHS, st.sampled_from(["on", "off"]))
def test_a_drawn_page_ends_each_sequence_as_if_alone(
    page: Drawn, steps: int, lengths: list[int], kernels: str
) -> None:
    ends_as_if_alone(page, steps, lengths, kernels)


@FEW
@given(recurrences(), st.integers(1, 6), ASKED)
def test_a_drawn_page_is_reset_and_cut_the_same_compiled(
    page: Drawn, steps: int, asked: dict[str, Any]
) -> None:
    compiled_as_step_by_step(page, steps, asked)


@pytest.mark.slow
@MANY
@given(recurrences(), st.integers(1, 6), LENGTHS, st.sampled_from(["on", "off"]))
def test_new_drawn_pages_end_each_sequence_as_if_alone(
    page: Drawn, steps: int, lengths: list[int], kernels: str
) -> None:
    ends_as_if_alone(page, steps, lengths, kernels)


@pytest.mark.slow
@MANY
@given(recurrences(), st.integers(1, 6), ASKED)
def test_new_drawn_pages_are_reset_and_cut_the_same_compiled(
    page: Drawn, steps: int, asked: dict[str, Any]
) -> None:
    compiled_as_step_by_step(page, steps, asked)
