"""The Transformer's blocks (Vaswani et al., "Attention is all you need", NeurIPS 2017), of pages of the zoo.

Attention, normalisation and the net of each place are equations (attention_multihead, layer_norm, mlp); here
they are put together. Normalisation comes first in each branch, which trains without a warm-up (Xiong et
al., "On layer normalization in the Transformer architecture", ICML 2020).

B batch   N places   S places that are looked at   C width   H heads
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from chalkgrad.nn.layer import layer
from chalkgrad.tasks.errors import TaskError

WIDER = 4
"""The net of each place is this much wider inside (section 3.3 of the paper)."""


class Branch(nn.Module):
    """What the branches of a block have in common: a norm before, dropout after."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = layer("layer_norm", D=width)
        self.dropout = nn.Dropout(dropout)


class Attention(Branch):
    """``x + attention(norm(x), u)``: x (B, N, C), u (B, S, C), bias (B, H, N, S) → (B, N, C).

    Without ``u`` the places look at one another, and at places ``before`` (B, S - N, C), whose x was seen in
    an earlier call. ``bias`` is as :func:`bias` makes it.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(width, dropout)
        if width % heads:
            raise TaskError(f"{heads} heads do not share a width of {width}: give one that they divide")
        self.attention = layer("attention_multihead", H=heads, C=width, D=width // heads)

    def forward(
        self, x: Tensor, bias: Tensor, u: Tensor | None = None, before: Tensor | None = None
    ) -> Tensor:
        normal = self.norm(x if before is None else torch.cat([before, x], 1))
        looking = normal[:, -x.shape[1] :]
        return x + self.dropout(self.attention(x=looking, u=normal if u is None else u, B=bias))


class FeedForward(Branch):
    """``x + net(norm(x))``, the same net at each place: (B, N, C) → (B, N, C)."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__(width, dropout)
        self.net = layer("mlp", D=width, H=WIDER * width, O=width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.net(self.norm(x).flatten(0, 1)).view_as(x))


class EncoderBlock(nn.Module):
    """Self-attention, then the net of each place: x (B, N, C), bias (B, H, N, N) → (B, N, C).

    With a causal bias it is the block of a decoder-only Transformer, which may look at places ``before``
    (B, S - N, C) too; then bias is (B, H, N, S).
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.net = FeedForward(width, dropout)

    def forward(self, x: Tensor, bias: Tensor, before: Tensor | None = None) -> Tensor:
        return self.net(self.attention(x, bias, before=before))


class DecoderBlock(nn.Module):
    """Self-attention, attention to what was read, then the net of each place.

    x (B, N, C), its causal bias (B, H, N, N), what was read (B, S, C), its bias (B, H, N, S) → (B, N, C).
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.cross = Attention(width, heads, dropout)
        self.net = FeedForward(width, dropout)

    def forward(self, x: Tensor, bias: Tensor, read: Tensor, read_bias: Tensor) -> Tensor:
        return self.net(self.cross(self.attention(x, bias), read_bias, read))


def bias(seen: Tensor, heads: int) -> Tensor:
    """What is added to scores: 0 where ``seen`` (…, N, S) is true and -∞ where it is not → (…, H, N, S).

    Each row must see something: a softmax of nothing is no number.

    >>> bias(causal(2), 1)
    tensor([[[0., -inf],
             [0., 0.]]])
    """
    added = torch.zeros(seen.shape, device=seen.device).masked_fill(~seen, -math.inf)
    return added.unsqueeze(-3).expand(*seen.shape[:-2], heads, *seen.shape[-2:])


def causal(places: int, looked_at: int | None = None) -> Tensor:
    """(N, S) booleans: the last N of S places each see themselves and what comes before.

    >>> causal(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    total = looked_at or places
    return torch.ones(places, total, dtype=torch.bool).tril(total - places)


def nearer(places: int, looked_at: int, heads: int, window: int) -> Tensor:
    """(H, N, S) biases: the last N of S places see themselves and ``window`` before, the nearer the more.

    Head a takes 2^(-8a/H) off a score for each place that lies between: no place needs a number of its own,
    and what is learned of short texts holds in long ones (Press, Smith and Lewis, "Train short, test long",
    ICLR 2022).

    >>> nearer(1, 4, heads=2, window=2)[0].tolist()
    [[-inf, -0.125, -0.0625, -0.0]]
    """
    back = torch.arange(looked_at - places, looked_at)[:, None] - torch.arange(looked_at)
    slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    seen = (back >= 0) & (back <= window)
    return (-slopes[:, None, None] * back).masked_fill(~seen, -math.inf)


def padded(real: Tensor, places: int) -> Tensor:
    """(B, N, S) booleans: each of N places sees the real ones of (B, S), not the padding."""
    return real[:, None, :].expand(-1, places, -1)


def waves(places: int, width: int) -> Tensor:
    """(N, C) sines and cosines that tell places apart (section 3.5 of the paper).

    >>> waves(1, 4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    at = torch.arange(places)[:, None]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(at * rates), torch.cos(at * rates)], -1).flatten(1)[:, :width]


__all__ = [
    "Attention",
    "DecoderBlock",
    "EncoderBlock",
    "FeedForward",
    "bias",
    "causal",
    "nearer",
    "padded",
    "waves",
]
