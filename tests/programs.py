"""Layers built by hand as programs, with sizes to try them at: what the passes and backends are tested on."""

from __future__ import annotations

from dataclasses import dataclass

from chalkgrad.equations.ir import (
    At,
    Const,
    Equation,
    Expr,
    Name,
    Program,
    Range,
    Reduce,
    State,
)
from chalkgrad.equations.ops import add, divide, minus, mul
from shorthand import affine, d, eq, f, gate, index, r, ranges, reduction, state, total, w, when, x


@dataclass(frozen=True)
class Case:
    """A program and the sizes at which to try it."""

    program: Program
    numbers: dict[str, int]


# --- recurrent layers ----------------------------------------------------------------------------------


def rnn() -> Program:
    """``h[t] = tanh(x[t] W_x + h[t-1] W_h + b)``."""
    return Program(
        (
            eq("h", "-1≤t≤-1, k<H", r("h₀[t,k]")),
            eq(
                "h",
                "0≤t≤T-1, k<H",
                f(
                    "tanh",
                    add(
                        total("d<D", r("x[t,d]"), r("W_x[d,k]")),
                        total("j<H", r("h[t-1,j]"), r("W_h[j,k]")),
                        r("b[k]"),
                    ),
                ),
            ),
        ),
        (
            x("x[t<T, d<D]", 1),
            *w("W_x[d<D, k<H]", "W_h[j<H, k<H]", "b[k<H]"),
            *state("h", "-1≤t≤T-1", "-1≤t≤-1, k<H"),
        ),
        ("h",),
        (State("h", 0, 1, True, "h₀"),),
    )


def _gated(equations: tuple[Equation, ...], gates: str, more: tuple[Name, ...] = ()) -> Program:
    weights = [n for g in gates for n in (f"W_x{g}[d<D, k<H]", f"W_h{g}[j<H, k<H]", f"b_{g}[k<H]")]
    states = [s for s in "ch" if any(e.target == s for e in equations)]
    starts = tuple(eq(s, "-1≤t≤-1, k<H", r(f"{s}₀[t,k]")) for s in states)
    targets = dict.fromkeys(e.target for e in equations)
    return Program(
        (*starts, *equations),
        (
            x("x[t<T, d<D]", 1),
            *w(*weights),
            *more,
            *(d(f"{g}[t<T, k<H]", 1) for g in targets if g not in states),
            *(n for s in states for n in state(s, "-1≤t≤T-1", "-1≤t≤-1, k<H")),
        ),
        ("h",),
        tuple(State(s, 0, 1, True, f"{s}₀") for s in states),
    )


def lstm() -> Program:
    at = "0≤t≤T-1, k<H"
    return _gated(
        (
            *(eq(g, "t<T, k<H", gate("tanh" if g == "g" else "sigmoid", g)) for g in "ifgo"),
            eq("c", at, add(mul(r("f[t,k]"), r("c[t-1,k]")), mul(r("i[t,k]"), r("g[t,k]")))),
            eq("h", at, mul(r("o[t,k]"), f("tanh", r("c[t,k]")))),
        ),
        "ifgo",
    )


def lstm_peepholes() -> Program:
    at = "0≤t≤T-1, k<H"

    def peep(g: str, c: str) -> Expr:
        return gate("sigmoid", g, mul(r(f"W_c{g}[k]"), r(c)))

    return _gated(
        (
            eq("i", "t<T, k<H", peep("i", "c[t-1,k]")),
            eq("f", "t<T, k<H", peep("f", "c[t-1,k]")),
            eq("g", "t<T, k<H", gate("tanh", "g")),
            eq("c", at, add(mul(r("f[t,k]"), r("c[t-1,k]")), mul(r("i[t,k]"), r("g[t,k]")))),
            eq("o", "t<T, k<H", peep("o", "c[t,k]")),
            eq("h", at, mul(r("o[t,k]"), f("tanh", r("c[t,k]")))),
        ),
        "ifgo",
        w("W_ci[k<H]", "W_cf[k<H]", "W_co[k<H]"),
    )


def _gru(candidate: Expr, more: tuple[Name, ...] = ()) -> Program:
    at = "0≤t≤T-1, k<H"
    one_less = minus(Const(1), r("z[t,k]"))
    return _gated(
        (
            eq("z", "t<T, k<H", gate("sigmoid", "z")),
            eq("r", "t<T, k<H", gate("sigmoid", "r")),
            eq("n", "t<T, k<H", candidate),
            eq("h", at, add(mul(one_less, r("h[t-1,k]")), mul(r("z[t,k]"), r("n[t,k]")))),
        ),
        "zrn",
        more,
    )


def gru_reset_before() -> Program:
    """``n[t] = tanh(x[t] W_xn + (r[t] ⊙ h[t-1]) W_hn + b_n)``."""
    wx, _ = affine("n", "k")
    reset = total("j<H", r("r[t,j]"), r("h[t-1,j]"), r("W_hn[j,k]"))
    return _gru(f("tanh", add(wx, reset, r("b_n[k]"))))


def gru_reset_after() -> Program:
    """``n[t] = tanh(x[t] W_xn + b_n + r[t] ⊙ (h[t-1] W_hn + b_u))``."""
    wx, wh = affine("n", "k")
    return _gru(f("tanh", add(wx, r("b_n[k]"), mul(r("r[t,k]"), add(wh, r("b_u[k]"))))), w("b_u[k<H]"))


def bidirectional() -> Program:
    """``h[t]`` from ``h[t-1]``, ``g[t]`` from ``g[t+1]``, ``y[t] = h[t] V + g[t] U + c``."""
    forward = add(*affine("f", "k"), r("b_f[k]"))
    backward = add(*affine("b", "k", h_at="t+1", h="g"), r("b_b[k]"))
    return Program(
        (
            eq("h", "-1≤t≤-1, k<H", r("h₀[t,k]")),
            eq("h", "0≤t≤T-1, k<H", f("tanh", forward)),
            eq("g", "T≤t≤T, k<H", r("g₀[t,k]")),
            eq("g", "0≤t≤T-1, k<H", f("tanh", backward)),
            eq(
                "y",
                "t<T, m<M",
                add(
                    total("k<H", r("h[t,k]"), r("V[k,m]")),
                    total("k<H", r("g[t,k]"), r("U[k,m]")),
                    r("c[m]"),
                ),
            ),
        ),
        (
            x("x[t<T, d<D]", 1),
            *w("W_xf[d<D, k<H]", "W_hf[j<H, k<H]", "b_f[k<H]"),
            *w("W_xb[d<D, k<H]", "W_hb[j<H, k<H]", "b_b[k<H]"),
            *w("V[k<H, m<M]", "U[k<H, m<M]", "c[m<M]"),
            *state("h", "-1≤t≤T-1", "-1≤t≤-1, k<H"),
            *state("g", "0≤t≤T", "T≤t≤T, k<H"),
            d("y[t<T, m<M]", 1),
        ),
        ("y",),
        (State("h", 0, 1, True, "h₀"), State("g", 0, 1, False, "g₀")),
    )


def depth_two() -> Program:
    """``h[t] = tanh(x[t] + u ⊙ h[t-1] + v ⊙ h[t-2])``."""
    value = add(r("x[t,k]"), mul(r("u[k]"), r("h[t-1,k]")), mul(r("v[k]"), r("h[t-2,k]")))
    return Program(
        (eq("h", "-2≤t≤-1, k<H", r("h₀[t,k]")), eq("h", "0≤t≤T-1, k<H", f("tanh", value))),
        (
            x("x[t<T, k<H]", 1),
            *w("u[k<H]", "v[k<H]"),
            *state("h", "-2≤t≤T-1", "-2≤t≤-1, k<H"),
        ),
        ("h",),
        (State("h", 0, 2, True, "h₀"),),
    )


def forgetting() -> Program:
    """``c[t] = f[t] c[t-1] + x[t]``: the gradient of c must not read f[T]."""
    return Program(
        (
            eq("c", "-1≤t≤-1", r("c₀[t]")),
            eq("c", "0≤t≤T-1", add(mul(r("f[t]"), r("c[t-1]")), r("x[t]"))),
        ),
        (x("f[t<T]"), x("x[t<T]"), *state("c", "-1≤t≤T-1", "-1≤t≤-1")),
        ("c",),
        (State("c", 0, 1, True, "c₀"),),
    )


def last_step() -> Program:
    """An RNN whose last step is read: ``y = h[T-1] V + c``."""
    base = rnn()
    return Program(
        (*base.equations, eq("y", "m<M", add(total("k<H", r("h[T-1,k]"), r("V[k,m]")), r("c[m]")))),
        (*base.names, *w("V[k<H, m<M]", "c[m<M]"), d("y[m<M]", 0)),
        ("y",),
        base.states,
    )


def recurrence_2d() -> Program:
    """``h[i,j] = tanh(x[i,j] + h[i-1,j] U + h[i,j-1] V)``, zero before both edges."""
    value = add(
        r("x[i,j,k]"),
        when("i-1≥0", total("l<H", r("h[i-1,j,l]"), r("U[l,k]"))),
        when("j-1≥0", total("l<H", r("h[i,j-1,l]"), r("V[l,k]"))),
    )
    return Program(
        (eq("h", "i<M, j<N, k<H", f("tanh", value)),),
        (x("x[i<M, j<N, k<H]", 2), *w("U[l<H, k<H]", "V[l<H, k<H]"), d("h[i<M, j<N, k<H]", 2)),
        ("h",),
    )


def own_past() -> Program:
    """``h[t] = tanh(x[t] + Σ[s<t] α[t-s-1] h[s])``: a sum over the whole past, guarded."""
    past = total("s<T", when("t-s-1≥0", mul(r("α[t-s-1]"), r("h[s]"))))
    return Program(
        (eq("h", "t<T", f("tanh", add(r("x[t]"), past))),),
        (x("x[t<T]"), *w("α[a<T]", written=1), d("h[t<T]")),
        ("h",),
    )


# --- feed-forward --------------------------------------------------------------------------------------


def mlp() -> Program:
    """``O = H W_2 + b_2`` with ``H = σ(X W_1 + b_1)``."""
    return Program(
        (
            eq("O", "n<N, m<M", add(total("k<H", r("H[n,k]"), r("W_2[k,m]")), r("b_2[m]"))),
            eq("H", "n<N, k<H", f("sigmoid", add(total("d<D", r("X[n,d]"), r("W_1[d,k]")), r("b_1[k]")))),
        ),
        (
            x("X[n<N, d<D]", 0),
            *w("W_1[d<D, k<H]", "b_1[k<H]", "W_2[k<H, m<M]", "b_2[m<M]"),
            d("H[n<N, k<H]", 0),
            d("O[n<N, m<M]", 0),
        ),
        ("O",),
    )


def softmax() -> Program:
    """``y[i] = softmax(x[i] W)``; the reduction binds the axis that the equation also runs over."""
    return Program(
        (
            eq("e", "i<N, j<M", total("d<D", r("x[i,d]"), r("W[d,j]"))),
            eq("y", "i<N, j<M", f("exp", minus(r("e[i,j]"), reduction("logsumexp", "j<M", r("e[i,j]"))))),
        ),
        (x("x[i<N, d<D]", 1), *w("W[d<D, j<M]"), d("e[i<N, j<M]", 1), d("y[i<N, j<M]", 1)),
        ("y",),
    )


def self_attention() -> Program:
    """``A[i,j] = softmax_j(Σ[d] Q[i,d] K[j,d] / √D)``, ``O[i,d] = Σ[j] A[i,j] V[j,d]``."""
    score = divide(total("d<D", r("Q[i,d]"), r("K[j,d]")), f("sqrt", At(index("D"))))
    return Program(
        (
            eq("A", "i<N, j<M", f("exp", minus(score, Reduce("logsumexp", ranges("j<M"), score)))),
            eq("O", "i<N, d<E", total("j<M", r("A[i,j]"), r("V[j,d]"))),
        ),
        (x("Q[i<N, d<D]"), x("K[j<M, d<D]"), x("V[j<M, d<E]"), d("A[i<N, j<M]"), d("O[i<N, d<E]")),
        ("O",),
    )


def attention_decoder() -> Program:
    """Additive attention in a recurrence: ``e[t,s] = v·tanh(z[t-1] W + h[s] U)``, then ``z[t]`` from c[t]."""
    query = total("j<H", r("z[t-1,j]"), r("W[j,k]"))
    key = total("d<D", r("h[s,d]"), r("U[d,k]"))
    return Program(
        (
            eq("z", "-1≤t≤-1, k<H", r("z₀[t,k]")),
            eq("e", "t<T, s<S", total("k<H", r("v[k]"), f("tanh", add(query, key)))),
            eq("α", "t<T, s<S", f("exp", minus(r("e[t,s]"), reduction("logsumexp", "s<S", r("e[t,s]"))))),
            eq("c", "t<T, d<D", total("s<S", r("α[t,s]"), r("h[s,d]"))),
            eq(
                "z",
                "0≤t≤T-1, k<H",
                f(
                    "tanh",
                    add(
                        r("x[t,k]"),
                        total("d<D", r("c[t,d]"), r("C[d,k]")),
                        total("j<H", r("z[t-1,j]"), r("R[j,k]")),
                    ),
                ),
            ),
        ),
        (
            x("x[t<T, k<H]", 1),
            x("h[s<S, d<D]", 1),
            *w("W[j<H, k<H]", "U[d<D, k<H]", "v[k<H]", "C[d<D, k<H]", "R[j<H, k<H]"),
            d("e[t<T, s<S]"),
            d("α[t<T, s<S]"),
            d("c[t<T, d<D]", 1),
            *state("z", "-1≤t≤T-1", "-1≤t≤-1, k<H"),
        ),
        ("z",),
        (State("z", 0, 1, True, "z₀"),),
    )


# --- convolution ---------------------------------------------------------------------------------------


def conv1d() -> Program:
    """``y[i] = Σ[j] V[j] x[i+j]``."""
    return Program(
        (eq("y", "i<N-K+1", total("j<K", r("V[j]"), r("x[i+j]"))),),
        (x("x[n<N]"), *w("V[j<K]", written=1), d("y[i<N-K+1]")),
        ("y",),
    )


def conv1d_from_one() -> Program:
    """``y[i] = σ(Σ[j=1..K] V[j] x[i+j-1])`` with every index from one."""
    return Program(
        (eq("y", "1≤i≤N-K+1", f("sigmoid", total("1≤j≤K", r("V[j]"), r("x[i+j-1]")))),),
        (x("x[1≤n≤N]"), *w("V[1≤j≤K]", written=1), d("y[1≤i≤N-K+1]")),
        ("y",),
    )


def conv2d() -> Program:
    """``y[k,i,j] = relu(Σ[c,p,q] w[k,c,p,q] x[c,i+p,j+q] + b[k])``."""
    product = total("c<C, p<P, q<Q", r("w[k,c,p,q]"), r("x[c,i+p,j+q]"))
    return Program(
        (eq("y", "k<K, i<M-P+1, j<N-Q+1", f("relu", add(product, r("b[k]")))),),
        (
            x("x[c<C, m<M, n<N]"),
            *w("w[k<K, c<C, p<P, q<Q]", "b[k<K]", written=4),
            d("y[k<K, i<M-P+1, j<N-Q+1]"),
        ),
        ("y",),
    )


def _strided(stride: int, dilation: int) -> Program:
    """``y[i] = Σ[p] w[p] x[stride·i + dilation·p] + b``."""
    reach = (index("N") - index("P") * dilation + (dilation - 1)).shift
    long = Range("i", reach.floordiv(stride) + 1)
    product = total("p<P", r("w[p]"), r(f"x[{stride}i+{dilation}p]"))
    return Program(
        (Equation("y", (long,), f("tanh", add(product, r("b")))),),
        (x("x[n<N]"), *w("w[p<P]", "b", written=1), Name("y", "defined", (long,), 1)),
        ("y",),
    )


def strided() -> Program:
    return _strided(2, 1)


def dilated() -> Program:
    return _strided(1, 2)


def strided_and_dilated() -> Program:
    return _strided(2, 3)


def full_convolution() -> Program:
    """``y[i] = Σ[a] f[a] g[i-a]`` with g zero outside: output N+K-1."""
    return Program(
        (
            eq(
                "y",
                "i<N+K-1",
                total("a<K", when("i-a≥0, N-1-i+a≥0", mul(r("f[a]"), r("g[i-a]")))),
            ),
        ),
        (*w("f[a<K]", written=1), x("g[n<N]"), d("y[i<N+K-1]")),
        ("y",),
    )


def max_pooling() -> Program:
    """``y[c,i,j] = max[p<2,q<3] x[c,i+p,2j+q]``: overlapping windows."""
    wide = Range("j", index("N-3").shift.floordiv(2) + 1)
    over = (*ranges("c<C, i<M-1"), wide)
    return Program(
        (Equation("y", over, reduction("max", "p<2, q<3", r("x[c,i+p,2j+q]"))),),
        (x("x[c<C, m<M, n<N]"), Name("y", "defined", over, 3)),
        ("y",),
    )


def layer_norm() -> Program:
    """``y[t] = (x[t] - mean) / √(var + ε) ⊙ g + b``, written out."""
    size = At(index("D"))
    mean = divide(total("e<D", r("x[t,e]")), size)
    variance = divide(total("e<D", f("pow", minus(r("x[t,e]"), r("μ[t]")), Const(2))), size)
    centred = minus(r("x[t,d]"), r("μ[t]"))
    scale = f("pow", f("sqrt", add(r("v[t]"), Const(1e-2))), Const(-1))
    return Program(
        (
            eq("μ", "t<T", mean),
            eq("v", "t<T", variance),
            eq("y", "t<T, d<D", add(mul(centred, scale, r("g[d]")), r("b[d]"))),
        ),
        (x("x[t<T, d<D]", 1), *w("g[d<D]", "b[d<D]"), d("μ[t<T]"), d("v[t<T]"), d("y[t<T, d<D]", 1)),
        ("y",),
    )


_TIMED = {"T": 3, "D": 2, "H": 3, "M": 2}

CASES: dict[str, Case] = {
    "rnn": Case(rnn(), _TIMED),
    "lstm": Case(lstm(), {"T": 3, "D": 2, "H": 2}),
    "lstm_peepholes": Case(lstm_peepholes(), {"T": 2, "D": 2, "H": 2}),
    "gru_reset_before": Case(gru_reset_before(), {"T": 3, "D": 2, "H": 2}),
    "gru_reset_after": Case(gru_reset_after(), {"T": 3, "D": 2, "H": 2}),
    "bidirectional": Case(bidirectional(), {"T": 3, "D": 2, "H": 2, "M": 2}),
    "depth_two": Case(depth_two(), {"T": 4, "H": 2}),
    "forgetting": Case(forgetting(), {"T": 4}),
    "last_step": Case(last_step(), _TIMED),
    "recurrence_2d": Case(recurrence_2d(), {"M": 2, "N": 3, "H": 2}),
    "own_past": Case(own_past(), {"T": 4}),
    "mlp": Case(mlp(), {"N": 2, "D": 3, "H": 2, "M": 2}),
    "softmax": Case(softmax(), {"N": 2, "D": 2, "M": 3}),
    "self_attention": Case(self_attention(), {"N": 2, "M": 3, "D": 2, "E": 2}),
    "attention_decoder": Case(attention_decoder(), {"T": 2, "S": 3, "D": 2, "H": 2}),
    "layer_norm": Case(layer_norm(), {"T": 2, "D": 3}),
    "conv1d": Case(conv1d(), {"N": 7, "K": 3}),
    "conv1d_from_one": Case(conv1d_from_one(), {"N": 6, "K": 3}),
    "conv2d": Case(conv2d(), {"C": 2, "M": 4, "N": 5, "K": 2, "P": 2, "Q": 3}),
    "strided": Case(strided(), {"N": 8, "P": 3}),
    "dilated": Case(dilated(), {"N": 8, "P": 3}),
    "strided_and_dilated": Case(strided_and_dilated(), {"N": 12, "P": 3}),
    "full_convolution": Case(full_convolution(), {"N": 5, "K": 3}),
    "max_pooling": Case(max_pooling(), {"C": 2, "M": 3, "N": 6}),
}
