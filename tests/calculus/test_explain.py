"""How derivations read: the short ones word for word here, the long ones in tests/golden/derive.

``pytest tests/calculus/test_explain.py --update-golden`` writes the golden files anew; the difference is then
for a person to read.
"""

from collections.abc import Callable

import pytest
from tests.programs import CASES

from chalkgrad.calculus.derive import derive
from chalkgrad.calculus.explain import Derivation, explain
from chalkgrad.language.resolve import read


def case(name: str) -> Derivation:
    program = CASES[name].program
    return explain(program, derive(program))


def text(source: str) -> Derivation:
    program = read(source).program
    return explain(program, derive(program))


RNN = """\
∂a[t] = ∂h[t] ⊙ (1 - h[t]²)
∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ  # back-propagation through time
∂x[t] = ∂a[t] W_xᵀ
∂W_x  = Σ[t] x[t]ᵀ ∂a[t]
∂W_h  = Σ[t] h[t-1]ᵀ ∂a[t]
∂b    = Σ[t] ∂a[t]"""


def test_the_rnn_reads_as_in_a_textbook() -> None:
    d = case("rnn")
    assert str(d) == repr(d) == RNN
    assert d.with_definitions() == "where a[t] = x[t] W_x + h[t-1] W_h + b\n" + RNN


def test_the_rnn_in_index_form() -> None:
    expected = """\
∂a[t,k]   = ∂h[t,k] (1 - h[t,k]²)
∂h[t,k]   = ȳ[t,k] + Σ[j] ∂a[t+1,j] W_h[k,j]  # back-propagation through time
∂x[t,d]   = Σ[k] ∂a[t,k] W_x[d,k]
∂W_x[d,k] = Σ[t] x[t,d] ∂a[t,k]
∂W_h[j,k] = Σ[t] h[t-1,j] ∂a[t,k]
∂b[k]     = Σ[t] ∂a[t,k]"""
    assert case("rnn").index_form() == expected
    assert case("rnn").index_form(starts=True) == expected + "\n∂h₀[t,k]  = ∂h[t,k]"


def test_the_rnn_in_latex() -> None:
    d = case("rnn")
    expected = r"""\begin{aligned}
\partial a_{t} &= \partial h_{t} \odot \left(1 - h_{t}^{2}\right) \\
\partial h_{t} &= \bar{y}_{t} + \partial a_{t+1}\,W_{h}^{\top} && \text{(back-propagation through time)} \\
\partial x_{t} &= \partial a_{t}\,W_{x}^{\top} \\
\partial W_{x} &= \sum_{t} x_{t}^{\top}\,\partial a_{t} \\
\partial W_{h} &= \sum_{t} h_{t-1}^{\top}\,\partial a_{t} \\
\partial b &= \sum_{t} \partial a_{t}
\end{aligned}"""
    assert d.latex() == expected
    assert d._repr_latex_() == f"$$\n{expected}\n$$"


def test_column_vectors_turn_the_products_round() -> None:
    d = text("h[t] = tanh(W h[t-1] + U x[t] + b)")
    assert str(d) == (
        "∂a[t] = ∂h[t] ⊙ (1 - h[t]²)\n"
        "∂h[t] = ȳ[t] + Wᵀ ∂a[t+1]  # back-propagation through time\n"
        "∂x[t] = Uᵀ ∂a[t]\n"
        "∂W    = Σ[t] ∂a[t] h[t-1]ᵀ\n"
        "∂U    = Σ[t] ∂a[t] x[t]ᵀ\n"
        "∂b    = Σ[t] ∂a[t]"
    )


def test_the_gradient_of_a_convolution_reads_as_a_convolution() -> None:
    d = text("h[i] = Σ[j] V[j] x[i+j] where x: input")
    assert str(d) == d.index_form() == "∂x[n] = Σ[j] ∂h[n-j] V[j]\n∂V[j] = Σ[i] ∂h[i] x[i+j]"


def test_a_stride_says_where_its_index_is_whole() -> None:
    assert "∂x[n] = Σ[p] [2|n-p] ∂a[(n-p)/2] w[p]" in str(case("strided"))


def test_zeros_outside_an_input_are_said() -> None:
    assert "∂f[a] = Σ[i] [i-a≥0, a-i+N-1≥0] ∂y[i] g[i-a]" in str(case("full_convolution"))


def test_a_read_at_one_point_is_said() -> None:
    assert "∂h[t] = ∂a[t+1] W_hᵀ + [t=T-1] ∂y Vᵀ" in str(case("last_step"))


def test_untimed_matrices_have_no_sigma_and_their_bias_is_in_index_form() -> None:
    assert str(case("mlp")) == (
        "∂a      = ∂H ⊙ H ⊙ (1 - H)\n"
        "∂H      = ∂O W_2ᵀ\n"
        "∂X      = ∂a W_1ᵀ\n"
        "∂W_1    = Xᵀ ∂a\n"
        "∂b_1[k] = Σ[n] ∂a[n,k]\n"
        "∂W_2    = Hᵀ ∂O\n"
        "∂b_2[m] = Σ[n] ∂O[n,m]"
    )


def test_the_square_of_a_matrix_element_by_element_is_not_written_as_a_power() -> None:
    d = text("Y = tanh(X W) where X: input")
    assert "∂a = ∂Y ⊙ (1 - Y ⊙ Y)" in str(d)


def test_a_concatenation_is_read_in_parts_and_differentiated_whole() -> None:
    d = text("f[t] = σ(W_f [h[t-1]; x[t]] + b_f)\nh[t] = tanh(f[t])\nwhere x[t]: D, h[t]: H")
    assert "where a[t] = W_f [h[t-1]; x[t]] + b_f" in d.with_definitions()
    assert "∂h[t] = ȳ[t] + W_f[:,:H]ᵀ ∂a[t+1]" in str(d)
    assert "∂x[t] = W_f[:,H:]ᵀ ∂a[t]" in str(d)
    assert "∂W_f  = Σ[t] ∂a[t] [h[t-1]; x[t]]ᵀ" in str(d)


def test_only_adjoints_that_go_round_the_recurrence_are_remarked() -> None:
    def remarked(d: Derivation) -> set[str]:
        return {line.split("[")[0] for line in str(d).splitlines() if "through time" in line}

    assert remarked(case("lstm")) == {"∂c", "∂h"}
    assert remarked(case("bidirectional")) == {"∂h", "∂g"}
    assert remarked(case("own_past")) == {"∂h"}
    assert remarked(case("conv1d")) == remarked(case("mlp")) == set()
    # A difference reads the next step's gradient, but nothing goes round.
    assert remarked(text("y[t] = x[t] - x[t-1] where x[t]: D")) == set()


def test_the_equations_are_the_adjoints_in_printed_order() -> None:
    targets = [e.target for e in case("rnn").equations]
    assert targets == ["∂a", "∂h", "∂x", "∂W_x", "∂W_h", "∂b", "∂h₀"]


@pytest.mark.parametrize(
    "name",
    ["lstm", "lstm_peepholes", "gru_reset_before", "gru_reset_after", "softmax", "attention_decoder"],
)
def test_long_derivations_read_as_they_did(name: str, pinned: Callable[[str, str], None]) -> None:
    d = case(name)
    pinned(f"derive/{name}.txt", f"{d.with_definitions()}\n\n{d.index_form(starts=True)}\n\n{d.latex()}\n")
