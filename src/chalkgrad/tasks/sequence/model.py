"""A sequence read by any recurrence: what comes next, or what it is.

B batch   T time   C channels   H hidden   O outputs
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from chalkgrad.tasks.encoder import Encoder, Lengths
from chalkgrad.tasks.sequence.config import Card


class Reader(nn.Module):
    """Many to one: ``(B, T, C) → (B, O)``, from what each direction knows at its end."""

    def __init__(
        self,
        cell: str,
        channels: int,
        outputs: int,
        *,
        hidden: int,
        layers: int = 1,
        both: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.taken = nn.Linear(channels, hidden)
        self.encoder = Encoder(cell, hidden, layers=layers, both=both, dropout=dropout)
        self.readout = nn.Linear(hidden * self.encoder.directions, outputs)

    def forward(self, values: Tensor, lengths: Lengths = None) -> Tensor:
        """``lengths`` says how many steps of each sequence are its own."""
        known = self.encoder.ends(self.taken(values), lengths)
        return self.readout(dropped(known, self.dropout, self.training))


def reader(card: Card) -> Reader:
    """The net of a card: a score for each class, or ``horizon`` numbers for each channel."""
    config, channels = card.config, len(card.channels)
    outputs = len(card.classes) or config.horizon * channels
    return Reader(
        card.equations,
        channels,
        outputs,
        hidden=config.hidden,
        layers=config.layers,
        both=bool(config.both),
        dropout=config.dropout,
    )


def scaled(values: Tensor, card: Card) -> Tensor:
    """(…, C) with mean 0 and deviation 1 in each channel."""
    return (values - torch.tensor(card.mean)) / torch.tensor(card.deviation)


def foretold(model: nn.Module, past: Tensor) -> Tensor:
    """What follows windows (B, T, C) of scaled steps, (B, horizon, C).

    The net says how far from the last step it is: of a series that drifts, that is what stays the same.
    """
    return model(past).view(len(past), -1, past.shape[2]) + past[:, -1:]


__all__ = ["Reader", "foretold", "reader", "scaled"]
