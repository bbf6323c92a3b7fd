"""Whole models train with our convolutions and poolings as they train with torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peers import normal, same
from torch import Tensor, nn

import chalkgrad


class Residual(nn.Module):
    """A block of two convolutions and what goes past them."""

    def __init__(self, home: Any, channels: int) -> None:
        super().__init__()
        self.one = home.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.two = home.Conv2d(channels, channels, 3, padding="same", groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.two(torch.relu(self.norm(self.one(x)))))


def residual(home: Any) -> nn.Module:
    return nn.Sequential(
        home.Conv2d(1, 8, 5, stride=2, padding=2),
        home.MaxPool2d(3, stride=1, padding=1),
        Residual(home, 8),
        home.AvgPool2d(2, ceil_mode=True),
        Residual(home, 8),
        nn.Flatten(),
        nn.Linear(72, 10),
    )


def autoencoder(home: Any) -> nn.Module:
    return nn.Sequential(
        home.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.Tanh(),
        home.Conv2d(6, 4, 3, stride=2, padding=1, padding_mode="circular"),
        nn.Tanh(),
        home.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
        nn.Tanh(),
        home.ConvTranspose2d(6, 1, 4, stride=2, padding=1),
    )


def sequence(home: Any) -> nn.Module:
    return nn.Sequential(
        home.Conv1d(4, 8, 3, dilation=2, padding=2),
        nn.ReLU(),
        home.AvgPool1d(3, stride=2, padding=1, count_include_pad=False),
        home.Conv1d(8, 8, 3, groups=8, padding=1),
        home.MaxPool1d(2),
        home.ConvTranspose1d(8, 2, 4, stride=2),
    )


def volume(home: Any) -> nn.Module:
    return nn.Sequential(
        home.Conv3d(1, 4, 3, padding=1),
        nn.ReLU(),
        home.MaxPool3d(2),
        home.Conv3d(4, 2, (1, 2, 2)),
        home.AvgPool3d(2, stride=1),
        home.ConvTranspose3d(2, 1, 2, stride=2),
    )


MODELS = {
    "residual": (residual, (6, 1, 11, 11)),
    "autoencoder": (autoencoder, (6, 1, 8, 12)),
    "sequence": (sequence, (3, 4, 17)),
    "volume": (volume, (2, 1, 6, 6, 6)),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_trains_with_ours_as_it_trains_with_torchs(model: str) -> None:
    make, shape = MODELS[model]
    x = normal(*shape)

    def trained(home: Any) -> tuple[list[float], nn.Module]:
        torch.manual_seed(1)
        net = make(home).double()
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
        losses: list[float] = []
        for _ in range(12):
            optimiser.zero_grad()
            y = net(x)
            loss = (y - (x if y.shape == x.shape else 1.0)).square().mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses, net

    (found, ours), (wanted, torchs) = trained(chalkgrad), trained(nn)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found[-1] < 0.9 * found[0]
    torchs.load_state_dict(ours.state_dict())
    same([ours.eval()(x)], [torchs.eval()(x)], 1e-11)
    assert repr(ours) == repr(torchs).replace("torch.nn", "chalkgrad")
