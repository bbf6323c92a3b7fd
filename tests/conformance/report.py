"""What becomes of a case: passed, failed and why, or not run and why; and the line of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Case = Mapping[str, Any]
Verdict = Literal["passed", "failed", "not run"]


class NotRunError(Exception):
    """The language, or this runner, has no page for a case; the message says which and why."""


@dataclass(frozen=True)
class Result:
    """One case: its name, what became of it, and why."""

    case: str
    verdict: Verdict
    why: str = ""


def tensor(value: Any) -> Tensor:
    """Numbers of a file in float64."""
    return torch.tensor(value, dtype=torch.float64)


def compare(what: str, found: Tensor, expected: Tensor, atol: float, rtol: float) -> None:
    """Raises AssertionError where shapes differ, a number is not finite, or two are too far apart."""
    assert expected.numel(), f"{what}: nothing is expected"
    assert found.shape == expected.shape, f"{what}: {tuple(found.shape)} for {tuple(expected.shape)}"
    assert found.isfinite().all(), f"{what}: not finite"
    apart = (found - expected).abs()
    far = (apart > atol + rtol * expected.abs()).sum().item()
    assert not far, f"{what}: {far} of {expected.numel()} differ, by up to {apart.max().item():.1e}"


def judged(name: str, run: Callable[[], int]) -> Result:
    """The result of a case; ``run`` compares and says how many tensors it compared."""
    try:
        compared = run()
    except NotRunError as e:
        return Result(name, "not run", str(e))
    except Exception as e:  # whatever a case raises is that case's failure, named in the report
        return Result(name, "failed", f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
    return Result(name, "passed") if compared else Result(name, "failed", "nothing was compared")


def line(file: str, results: Iterable[Result]) -> str:
    """A file's line, and under it why, with counts.

    >>> print(line("a.json", [Result("1", "passed"), Result("2", "not run", "no data")]))
    a.json                             1 passed    0 failed    1 not run
        not run (1): no data
    """
    results = list(results)
    count = Counter(r.verdict for r in results)
    text = f"{file:32}{count['passed']:4} passed {count['failed']:4} failed "
    text += f"{count['not run']:4} not run"
    whys = Counter(r.why for r in results if r.verdict == "not run")
    return "\n".join(
        [
            text,
            *(f"    failed: {r.case}: {r.why}" for r in results if r.verdict == "failed"),
            *(f"    not run ({n}): {why}" for why, n in whys.items()),
        ]
    )
