"""DistributedDataParallel: two processes with half of a batch each have the gradients of one with all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from zoo_layers import drawn

HALF = """
import sys
from datetime import timedelta
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
sys.path.insert(0, sys.argv[1])
from zoo_layers import drawn

folder, rank = sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
dist.init_process_group(
    "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=60)
)
net, _ = drawn("lstm")
with torch.no_grad():
    for p in net.parameters():
        p.mul_(rank + 1)  # DistributedDataParallel begins with those of the first process
whole = DistributedDataParallel(net)
x = torch.load(f"{folder}/x.pt").chunk(2)[rank]
for _ in range(2):
    whole.zero_grad()
    y, state = whole(x)
    (y.square().mean() + state.c.mean()).backward()
if rank == 0:
    torch.save({n: p.grad for n, p in net.named_parameters()}, f"{folder}/found.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    net, x = drawn("lstm", batch=6)
    torch.save(x, tmp_path / "x.pt")
    tests = str(Path(__file__).parent.parent)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", HALF, tests, str(tmp_path), str(rank)],
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=90)[1] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], said
    y, state = net(x)
    (y.square().mean() + state.c.mean()).backward()
    found = torch.load(tmp_path / "found.pt")
    for n, p in net.named_parameters():
        torch.testing.assert_close(found[n], p.grad, rtol=1e-10, atol=1e-12)
