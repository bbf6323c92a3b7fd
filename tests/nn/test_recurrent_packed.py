"""RNN, LSTM and GRU on sequences of different lengths: packed by torch, or padded, with lengths."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import close, computed, flat, normal, packed, pair, starts
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

KINDS = ("RNN", "LSTM", "GRU")
LENGTHS = (3, 7, 1, 5, 5)
D, H = 3, 4


def sequences(lengths: tuple[int, ...] = LENGTHS) -> list[Tensor]:
    return [normal(n, D, seed=k).requires_grad_() for k, n in enumerate(lengths)]


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {"num_layers": 2, "bidirectional": True}) for kind in KINDS),
        *((kind, {"batch_first": True, "bias": False}) for kind in KINDS),
        ("LSTM", {"proj_size": 2, "bidirectional": True}),
    ],
)
def test_a_packed_sequence_gives_one_in_the_same_order(
    kind: str, options: dict[str, Any], enforce_sorted: bool
) -> None:
    ours, theirs = pair(kind, D, H, **options)
    rows = sequences(tuple(sorted(LENGTHS, reverse=True)) if enforce_sorted else LENGTHS)
    hx = starts(ours, len(rows))

    def call(net: Any) -> Any:
        y, state = net(pack_sequence(rows, enforce_sorted), hx)
        assert isinstance(y, PackedSequence)
        padded, lengths = pad_packed_sequence(y, batch_first=True, total_length=9)
        return y, state, padded, lengths

    close(computed(ours, call, *rows, *flat(hx)), computed(theirs, call, *rows, *flat(hx)))
    for a, b in zip(ours(packed(*rows))[0], theirs(packed(*rows))[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_of_one_length_may_be_packed_too(kind: str) -> None:
    ours, theirs = pair(kind, D, H)
    rows = sequences((4, 4, 4))
    close(
        computed(ours, lambda m: m(packed(*rows)), *rows), computed(theirs, lambda m: m(packed(*rows)), *rows)
    )


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_do_what_packing_does(kind: str, batch_first: bool) -> None:
    ours, theirs = pair(kind, D, H, 2, bidirectional=True, batch_first=batch_first)
    rows = sequences()
    hx = starts(ours, len(rows))
    x = nn.utils.rnn.pad_sequence(rows, batch_first)
    holed = nn.utils.rnn.pad_sequence(rows, batch_first, padding_value=float("nan"))

    def by_torch(net: Any) -> Any:
        y, state = net(pack_padded_sequence(x, list(LENGTHS), batch_first, enforce_sorted=False), hx)
        return pad_packed_sequence(y, batch_first)[0], state

    found = computed(ours, lambda m: m(holed, hx, lengths=LENGTHS), *rows, *flat(hx))
    close(found, computed(theirs, by_torch, *rows, *flat(hx)))


def test_one_sequence_has_one_length() -> None:
    ours, _ = pair("GRU", D, H, bidirectional=True)
    x = normal(6, D)
    y, h = ours(x, lengths=4)
    alone, its = ours(x[:4])
    close([y[:4], h], [alone, its])
    assert not y[4:].any()


def test_dropout_of_packed_sequences_is_drawn_as_torch_draws_it() -> None:
    ours, theirs = pair("LSTM", D, H, 2, dropout=0.5, bidirectional=True)
    rows = sequences()

    def call(net: Any) -> Any:
        torch.manual_seed(4)
        return net(packed(*rows))

    close(computed(ours, call, *rows), computed(theirs, call, *rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [*((kind, {}) for kind in KINDS), ("LSTM", {"proj_size": 2}), ("RNN", {"nonlinearity": "relu"})],
)
def test_the_grid_that_torch_holds_its_own_two_ways_to(kind: str, options: dict[str, Any]) -> None:
    """Every case of torch's test of the CPU against cuDNN (test_RNN_cpu_vs_cudnn), on the CPU."""
    lengths = [7, 5, 5, 2, 1, 1]
    size, hidden, batch, steps = 10, 6, len(lengths), max(lengths)
    for bias, both, batch_first, contiguous, ragged, as_tensor in itertools.product((True, False), repeat=6):
        if as_tensor and not ragged:
            continue
        ours, theirs = pair(
            kind, size, hidden, 2, bias=bias, bidirectional=both, batch_first=batch_first, **options
        )
        rows, columns = (batch, steps) if batch_first else (steps, batch)
        x = normal(rows, columns, size) if contiguous else normal(rows, size, columns).transpose(1, 2)
        x = x.detach().requires_grad_()
        hx = starts(ours, batch)

        def call(net: Any, x: Any = x, hx: Any = hx) -> Any:
            if not ragged:  # noqa: B023
                return net(x, hx)
            given = torch.tensor(lengths) if as_tensor else lengths  # noqa: B023
            y, state = net(pack_padded_sequence(x, given, batch_first), hx)  # noqa: B023
            return y.data, state

        close(computed(ours, call, x, *flat(hx)), computed(theirs, call, x, *flat(hx)))
