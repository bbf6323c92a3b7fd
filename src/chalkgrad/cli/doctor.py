"""``chalkgrad doctor``: can this machine compile kernels, and are they right?"""

from __future__ import annotations

import typer


def doctor() -> None:
    r"""Say what this machine has to compile kernels with, and compile and check a small one.

    Ends with code 1 where layers would run without kernels: step by step, which is slow.
    """
    import os
    import platform
    from importlib.metadata import version

    import torch
    from rich.console import Console
    from rich.table import Table

    from chalkgrad.kernels.c import build, cache, runtime

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("chalkgrad", version("chalkgrad"))
    table.add_row("python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    table.add_row("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    table.add_row("processor", build.processor_name())
    try:
        command = build.compiler()
        table.add_row("compiler", " ".join(command))
        table.add_row("", build.identity(command).split("\n", 1)[0])
        table.add_row("flags", " ".join((*build.QUICKLY, *build.FLAGS)))
    except build.CompilerError as error:
        table.add_row("compiler", str(error))
    kept = cache.objects(build.folder())
    size = sum(o.size for o in kept) / 2**20
    table.add_row("cache", f"{build.folder()}, {len(kept)} kernels, {size:.1f} MiB")
    table.add_row(
        "", f"at most {cache.KERNELS} kernels and {cache.BYTES >> 20} MiB, the longest unused go first"
    )
    shared = "torch's own" if runtime.team() is not None else "one: torch's team was not found"
    table.add_row("threads", shared)
    if os.environ.get("CHALKGRAD_KERNELS") == "off":
        table.add_row("switched off", "by CHALKGRAD_KERNELS=off")
    Console(highlight=False, soft_wrap=True).print(table, markup=False)
    raise typer.Exit(_try())


def _try() -> int:
    """Compile a small recurrence, compare it with torch, and say how that went; the exit code."""
    import warnings
    from time import perf_counter

    import torch

    import chalkgrad
    from chalkgrad.kernels.c.loops import CompilerWarning, kernels_wanted

    if not kernels_wanted():
        print("\nkernels are switched off: layers run step by step")
        return 1
    net = chalkgrad.layer("h[t] = tanh(x[t] W + h[t-1] U + b)", x=8, h=16, dtype=torch.float64)
    x = torch.randn(3, 10, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    begun = perf_counter()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("error", CompilerWarning)
            y, _ = net(x)
    except CompilerWarning as failed:
        print(f"\nno kernel was made: {failed}")
        return 1
    took = perf_counter() - begun
    W, U, b = (net.get_parameter(name).detach() for name in "WUb")
    h, wrong = torch.zeros(3, 16, dtype=torch.float64), 0.0
    for t in range(10):
        h = torch.tanh(x[:, t] @ W + h @ U + b)
        wrong = max(wrong, (y[:, t] - h).abs().max().item())
    right = wrong < 1e-12
    print(
        f"\na kernel was made and called in {took:.2f} s, and is "
        f"{'right' if right else 'WRONG'} to {wrong:.0e}"
    )
    return 0 if right else 1
