"""The functions of the kernels, in loops that a compiler turns into vector code: as accurate as torch's."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from chalkgrad.equations.ops import OPS
from chalkgrad.kernels.c.build import load
from chalkgrad.kernels.c.prelude import prelude
from chalkgrad.kernels.eager.functions import function

Long = NDArray[np.longdouble]


def erf(x: Long) -> Long:
    """To the last digit of a double: numpy has none."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    library.erfl.argtypes, library.erfl.restype = [ctypes.c_longdouble], ctypes.c_longdouble
    return np.array([library.erfl(float(v)) for v in x], np.longdouble)


EXACT: dict[str, Callable[[Long], Long]] = {
    "sigmoid": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": abs,
    "sign": np.sign,
    "step": lambda x: np.heaviside(x, 0),
    "erf": erf,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, np.longdouble(0.01) * x),
}
"""The functions in more digits than either type has."""

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
EVERY = pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.arity == 1])


def in_a_loop(name: str, *arguments: Tensor) -> Tensor:
    """A function of the kernels at every number of a tensor."""
    letters = "ab"[: len(arguments)]
    source = "\n".join([
        prelude(arguments[0].dtype == torch.float64),
        f"void apply(R *y, {', '.join(f'const R *{x}' for x in letters)}, int64_t n) {{",
        f'  _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = c_{name}({"[i], ".join(letters)}[i]);',
        "}",
    ])  # fmt: skip
    apply = load(source, "apply")
    apply.argtypes = [ctypes.c_void_p] * (len(letters) + 1) + [ctypes.c_int64]
    y = torch.empty_like(arguments[0])
    apply(y.data_ptr(), *(x.data_ptr() for x in arguments), y.numel())
    return y


def numbers(dtype: torch.dtype) -> Tensor:
    """Small and large, of either sign, from the least number there is; not a whole number of vectors."""
    info = torch.finfo(dtype)
    least, largest = np.log10(info.smallest_normal * info.eps), np.log10(info.max)
    size = torch.cat([torch.logspace(least, largest, 30_001, dtype=torch.float64),
                      torch.linspace(0, 120, 30_001, dtype=torch.float64),
                      torch.linspace(700, 750, 5_001, dtype=torch.float64)])  # fmt: skip
    ends = torch.tensor(
        [0.0, info.smallest_normal, info.max, float("inf"), 20, 40, 88.722, 88.723, 709.78, 709.79]
    )
    found = torch.cat([size, ends.double(), -size, -ends.double()]).to(dtype)
    assert found.numel() % 16
    return found


def ulps(y: Tensor, exact: Long, within: NDArray[np.bool_]) -> float:
    """The largest error, in units of the last place of what is right."""
    right = exact[within]
    if not right.size:
        return 0.0
    kind = y.numpy().dtype
    with np.errstate(over="ignore"):
        last = np.spacing(abs(right).astype(kind)).astype(np.longdouble)
    return float((abs(y.numpy()[within].astype(np.longdouble) - right) / last).max())


@BOTH
@EVERY
def test_a_function_is_as_accurate_as_torch_s(name: str, dtype: torch.dtype) -> None:
    x = numbers(dtype)
    y, theirs = in_a_loop(name, x), function(name)(x)
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.numpy().astype(np.longdouble))
        rounded = exact.astype(y.numpy().dtype)
    assert torch.equal(torch.from_numpy(rounded).isnan(), y.isnan())
    endless = np.isinf(rounded)
    assert (y.numpy()[endless] == rounded[endless]).all()
    found = np.isfinite(rounded)
    assert found.sum() > 40_000
    # A result below the least normal number loses digits in any formula: apart, so that it hides no other.
    whole = found & ((rounded == 0) | (abs(rounded) >= torch.finfo(dtype).smallest_normal))
    for within in (whole, found & ~whole):
        assert ulps(y, exact, within) <= max(2 * ulps(theirs, exact, within), 4)


@BOTH
@EVERY
def test_what_is_no_number_stays_none(name: str, dtype: torch.dtype) -> None:
    x = torch.full((37,), float("nan"), dtype=dtype)
    assert torch.equal(in_a_loop(name, x).isnan(), function(name)(x).isnan())


@BOTH
@EVERY
@pytest.mark.parametrize("count", [0, 1, 7, 8, 15, 16, 17, 33])
def test_the_rest_of_a_loop_is_computed_like_its_vectors(name: str, dtype: torch.dtype, count: int) -> None:
    x = torch.linspace(*OPS[name].interval, 64, dtype=dtype)
    assert torch.equal(in_a_loop(name, x[:count]), in_a_loop(name, x)[:count])


def test_every_function_has_its_exact_one() -> None:
    assert set(EXACT) == {name for name, op in OPS.items() if op.arity == 1}


@BOTH
@pytest.mark.parametrize("name", ["maximum", "minimum", "equal"])
def test_functions_of_two_numbers_are_torch_s(name: str, dtype: torch.dtype) -> None:
    few = torch.tensor([float("nan"), float("-inf"), -1.5, 0.0, 2.0, float("inf")], dtype=dtype)
    a, b = few.repeat_interleave(6), few.repeat(6)
    torch.testing.assert_close(in_a_loop(name, a, b), function(name)(a, b), rtol=0, atol=0, equal_nan=True)


@BOTH
@pytest.mark.parametrize(("name", "x", "y"), [
    ("exp", float("inf"), float("inf")), ("exp", float("-inf"), 0.0), ("exp", 0.0, 1.0),
    ("tanh", float("inf"), 1.0), ("tanh", float("-inf"), -1.0), ("tanh", 0.0, 0.0),
    ("sigmoid", float("inf"), 1.0), ("sigmoid", float("-inf"), 0.0), ("relu", -1.0, 0.0),
    ("elu", float("-inf"), -1.0), ("softplus", float("-inf"), 0.0), ("softplus", 800.0, 800.0),
])  # fmt: skip
def test_functions_know_their_ends(name: str, x: float, y: float, dtype: torch.dtype) -> None:
    assert in_a_loop(name, torch.full((19,), x, dtype=dtype)).tolist() == [y] * 19
