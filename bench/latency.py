"""How long one waits: for the import, and from a page's text to a first result. New processes, medians.

This file imports neither torch nor chalkgrad: when they are imported is what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench.fresh import fresh
from bench.tables import Job, Kind, Plan, Row

GATED = """
f[t] = σ(x[t] W_f + h[t-1] U_f + b_f)
h[t] = (1 - f[t]) ⊙ h[t-1] + f[t] ⊙ tanh(x[t] W + (f[t] ⊙ h[t-1]) U + b)
where x[t]: D, h[t]: H
"""
PAGES = {"rnn": "rnn", "lstm": "lstm", "a gated cell as text": GATED}

TIMES = ("import chalkgrad after torch", "text to layer", "text to first output", "text to first gradients")


def jobs(plan: Plan) -> list[Job]:
    def job(name: str) -> Iterator[Row]:
        cold, warm = list[list[float]](), list[list[float]]()
        for _ in range(1 if plan.quick else 3):
            with TemporaryDirectory(prefix="chalkgrad-bench-") as cache:
                # Bytecode is kept between processes, as it is for a package that is installed.
                env = {"XDG_CACHE_HOME": cache, "PYTHONDONTWRITEBYTECODE": ""}
                for times in (cold, warm, warm):
                    times.append(fresh(waits, PAGES[name], plan.threads, env=env))
        for k, what in enumerate(TIMES):
            yield (what, "warm", name, 1e3 * median(took[k] for took in warm))
            if "first" in what:
                yield (what, "cold", name, 1e3 * median(took[k] for took in cold))

    return [lambda name=name: job(name) for name in (["lstm"] if plan.quick else PAGES)]


def waits(page: str, threads: int) -> list[float]:
    """Seconds of each of TIMES, in this process."""
    import torch

    torch.set_num_threads(threads)
    x = torch.randn(8, 20, 64)
    torch.mm(x[0], x[1].T)  # torch's own beginnings are not ours
    at = perf_counter()
    from chalkgrad import layer

    imported, at = perf_counter() - at, perf_counter()
    net = layer(page, D=64, H=64)
    made = perf_counter() - at
    y, _ = net(x)
    forward = perf_counter() - at
    y.sum().backward()
    return [imported, made, forward, perf_counter() - at]


KIND = Kind(
    name="latency",
    says="Medians over new processes in which torch is loaded. Cold: no kernel is compiled yet; warm: all "
    "are on disk. Python searches what torch made for garbage once soon after it is loaded, some "
    "70 ms: here that falls into our import. T = 20, B = 8, D = H = 64.",
    columns=("what", "kernels", "page", "ms"),
    named=2,
    figure="ms",
    unit="ms",
    worst=max,
    jobs=jobs,
    left_out="latency but for the LSTM",
)
