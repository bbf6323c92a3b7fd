"""The runner: a line for every file of vectors that has a family here; 1 when anything failed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import (
    cs231n,
    keras_recurrent,
    keras_windows,
    ort_beside,
    ort_recurrent,
    ort_windows,
    roelants,
    tf_windows,
    tflite,
)
from .report import Case, NotRunError, Result, judged, line

Family = Callable[[Any], Iterator[Result]]


def ort(data: Any) -> Iterator[Result]:
    """onnxruntime's file: its cases, what must fail, and its training operators."""
    for k, case in enumerate(data["cases"]):
        yield judged(f"{k} {case['test']}", partial(_ort, case))
    for k, case in enumerate(data["expected_failures"]):
        yield judged(f"must fail {k} {case['test']}", partial(ort_beside.fails, case))
    for k, case in enumerate(data["training_gradients"]):
        yield judged(f"training {k} {case['test']}", partial(ort_beside.trained, case))


def _ort(case: Case) -> int:
    if case["op"] in ort_recurrent.GATES:
        return ort_recurrent.run(case)
    if case["op"] in ort_windows.OPS:
        return ort_windows.run(case)
    return _waiting(f"no runner for {case['op']}")


def _waiting(why: str) -> int:
    raise NotRunError(why)


FAMILIES: dict[str, Family] = {
    "ort_vectors.json.gz": ort,
    "cs231n_vectors.json.gz": cs231n.results,
    "tf_conv_pool_vectors.json": tf_windows.results,
    "keras_conv_pool_vectors.json.gz": keras_windows.results,
    "keras_vectors.json.gz": keras_recurrent.results,
    "tflite_vectors.json": tflite.results,
    "roelants_vectors.json": roelants.results,
}


def main(arguments: Sequence[str]) -> int:
    """Print the lines of a folder's files, or of those named; 0 when none failed, 2 for wrong arguments."""
    chosen = arguments[1:] or [*FAMILIES]
    if not arguments or not {*chosen} <= {*FAMILIES}:
        print("usage: python -m tests.conformance DIR [FILE ...]", file=sys.stderr)
        print("files: " + ", ".join(FAMILIES), file=sys.stderr)
        return 2
    folder, wrong = Path(arguments[0]), False
    for name in chosen:
        if not (folder / name).is_file():
            print(f"{name:32} is not in {folder}")
            wrong = True
            continue
        data = (folder / name).read_bytes()
        results = list(FAMILIES[name](json.loads(gzip.decompress(data) if name.endswith(".gz") else data)))
        print(line(name, results), flush=True)
        wrong |= not results or any(r.verdict == "failed" for r in results)
    without = sorted(f.name for f in folder.glob("*.json*") if f.name not in FAMILIES)
    for name in without:
        print(f"{name:32} has no runner")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
