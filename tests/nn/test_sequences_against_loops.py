"""Sequences of a batch that end, begin anew and are cut, beside loops over their steps written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.nn.layers_of_sequences import (
    BEGINS_LATE,
    BOTH_WAYS,
    LEARNED_START,
    LOOPS,
    TWO_BACK,
    ZOO,
    close,
    flat,
    float64,
    gradients,
    normal,
    starts,
)
from torch import Tensor, nn

from chalkgrad.nn.layer import Layer


@pytest.fixture(params=["on", "off"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CHALKGRAD_KERNELS", request.param)
    return request.param


Cell = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]


def by_hand(
    cell: Cell,
    x: Tensor,
    start: tuple[Tensor, ...],
    resets: Sequence[bool],
    every: int,
    back: bool = False,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """One sequence, step by step: what is carried is detached after every so many steps, and begins anew at
    a reset. Gives the first of what is carried at each step, and what is carried at last."""
    steps, carried = len(x), start
    found: dict[int, Tensor] = {}
    for n, t in enumerate(reversed(range(steps)) if back else range(steps)):
        if every and n and n % every == 0:
            carried = tuple(c.detach() for c in carried)
        if (t + 1 < steps and resets[t + 1]) if back else resets[t]:
            carried = start
        carried = cell(x[t], carried)
        found[t] = carried[0]
    return [found[t] for t in range(steps)], carried


def batch_by_hand(
    cell: Cell, x: Tensor, start: Sequence[Tensor], asked: dict[str, Any], back: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """A batch of sequences, one by one: outputs with zeros after the end, and what each carries on."""
    rows: list[Tensor] = []
    carried: list[tuple[Tensor, ...]] = []
    for b, one in enumerate(x):
        length = asked["lengths"][b] if asked.get("lengths") else len(one)
        resets = asked["resets"][b].tolist() if asked.get("resets") is not None else [False] * len(one)
        mine = tuple(s[b] for s in start)
        ys, last = by_hand(cell, one[:length], mine, resets, asked.get("truncate") or 0, back)
        rows.append(nn.functional.pad(torch.stack(ys), (0, 0, 0, len(one) - length)))
        carried.append(last)
    return torch.stack(rows), [torch.stack(c) for c in zip(*carried, strict=True)]


def expected_of(net: Layer, x: Tensor, start: Any, asked: dict[str, Any]) -> list[Tensor]:
    """Outputs and states of a page, written as torch operations."""
    p = dict(net.named_parameters())
    if net.equations == BOTH_WAYS:
        h, (last_h,) = batch_by_hand(
            lambda x, c: (torch.tanh(x @ p["W"] + c[0] @ p["R"] + p["a"]),), x, [start.h], asked
        )
        g, (last_g,) = batch_by_hand(
            lambda x, c: (torch.tanh(x @ p["V"] + c[0] @ p["S"] + p["b"]),), x, [start.g], asked, back=True
        )
        y = h @ p["A"] + g @ p["B"] + p["c"]
        if asked.get("lengths"):
            y = y * (torch.arange(x.shape[1]) < torch.tensor(asked["lengths"])[:, None])[..., None]
        return [y, last_h, last_g]
    if net.equations == TWO_BACK:
        h, (one, two) = batch_by_hand(
            lambda x, c: (torch.tanh(x @ p["W"] + c[0] @ p["R"] + c[1] @ p["S"] + p["b"]), c[0]),
            x,
            [start.h[:, 1], start.h[:, 0]],
            asked,
        )
        return [h, torch.stack([two, one], 1)]
    if net.equations == BEGINS_LATE:
        # Its first step is the second one: what comes before has no place in its results.
        differences = x[:, 1:] - x[:, :-1]
        fewer = dict(asked)
        if asked.get("lengths"):
            fewer["lengths"] = [n - 1 for n in asked["lengths"]]
        if asked.get("resets") is not None:
            fewer["resets"] = asked["resets"][:, 1:]
        h, carried = batch_by_hand(
            lambda x, c: (torch.tanh(x @ p["W"] + c[0] @ p["R"] + p["b"]),), differences, [start.h], fewer
        )
        return [h, *carried]
    if net.equations == LEARNED_START:
        h, _ = batch_by_hand(
            lambda x, c: (torch.tanh(x @ p["W"] + c[0] @ p["R"] + p["b"]),),
            x,
            [p["s"].expand(len(x), -1)],
            asked,
        )
        return [h]

    def lstm(x: Tensor, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c = carried
        i, f, g, o = (x @ p[f"W_x{k}"] + h @ p[f"W_h{k}"] + p[f"b_{k}"] for k in "ifgo")
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    h, (last_h, last_c) = batch_by_hand(lstm, x, [start.h, start.c], asked)
    return [h, last_c, last_h]


def held_against_the_loop(net: Layer, asked: dict[str, Any], T: int, twice: bool = False) -> None:
    x = normal(3, T, 2).requires_grad_()
    start = starts(net, x) if net.program.states else ()
    leaves = [x, *start, *net.parameters()]
    result = net(x, start, **asked) if start else net(x, **asked)
    found, expected = flat(result), expected_of(net, x, start, asked)
    close(found, expected)
    first = gradients(found, leaves, create_graph=twice)
    by_torch = gradients(expected, leaves, create_graph=twice)
    close(first, by_torch)
    if twice:
        close(gradients(first, leaves), gradients(by_torch, leaves))


@pytest.mark.parametrize("what", ["lengths", "resets", "truncate", "lengths resets", "all"])
@pytest.mark.parametrize("page", LOOPS)
def test_a_page_does_what_a_loop_does(page: str, what: str) -> None:
    anew = torch.tensor([[0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 1], [0, 1, 0, 0, 1, 0]], dtype=torch.bool)
    asked: dict[str, Any] = {"lengths": [4, 6, 5], "resets": anew, "truncate": 2}
    held_against_the_loop(LOOPS[page](), {k: v for k, v in asked.items() if k in what or what == "all"}, 6)


@pytest.mark.parametrize("page", ["both ways", "two back"])
def test_second_derivatives_are_cut_and_reset_too(page: str) -> None:
    anew = torch.tensor([[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)
    asked = {"lengths": [3, 4, 2], "resets": anew, "truncate": 2}
    held_against_the_loop(LOOPS[page](), asked, 4, twice=True)


@settings(max_examples=12)
@given(st.data())
def test_whatever_is_asked_a_page_does_what_a_loop_does(data: st.DataObject) -> None:
    page = data.draw(st.sampled_from([*LOOPS]), "page")
    least = 2 if page == "begins late" else 1
    T = data.draw(st.integers(least, 6), "T")
    asked: dict[str, Any] = {}
    if data.draw(st.booleans(), "with lengths"):
        asked["lengths"] = data.draw(st.lists(st.integers(least, T), min_size=3, max_size=3), "lengths")
    if data.draw(st.booleans(), "with resets"):
        rows = st.lists(st.booleans(), min_size=T, max_size=T)
        asked["resets"] = torch.tensor(data.draw(st.lists(rows, min_size=3, max_size=3), "resets"))
    if data.draw(st.booleans(), "truncated"):
        asked["truncate"] = data.draw(st.integers(1, T + 1), "truncate")
    held_against_the_loop(LOOPS[page](), asked, T)


@pytest.mark.parametrize("name", ZOO)
def test_a_cut_gradient_is_that_of_pieces_with_their_states_detached(name: str) -> None:
    net, T, every = float64(name, D=2, H=3), 7, 3
    x = normal(2, T, 2).requires_grad_()
    start = starts(net, x)
    leaves = [x, *start, *net.parameters()]
    found = flat(net(x, start, truncate=every))
    pieces, state = [], start
    for k, first in enumerate(range(0, T, every)):
        state = state._make(s.detach() for s in state) if k else state
        y, state = net(x[:, first : first + every], state)
        pieces.append(y)
    expected = [torch.cat(pieces, 1), *state]
    close(found, expected)
    close(found, flat(net(x, start)))  # the numbers themselves are not cut
    close(gradients(found, leaves), gradients(expected, leaves))


@pytest.mark.parametrize("name", [*ZOO, BOTH_WAYS])
def test_a_sequence_with_resets_is_its_pieces_one_after_the_other(name: str) -> None:
    sizes = {"x": 2, "h": 3, "g": 3, "y": 2} if name == BOTH_WAYS else {"D": 2, "H": 3}
    net, T = float64(name, **sizes), 7
    x = normal(1, T, 2).requires_grad_()
    start = starts(net, x)
    leaves = [x, *start, *net.parameters()]
    at = [0, 2, 3, 7]
    resets = torch.tensor([[t in at for t in range(T)]])
    y, _ = net(x, start, resets=resets)
    pieces = torch.cat([net(x[:, a:b], start)[0] for a, b in pairwise(at)], 1)
    close([y], [pieces])
    close(gradients([y], leaves), gradients([pieces], leaves))
