"""A page with given tensors for its inputs and parameters, so that gradients reach all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

import chalkgrad


def evaluated(
    page: str,
    inputs: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor] | None = None,
    **call: Any,
) -> Any:
    """What the layer of a page gives in float64, from a state by its names; ``call`` goes with the inputs.

    Each parameter has the shape of its tensor; one that the page does not name is an error.
    """
    shapes: dict[str, Any] = {n: tuple(p.shape) for n, p in parameters.items()}
    net = chalkgrad.layer(page, dtype=torch.float64, inputs=[*inputs], **shapes)
    own = {n for n, _ in net.named_parameters()}
    assert own == set(parameters), f"the page has {sorted(own)}, given are {sorted(parameters)}"
    if state is not None:
        call["state"] = tuple(state[s.name] for s in net.program.states)
    return functional_call(net, dict(parameters), (), {**inputs, **call})


def one_hot(indices: Any, size: int) -> Tensor:
    """Whole numbers as rows with a single 1: how a page, which adds and multiplies, looks up a row."""
    return torch.nn.functional.one_hot(torch.as_tensor(indices), size).double()
