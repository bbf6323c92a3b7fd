"""What kernels are compared by: a loop compiled and step by step, and which calls a layer makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from chalkgrad import layer
from chalkgrad.kernels.backends import Backend
from chalkgrad.kernels.c import loops
from chalkgrad.nn.layer import Layer
from chalkgrad.nn.operator import System

F64 = torch.float64


def normal(*shape: int, dtype: torch.dtype = F64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def drawn(text: str, backend: Backend | None = None, **sizes: Any) -> Layer:
    """A layer whose parameters are all drawn, its biases too."""
    net = layer(text, dtype=F64, backend=backend, **sizes)
    for k, p in enumerate(net.parameters()):
        torch.nn.init.normal_(p, generator=torch.Generator().manual_seed(k))
    return net


class Called(TorchFunctionMode):
    """Which of torch's functions make a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[object] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.functions += [func] if isinstance(made, Tensor) else []
        return made


class Calls(TorchDispatchMode):
    """Which operators are run, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))

    def starting(self, start: str) -> list[str]:
        """The names that begin so."""
        return [n for n in self.names if n.startswith(start)]

    def counts(self, *parts: str) -> list[int]:
        """How many names each of these is a part of."""
        return [sum(part in n for n in self.names) for part in parts]


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with every run of a kernel from now on."""
    calls: list[str] = []
    start = loops.Bound.start

    def counted(bound: loops.Bound, *where: Any) -> None:
        calls.append("run")
        start(bound, *where)

    monkeypatch.setattr(loops.Bound, "start", counted)
    return calls


def values_and_gradients(
    system: System,
    given: Mapping[str, Tensor],
    numbers: Mapping[str, int],
    kernels: str,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Tensor]:
    """Outputs, states, and gradients by all that is given, of a loss that weighs every number differently."""
    monkeypatch.setenv("CHALKGRAD_KERNELS", kernels)
    program = system.program
    wanted = tuple(dict.fromkeys((*program.outputs, *(s.name for s in program.states))))
    leaves = {n: x.detach().requires_grad_() for n, x in given.items()}
    found = system(leaves, numbers, wanted)
    # The same numbers in every dtype: torch draws others for one than for another.
    drawn = (normal(*y.shape, dtype=torch.float32, seed=70 + k) for k, y in enumerate(found))
    weights = [w.to(y.dtype) for w, y in zip(drawn, found, strict=True)]
    grads = torch.autograd.grad(found, list(leaves.values()), weights, materialize_grads=True)
    return {
        **{n: y.detach() for n, y in zip(wanted, found, strict=True)},
        **{f"∂{n}": g for n, g in zip(leaves, grads, strict=True)},
    }
