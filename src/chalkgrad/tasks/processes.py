"""Several processes that train one model together, each on its part of every batch; or one alone.

What they come to is what one process comes to on the whole batch: each process divides its loss by what
all of them count, and the gradients are added (data parallelism, by Lightning Fabric's "ddp").
"""

from __future__ import annotations

import logging
import os
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.extra import extra


class Group(Protocol):
    """The processes of a run: this one is number ``rank`` of ``count``."""

    @property
    def rank(self) -> int: ...

    @property
    def count(self) -> int: ...

    def join(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """The model to call and the optimizer to step, so that gradients are those of all processes."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Gradients of the sum of every process's loss."""
        ...

    def sum(self, *values: float) -> list[float]:
        """Each value, summed over the processes."""
        ...

    def gather(self, rows: Tensor) -> Tensor:
        """The parts of all processes, of one size, under one another: the reverse of :func:`part`."""
        ...

    def wait(self) -> None:
        """Until every process has come here."""
        ...


class Alone:
    """One process: nothing to agree upon.

    >>> Alone().sum(2.5, 1)
    [2.5, 1]
    """

    rank = 0
    count = 1

    def join(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        return model, optimizer

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def sum(self, *values: float) -> list[float]:
        return list(values)

    def gather(self, rows: Tensor) -> Tensor:
        return rows

    def wait(self) -> None:
        pass


class Together:
    """Processes that Lightning Fabric has started or found: over gloo, on one machine or several."""

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric

    @property
    def rank(self) -> int:
        return self.fabric.global_rank

    @property
    def count(self) -> int:
        return self.fabric.world_size

    def join(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        return self.fabric.setup(model, optimizer)

    def backward(self, loss: Tensor) -> None:
        # The processes' gradients are averaged, where a sum is wanted.
        self.fabric.backward(loss * self.count)

    def sum(self, *values: float) -> list[float]:
        return self.fabric.all_reduce(torch.tensor(values, dtype=torch.float64), reduce_op="sum").tolist()

    def gather(self, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(self.count)]
        torch.distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    def wait(self) -> None:
        self.fabric.barrier()


ALONE = Alone()


def together(devices: int = 1, nodes: int = 1) -> Group:
    """``devices`` processes on each of ``nodes`` machines; where torchrun started this one, those it started.

    Several processes are started by running this process's own command again, so it must be a program, not
    a notebook. Each takes its share of the machine's cores.

    Raises :class:`TaskError` for counts below 1, and where Lightning Fabric is not installed.

    >>> together().count
    1
    """
    for name, value in (("devices", devices), ("nodes", nodes)):
        if value < 1:
            raise TaskError(f"{name} must be at least 1, not {value}")
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun says how many there are
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if devices == nodes == 1:
        return ALONE
    library = extra("lightning_fabric", "Lightning Fabric")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets at length
    fabric = library.Fabric(accelerator="cpu", strategy="ddp", devices=devices, num_nodes=nodes)
    fabric.launch()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // devices))
    return Together(fabric)


def first() -> bool:
    """Whether this process is the first of its run, the one that writes and speaks.

    >>> first()
    True
    """
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK", "0")
    return rank == "0" and os.environ.get("NODE_RANK", "0") == "0"


def part(rows: Tensor, group: Group) -> Tensor:
    """This process's rows of a batch.

    >>> class Second(Alone):
    ...     rank, count = 1, 2
    >>> part(torch.arange(5), Second()).tolist()
    [2, 3, 4]
    """
    n = len(rows)
    return rows[n * group.rank // group.count : n * (group.rank + 1) // group.count]


def sharable(batch: int, what: str, group: Group, *, equally: bool = False) -> None:
    """Raise :class:`TaskError` unless every process gets some of a batch, or as many (``equally``).

    >>> sharable(1, "pairs", ALONE)
    """
    if batch % group.count if equally else batch < group.count:
        how = "shared equally" if equally else "shared"
        raise TaskError(f"a batch of {batch} {what} cannot be {how} by {group.count} processes: change batch")


__all__ = ["ALONE", "Alone", "Group", "Together", "first", "part", "sharable", "together"]
