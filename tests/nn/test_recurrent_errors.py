"""What RNN, LSTM and GRU refuse, and how: torch's own errors, and the equation."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import normal, packed, pair
from torch import nn

import chalkgrad
from chalkgrad.language.source import EquationError

KINDS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
T, N, D, H = 5, 3, 3, 4


def refused(kind: str, call: Callable[[Any], Any], *args: Any, **options: Any) -> str:
    """What ours says: an error of torch's type that begins with torch's own words."""
    ours, theirs = pair(kind, *(args or (D, H)), **options)
    with pytest.raises(Exception) as its:  # noqa: PT011
        call(theirs)
    with pytest.raises(type(its.value), match=f"^{re.escape(str(its.value))}") as error:
        call(ours)
    assert "\nerror: " in str(error.value)
    return str(its.value)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"hidden_size": 0}),
        (ValueError, {"hidden_size": -1}),
        (ValueError, {"input_size": 0}),
        (ValueError, {"num_layers": 0}),
        (ValueError, {"dropout": -0.5}),
        (ValueError, {"dropout": 1.5}),
        (ValueError, {"dropout": True}),
        (ValueError, {"proj_size": 4}),
        (ValueError, {"proj_size": -1}),
        (TypeError, {"hidden_size": 2.0}),
        (TypeError, {"input_size": 2.0}),
        (TypeError, {"bias": 0}),
        (TypeError, {"batch_first": 1}),
    ],
)
def test_a_constructor_refuses_what_torchs_refuses(error: type[Exception], options: dict[str, Any]) -> None:
    options = {"input_size": D, "hidden_size": H, **options}
    for kind in KINDS:
        with pytest.raises(error) as its:
            getattr(nn, kind)(**options)
        with pytest.raises(error, match=re.escape(str(its.value))):
            getattr(chalkgrad, kind)(**options)


def test_a_constructor_knows_two_functions_and_warns_of_dropout_with_one_layer() -> None:
    with pytest.raises(ValueError, match="Unknown nonlinearity 'sigmoid'"):
        chalkgrad.RNN(2, 3, nonlinearity="sigmoid")
    with pytest.raises(ValueError, match="only supported for LSTM, not RNN or GRU"):
        chalkgrad.GRU(2, 3, proj_size=2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        chalkgrad.GRU(2, 3, dropout=0.5)
    assert "dropout option adds dropout after all but last" in str(said[0].message)


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_of_another_shape_or_kind_is_refused(kind: str) -> None:
    for shape in ((T, N, D, 1), (D,), (T, N, D + 1), (T, D + 1), (0, N, D), (0, D)):
        said = refused(kind, lambda m, shape=shape: m(normal(*shape)))
    assert said == "Expected sequence length to be larger than 0 in RNN"
    assert "does not match weight dtype" in refused(kind, lambda m: m(normal(T, N, D).float()))
    assert "does not match weight dtype" in refused(
        kind, lambda m: m(torch.zeros(T, N, D, dtype=torch.int64))
    )
    refused(kind, lambda m: m(packed(normal(T, D + 1), normal(2, D + 1))))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_initial_state_is_refused_and_none_broadcast(kind: str, bidirectional: bool) -> None:
    """Wrong in the batch, the size, the number of layers or of axes; of an LSTM both states or only one."""
    layers = 2 * (2 if bidirectional else 1)
    right, x = normal(layers, N, H), normal(T, N, D)
    for shape in (
        *[(layers, N, H + 1), (layers, N, 1), (layers, N + 1, H), (layers, 1, H)],
        *[(layers - 1, N, H), (1, N, H), (layers, N * H), (N, H), (layers, N, H, 1)],
    ):
        wrong = normal(*shape)
        for hx in ((wrong, wrong), (right, wrong), (wrong, right)) if kind == "LSTM" else (wrong,):
            refused(kind, lambda m, hx=hx: m(x, hx), D, H, 2, bidirectional=bidirectional)
            refused(kind, lambda m, hx=hx: m(x[:, 0], hx), D, H, 2, bidirectional=bidirectional)
    one = (right, right) if kind == "LSTM" else right
    said = refused(kind, lambda m: m(x[:, 0], one), D, H, 2, bidirectional=bidirectional)
    assert said.startswith("For unbatched 2-D input")
    half = (right.float(), right.float()) if kind == "LSTM" else right.float()
    refused(kind, lambda m: m(x, half), D, H, 2, bidirectional=bidirectional)


def test_an_initial_state_of_projections_is_smaller_than_that_of_cells() -> None:
    x, h, c = normal(T, N, D), normal(1, N, 2), normal(1, N, H)
    for hx in ((c, c), (h, h), (c, h)):
        assert refused("LSTM", lambda m, hx=hx: m(x, hx), D, H, proj_size=2).startswith("Expected hidden")


def test_a_packed_sequence_has_its_own_lengths() -> None:
    rows = [normal(3, D), normal(2, D)]
    for kind in KINDS:
        net, _ = pair(kind, D, H)
        with pytest.raises(EquationError, match="lengths of its own"):
            net(packed(*rows), lengths=[3, 2])
        wrong = normal(1, 3, H)
        with pytest.raises((RuntimeError, EquationError)):
            net(packed(*rows), (wrong, wrong) if kind == "LSTM" else wrong)


def test_what_is_asked_for_beside_is_checked_as_for_any_layer() -> None:
    net, _ = pair("GRU", D, H)
    x = normal(T, N, D)
    with pytest.raises(EquationError, match="lengths are from 1 to 5"):
        net(x, lengths=[6, 1, 1])
    with pytest.raises(EquationError, match="one length for each example"):
        net(x, lengths=[1, 2])
    with pytest.raises(EquationError, match="resets"):
        net(x, resets=torch.zeros(T, N + 1, dtype=torch.bool))
    with pytest.raises(EquationError, match="truncate"):
        net(x, truncate=0)


def test_devices_are_not_mixed() -> None:
    for kind in KINDS:
        net, _ = pair(kind, D, H)
        with pytest.raises((RuntimeError, NotImplementedError, EquationError)):
            net(normal(T, N, D).to("meta"))


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_refuses_what_torchs_refuses(kind: str) -> None:
    def state(*shape: int) -> Any:
        h = normal(*shape)
        return (h, h) if kind == "LSTMCell" else h

    x = normal(3, D)
    for shape in ((3, D + 1), (1, 3, D), (3, D, 1, 1)):
        refused(kind, lambda m, shape=shape: m(normal(*shape)))
    for shape in ((3, H + 1), (3, 1), (5, H), (1, H), (H,), (1, 3, H), (3, H, 1, 1)):
        refused(kind, lambda m, shape=shape: m(x, state(*shape)))
    for shape in ((3, H), (H + 1,), (1,), (1, 1, H)):
        refused(kind, lambda m, shape=shape: m(x[0], state(*shape)))
    refused(kind, lambda m: m(x.float()))
    if kind == "LSTMCell":
        for hx in ((normal(3, H), normal(3, H + 1)), (normal(2, H), normal(3, H))):
            refused(kind, lambda m, hx=hx: m(x, hx))
