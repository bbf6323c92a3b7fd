"""Layers learn: small tasks, a few seconds each, to a loss that no layer with a wrong gradient reaches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import chalkgrad


def echo(examples: int, steps: int, delay: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bits, and the same bits ``delay`` steps later."""
    x = torch.randint(0, 2, (examples, steps, 1), generator=rng).float()
    return x, torch.cat([torch.zeros(examples, delay, 1), x[:, :-delay]], 1)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gru_after"])
def test_a_recurrence_learns_to_echo(cell: str, rng: torch.Generator) -> None:
    torch.manual_seed(0)
    net, head = chalkgrad.layer(cell, D=1, H=16), nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=0.02)
    for _ in range(200):
        x, target = echo(32, 12, 2, rng)
        loss = nn.functional.binary_cross_entropy_with_logits(head(net(x)[0]), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, target = echo(100, 12, 2, rng)
    with torch.no_grad():
        logits = head(net(x)[0])
    # Without a memory the best is log 2 = 0.69.
    assert nn.functional.binary_cross_entropy_with_logits(logits, target).item() < 0.02
    assert ((logits > 0) == (target > 0.5)).all()


def test_an_output_layer_on_the_page_learns_with_the_rest(rng: torch.Generator) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(
        "h[t] = tanh(x[t] W + h[t-1] U + b)\ny = h[T] V + c\nwhere x[t]: D, h[t]: H, y: O", D=2, H=24, O=1
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(400):
        # Add the two marked numbers of a sequence (Hochreiter and Schmidhuber, 1997).
        x, target = adding(64, 6, rng)
        loss = nn.functional.mse_loss(net(x)[0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step == 0:
            assert loss.item() > 0.1
    assert loss.item() < 0.02


def adding(examples: int, steps: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    values = torch.rand(examples, steps, generator=rng)
    marked = torch.rand(examples, steps, generator=rng).topk(2, dim=1).indices
    marks = torch.zeros(examples, steps).scatter(1, marked, 1.0)
    return torch.stack([values, marks], 2), (values * marks).sum(1, keepdim=True)


def test_a_convolution_learns_to_find_edges(rng: torch.Generator) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("conv2d", w=(1, 1, 3, 3))
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(200):
        x = torch.randn(8, 1, 8, 8, generator=rng)
        loss = nn.functional.mse_loss(net(x), nn.functional.conv2d(x, sobel[None, None]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(net.w[0, 0], sobel, rtol=0, atol=0.02)
