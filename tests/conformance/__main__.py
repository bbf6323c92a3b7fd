"""The runner: a line for every file of vectors that has a family here; 1 when anything failed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import ort_recurrent
from .report import Case, NotRunError, Result, judged, line

Family = Callable[[Any], Iterator[Result]]


def ort(data: Any) -> Iterator[Result]:
    """onnxruntime's file: the recurrences are run, the rest is counted."""
    for k, case in enumerate(data["cases"]):
        yield judged(f"{k} {case['test']}", partial(_ort, case))
    for k, case in enumerate([*data["expected_failures"], *data["training_gradients"]]):
        yield judged(f"{k} {case['test']}", partial(_waiting, f"no runner for {case['op']} beside `cases`"))


def _ort(case: Case) -> int:
    if case["op"] in ort_recurrent.GATES:
        return ort_recurrent.run(case)
    return _waiting(f"no runner for {case['op']}")


def _waiting(why: str) -> int:
    raise NotRunError(why)


FAMILIES: dict[str, Family] = {"ort_vectors.json.gz": ort}


def main(arguments: Sequence[str]) -> int:
    """Run the files in a folder and print their lines; 0 when nothing failed, 2 for wrong arguments."""
    if len(arguments) != 1:
        print("usage: python -m tests.conformance DIR", file=sys.stderr)
        return 2
    folder, wrong = Path(arguments[0]), False
    for name, family in FAMILIES.items():
        if not (folder / name).is_file():
            print(f"{name:32} is not in {folder}")
            wrong = True
            continue
        data = (folder / name).read_bytes()
        results = list(family(json.loads(gzip.decompress(data) if name.endswith(".gz") else data)))
        print(line(name, results), flush=True)
        wrong |= not results or any(r.verdict == "failed" for r in results)
    without = sorted(f.name for f in folder.glob("*.json*") if f.name not in FAMILIES)
    for name in without:
        print(f"{name:32} has no runner")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
