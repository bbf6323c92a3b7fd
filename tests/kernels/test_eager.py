"""The torch backend against the meaning of a program, and derived equations against autograd."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from tests.naive import FUNCTIONS, evaluate
from tests.programs import CASES, rnn
from tests.shorthand import d, eq, f, index, name, r, ranges, reduction, total, w, when, x

from chalkgrad.calculus.batch import batch
from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.normalise import normalise
from chalkgrad.equations.ir import ArgMax, At, Const, Expr, Index, Name, Program, Read
from chalkgrad.equations.ops import OPS, add, minus, mul, power
from chalkgrad.kernels.eager import Runner
from chalkgrad.kernels.eager.functions import function

Tensors = dict[str, torch.Tensor]


def some(program: Program, numbers: dict[str, int], seed: int = 0) -> Tensors:
    """A tensor for everything that is given."""
    rng = torch.Generator().manual_seed(seed)
    return {
        n.name: torch.randn([r.size.value(numbers) for r in n.ranges], generator=rng, dtype=torch.float64)
        for n in program.given()
    }


def check(program: Program, numbers: dict[str, int], given: Tensors | None = None) -> Tensors:
    """Every defined name agrees with its meaning; the values."""
    given = some(program, numbers) if given is None else given
    names = [n.name for n in program.names if n.role == "defined"]
    expected = evaluate(program, {k: v.numpy() for k, v in given.items()}, numbers, names)
    found = Runner(program)(given, numbers, names)
    for n in names:
        np.testing.assert_allclose(found[n].numpy(), expected[n], rtol=1e-11, atol=1e-12, err_msg=n)
    return found


def single(value: Expr, domain: str, *names: Name) -> Program:
    """``y = value`` over a domain."""
    return Program((eq("y", domain, value),), (*names, d(f"y[{domain}]")), ("y",))


def both_gradients(program: Program, numbers: dict[str, int]) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Each derived adjoint beside what torch finds by going through the forward run."""
    given = {k: v.requires_grad_() for k, v in some(program, numbers).items()}
    out = Runner(program)(given, numbers, program.outputs)
    seeds = {
        k: torch.randn(v.shape, dtype=v.dtype, generator=torch.Generator().manual_seed(1))
        for k, v in out.items()
    }
    loss = torch.stack([(out[k] * seeds[k]).sum() for k in out]).sum()
    by_torch = dict(
        zip(given, torch.autograd.grad(loss, list(given.values()), materialize_grads=True), strict=True)
    )
    derived = derive(normalise(program))
    tensors = {k: v.detach() for k, v in given.items()}
    tensors |= {n.name: seeds[n.of] for n in derived.given("seed")}
    with torch.no_grad():
        found = Runner(derived)(tensors, numbers, derived.outputs)
    return [(k, v, by_torch[derived[k].of]) for k, v in found.items()]


# --- whole layers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_a_layer_means_what_its_equations_say(case: str) -> None:
    check(CASES[case].program, CASES[case].numbers)


@pytest.mark.parametrize("case", CASES)
def test_a_batch_of_examples_is_each_example_alone(case: str) -> None:
    check(batch(CASES[case].program), {**CASES[case].numbers, "batch": 2})


@pytest.mark.parametrize("case", CASES)
def test_derived_equations_mean_what_they_say(case: str) -> None:
    check(derive(normalise(CASES[case].program)), CASES[case].numbers)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_derived_gradients_are_those_torch_finds(case: str, batched: bool) -> None:
    program, numbers = CASES[case].program, CASES[case].numbers
    if batched:
        program, numbers = batch(program), {**numbers, "batch": 2}
    for label, found, by_torch in both_gradients(program, numbers):
        torch.testing.assert_close(
            found, by_torch, rtol=1e-10, atol=1e-11, msg=lambda m, k=label: f"{k}: {m}"
        )


@settings(max_examples=15)
@drawn(
    st.sampled_from(["rnn", "lstm", "gru_reset_before", "depth_two", "bidirectional"]),
    *[st.integers(1, 5)] * 4,
)
def test_recurrent_layers_hold_at_any_size(case: str, T: int, D: int, H: int, B: int) -> None:
    numbers = {"T": T, "D": D, "H": H, "M": 2, "batch": B}
    for label, found, by_torch in both_gradients(batch(CASES[case].program), numbers):
        torch.testing.assert_close(found, by_torch, rtol=1e-9, atol=1e-10, msg=lambda m, k=label: f"{k}: {m}")


@settings(max_examples=15)
@drawn(st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.integers(1, 3))
def test_convolutions_hold_at_any_size(P: int, Q: int, M: int, N: int, C: int) -> None:
    numbers = {"C": C, "K": 2, "P": P, "Q": Q, "M": M + P, "N": N + Q}
    for label, found, by_torch in both_gradients(CASES["conv2d"].program, numbers):
        torch.testing.assert_close(found, by_torch, rtol=1e-9, atol=1e-10, msg=lambda m, k=label: f"{k}: {m}")


def test_the_hand_written_backward_of_an_rnn() -> None:
    forward = rnn()
    h = forward["h"]
    program = Program(
        (
            *forward.equations,
            eq(
                "∂h",
                "-1≤t≤T-1, j<H",
                add(r("ȳ[t,j]"), when("T-2-t≥0", total("k<H", r("∂a[t+1,k]"), r("W_h[j,k]")))),
            ),
            eq("∂a", "t<T, k<H", mul(r("∂h[t,k]"), minus(Const(1), power(r("h[t,k]"), 2)))),
            eq("∂W_h", "j<H, k<H", total("t<T", r("h[t-1,j]"), r("∂a[t,k]"))),
        ),
        (
            *forward.names,
            Name("ȳ", "seed", h.ranges, 1, of="h"),
            Name("∂h", "defined", h.ranges, 1),
            d("∂a[t<T, k<H]", 1),
            d("∂W_h[j<H, k<H]", 0),
        ),
        ("∂W_h",),
    )
    numbers = {"T": 5, "D": 2, "H": 3}
    given = some(program, numbers)
    found = Runner(program)(given, numbers, ["∂W_h", "∂h"])
    given["W_h"].requires_grad_()
    given["h₀"].requires_grad_()
    out = Runner(forward)(given, numbers, ["h"])["h"]
    expected = torch.autograd.grad((out * given["ȳ"]).sum(), [given["W_h"], given["h₀"]])
    torch.testing.assert_close(found["∂W_h"], expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found["∂h"][:1], expected[1], rtol=1e-12, atol=1e-12)


# --- reads ---------------------------------------------------------------------------------------------

READS: dict[str, Program] = {
    "transposed": single(r("A[k,i]"), "i<M, k<N", x("A[a<N, b<M]")),
    "diagonal": single(r("A[i,i]"), "i<M", x("A[a<M, b<M]")),
    "shifted diagonal": single(r("A[i,i+1]"), "i<M", x("A[a<M, b<M+1]")),
    "trace": single(total("i<M", r("A[i,i]")), "k<1", x("A[a<M, b<M]")),
    "fixed": single(r("A[M-1,k]"), "k<N", x("A[a<M, b<N]")),
    "windows": single(r("v[2i+3p]"), "i<M, p<N", x("v[a<2M+3N]")),
    "three axes": single(total("q<N", r("v[i+2p+q]"), r("u[q]")), "i<M, p<N", x("v[a<M+3N]"), x("u[a<N]")),
    "backwards": single(r("v[M-1-i]"), "i<M", x("v[a<M]")),
    "antidiagonal": single(r("v[i-j+N-1]"), "i<M, j<N", x("v[a<M+N]")),
    "zeros outside": single(when("i-2≥0, M+1-i≥0", r("v[i-2]")), "i<M+5", x("v[a<M]")),
    "guarded diagonal": single(when("i-j=0", r("v[i]")), "i<M, j<N", x("v[a<M]")),
    "own interval": single(r("v[i+1]"), "-2≤i≤M", x("v[-1≤a≤M+1]")),
    "position": single(mul(At(index("i-2j+M")), r("v[j]")), "i<M, j<N", x("v[a<N]")),
    "outer": single(mul(r("v[i]"), r("u[j]")), "j<N, i<M", x("v[a<M]"), x("u[a<N]")),
    "constant": single(Const(2.5), "i<M, j<N"),
    "unused axis": single(total("p<N", r("v[i]")), "i<M", x("v[a<M]")),
    "three factors": single(
        total("p<N, q<M", r("A[i,p]"), r("B[p,q]"), r("C[q,j]")),
        "i<M, j<N",
        x("A[a<M, b<N]"),
        x("B[a<N, b<M]"),
        x("C[a<M, b<N]"),
    ),
    "a row per row": single(
        total("p<N", r("A[i,p]"), r("B[i,p]")), "i<M", x("A[a<M, b<N]"), x("B[a<M, b<N]")
    ),
    "sum of terms": single(
        total("p<N", add(mul(r("A[i,p]"), r("B[p,j]")), r("A[i,p]"))),
        "i<M, j<N",
        x("A[a<M, b<N]"),
        x("B[a<N, b<N]"),
    ),
    "triangle": single(
        total("j<M", when("i-j≥0", mul(r("A[i,j]"), r("v[j]")))), "i<M", x("A[a<M, b<M]"), x("v[a<M]")
    ),
    "maximum under a guard": single(reduction("max", "j<M", when("i-j≥0", r("v[j]"))), "i<M", x("v[a<M]")),
    "constant maximum": single(reduction("logsumexp", "j<N", r("v[i]")), "i<M", x("v[a<M]")),
    "winner": single(
        ArgMax(ranges("1≤p≤M, q<N"), "p", mul(r("A[p-1,q]"), r("v[i]"))), "i<M", x("A[a<M, b<N]"), x("v[a<M]")
    ),
}


@pytest.mark.parametrize("read", READS)
def test_every_kind_of_read(read: str) -> None:
    check(READS[read], {"M": 3, "N": 4})


def test_an_index_divided_by_its_stride_reads_between_the_elements() -> None:
    adjoint = when(
        "n-p≥0, 2M-2-n+p≥0, 2|n-p", mul(Read("y", (Index(index("n-p").terms, divisor=2),)), r("w[p]"))
    )
    program = Program(
        (eq("x̄", "n<2M+2", total("p<K", adjoint)),),
        (x("y[i<M]"), *w("w[p<K]", written=1), d("x̄[n<2M+2]")),
        ("x̄",),
    )
    check(program, {"M": 4, "K": 3})


@pytest.mark.parametrize("M", [2, 4])
def test_two_equations_may_define_one_name_on_boxes_of_its_own(M: int) -> None:
    program = Program(
        (
            eq("y", "i<M, 0≤j≤0", r("A[i,j]")),
            eq("y", "0≤i≤0, 1≤j≤N-1", mul(Const(2), r("A[i,j]"))),
            eq("y", "1≤i≤M-1, 1≤j≤N-1", add(r("y[i-1,j]"), r("y[i,j-1]"), r("A[i,j]"))),
        ),
        (x("A[a<M, b<N]"), d("y[i<M, j<N]")),
        ("y",),
    )
    check(program, {"M": M, "N": 4})


def test_an_inner_loop_reads_whole_rows_of_the_edge() -> None:
    """The row before is read whole, and its first is not made by the loop."""
    row = total("l<N", r("y[i-1,l]"), r("V[l,j]"))
    program = Program(
        (
            eq("y", "0≤i≤0, 0≤j≤0", r("A[i,j]")),
            eq("y", "0≤i≤0, 1≤j≤N-1", mul(Const(2), r("A[i,j]"))),
            eq("y", "1≤i≤M-1, 0≤j≤0", r("A[i,j]")),
            eq("y", "1≤i≤M-1, 1≤j≤N-1", f("tanh", add(row, r("y[i,j-1]")))),
        ),
        (x("A[a<M, b<N]"), *w("V[l<N, j<N]"), d("y[i<M, j<N]")),
        ("y",),
    )
    check(program, {"M": 3, "N": 4})


# --- guards --------------------------------------------------------------------------------------------


def test_what_a_guard_excludes_is_never_evaluated() -> None:
    inside = f("log", mul(r("v[i-1]"), r("u[i]")))
    program = single(add(r("u[i]"), when("i-1≥0", inside)), "i<N", x("v[a<N]"), x("u[a<N]"))
    given = {"v": torch.rand(4, dtype=torch.float64) + 0.5, "u": torch.rand(4, dtype=torch.float64) + 0.5}
    given["u"][0] = 0  # log 0 where the guard does not hold
    check(program, {"N": 4}, given)
    for tensor in given.values():
        tensor.requires_grad_()
    Runner(program)(given, {"N": 4}, ["y"])["y"].sum().backward()
    assert all(t.grad is not None and t.grad.isfinite().all() for t in given.values())


def test_infinity_outside_a_guard_does_not_enter_a_sum() -> None:
    far = power(minus(r("v[i]"), r("v[j]")), -1)
    program = single(total("j<N", when("i-j-1≥0", mul(far, r("u[j]")))), "i<N", x("v[a<N]"), x("u[a<N]"))
    assert check(program, {"N": 4})["y"].isfinite().all()


def test_a_guard_on_loop_and_other_axes_keeps_what_is_not_there_from_counting() -> None:
    past = total("i<N", when("t-1-i≥0", mul(r("h[t-1]"), r("u[i]"))))
    program = Program(
        (eq("h", "t<T", add(r("x[t]"), past)),), (x("x[t<T]"), x("u[i<N]"), d("h[t<T]")), ("h",)
    )
    check(program, {"T": 4, "N": 3})


def test_a_window_over_the_own_past() -> None:
    past = total("p<N", when("t-1-p≥0", mul(r("h[t-1-p,k]"), r("u[p,k]"))))
    program = Program(
        (eq("h", "t<T, k<H", f("tanh", add(r("x[t,k]"), past))),),
        (x("x[t<T, k<H]"), x("u[p<N, k<H]"), d("h[t<T, k<H]")),
        ("h",),
    )
    check(program, {"T": 5, "N": 3, "H": 2})


def test_second_derivatives_mean_what_they_say() -> None:
    once = normalise(derive(normalise(rnn())))
    check(derive(once), {"T": 3, "D": 2, "H": 2})


def test_a_read_outside_without_a_guard_is_an_error() -> None:
    program = single(r("v[i+1]"), "i<N", x("v[a<N]"))
    with pytest.raises(AssertionError, match="leaves its range"):
        Runner(program)({"v": torch.zeros(3)}, {"N": 3}, ["y"])


# --- running -------------------------------------------------------------------------------------------


def test_a_plan_is_made_once_for_the_same_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    from chalkgrad.kernels.eager import runner as eager

    made: list[object] = []
    stage = eager._stage
    monkeypatch.setattr(eager, "_stage", lambda *a: made.append(a) or stage(*a))
    runner, program = Runner(rnn()), rnn()
    for T in (3, 3, 4, 3):
        numbers = {"T": T, "D": 2, "H": 2}
        runner(some(program, numbers), numbers, ["h"])
    assert len(made) == 2


def test_a_plan_that_is_one_call_binds_its_kernel_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from chalkgrad.kernels.eager import staging

    bound: list[object] = []
    compiled = staging.compiled
    monkeypatch.setattr(staging, "compiled", lambda *a: bound.append(a) or compiled(*a))
    program, numbers = rnn(), {"T": 3, "D": 2, "H": 2}
    Runner(program)(some(program, numbers), numbers, ["h"])
    assert len(bound) == 1


def test_what_is_given_may_be_wanted_beside_what_is_computed() -> None:
    program, numbers = rnn(), {"T": 3, "D": 2, "H": 2}
    given = some(program, numbers)
    found = Runner(program)(given, numbers, ["h", "x"])
    assert torch.equal(found["x"], given["x"])
    assert torch.equal(found["h"], Runner(program)(given, numbers, ["h"])["h"])


@pytest.mark.parametrize("numbers", [{"batch": 0, "T": 3}, {"batch": 2, "T": 0}, {"batch": 1, "T": 1}])
def test_empty_and_single_sizes_are_ordinary(numbers: dict[str, int]) -> None:
    numbers = {**numbers, "D": 2, "H": 3}
    program = batch(rnn())
    check(program, numbers)
    check(derive(normalise(program)), numbers)


def test_values_that_are_known_are_taken_as_they_are() -> None:
    program, numbers = normalise(rnn()), {"T": 3, "D": 2, "H": 2}
    a = torch.full((3, 2), 0.5)
    h0 = torch.zeros(1, 2)
    h = Runner(program)({"h₀": h0}, numbers, ["h"], {"a": a})["h"]
    torch.testing.assert_close(h[1:], torch.tanh(a))


def test_the_dtype_is_that_of_the_tensors() -> None:
    case = CASES["lstm"]
    given = some(case.program, case.numbers)
    single_precision = {k: v.float() for k, v in given.items()}
    exact = Runner(case.program)(given, case.numbers, ["h"])["h"]
    found = Runner(case.program)(single_precision, case.numbers, ["h"])["h"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


def test_a_tensor_of_the_wrong_shape_is_refused() -> None:
    numbers = {"T": 3, "D": 2, "H": 2}
    given = some(rnn(), numbers)
    given["b"] = given["b"][:1]
    with pytest.raises(ValueError, match="b has shape"):
        Runner(rnn())(given, numbers, ["h"])


def test_a_plan_made_in_inference_mode_serves_training() -> None:
    case = CASES["own_past"]
    runner, given = Runner(case.program), some(case.program, case.numbers)
    with torch.inference_mode():
        runner(given, case.numbers, ["h"])
    given["x"].requires_grad_()
    runner(given, case.numbers, ["h"])["h"].sum().backward()
    assert given["x"].grad is not None


@pytest.mark.parametrize("op", [op for op in OPS if op not in ("add", "mul", "pow")])
def test_every_function_is_the_one_its_table_says(op: str) -> None:
    low, high = OPS[op].interval
    values = [torch.linspace(low, high, 13, dtype=torch.float64)] * OPS[op].arity
    if len(values) == 2:
        values[1] = values[1].flip(0)
    plain: Callable[..., float] = FUNCTIONS[op]
    expected = [plain(*(v.item() for v in row)) for row in zip(*values, strict=True)]
    np.testing.assert_allclose(function(op)(*values).numpy(), expected, rtol=1e-13, atol=1e-15)


def test_a_backward_recurrence_starts_at_the_far_end() -> None:
    start = name("g₀[T≤t≤T]", "start", of="g")
    program = Program(
        (
            eq("g", "T≤t≤T", r("g₀[t]")),
            eq("g", "t<T", f("tanh", add(r("x[t]"), mul(Const(0.5), r("g[t+1]"))))),
        ),
        (x("x[t<T]"), start, d("g[0≤t≤T]")),
        ("g",),
    )
    check(program, {"T": 4})
