"""LaTeX means what the same equations mean in text form; every page of the notes runs as it was pasted."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from tests.often import often

import chalkgrad
from chalkgrad.language.parse.grammar import parse
from chalkgrad.language.parse.written import written
from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from latex_notation import NOTATION
from latex_operators import OPERATORS
from latex_pages import LATEX
from latex_papers import PAPERS
from layers_of_pages import LONG, flat, float64, function, normal
from pages import PAGES, Page

WRITTEN = {**PAPERS, **OPERATORS, **NOTATION}
READ = ("inputs", "functions")
SLOW = {n for n in LATEX if n in LONG} | {"C4", "C5, three axes", "Olah's LSTM"}


def right(latex: str) -> str:
    """The right side of one equation, as the grammar has read it."""
    return written(parse(latex).lines[-1].right)


# --- the notes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, p in LATEX.items() if p.same])
def test_a_pasted_page_means_what_its_text_form_means(name: str) -> None:
    page = LATEX[name]
    found = read(page.text, **{k: v for k, v in page.keywords.items() if k in READ})
    assert found.program == read(PAGES[page.same].text).program


@pytest.mark.parametrize("name", often(LATEX, seldom=SLOW))
def test_a_pasted_page_has_the_gradients_that_differences_have(name: str) -> None:
    page = LATEX[name]
    call, values = function(Page(page.text, page.keywords, page.inputs), examples=1)
    assert torch.autograd.gradcheck(call, values, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", LATEX)
def test_a_pasted_page_runs_and_is_checked(name: str) -> None:
    page = LATEX[name]
    net = chalkgrad.layer(page.text, **page.keywords)
    found = flat(net(*(torch.randn(2, *shape) for shape in page.inputs)))
    assert all(x.isfinite().all() for x in found)


@pytest.mark.parametrize(
    ("name", "shape"), [("C5", (5,)), ("C5, two axes", (5, 4)), ("C5, three axes", (2, 3, 2))]
)
def test_a_sum_over_all_points_is_the_full_convolution(name: str, shape: tuple[int, ...]) -> None:
    net = float64(LATEX[name].text, **LATEX[name].keywords)
    f, g = net.get_parameter("f").detach().numpy(), normal(*shape, seed=9).numpy()
    full = np.zeros([a + b - 1 for a, b in zip(f.shape, g.shape, strict=True)])
    for a in product(*map(range, f.shape)):
        for b in product(*map(range, g.shape)):
            full[tuple(i + j for i, j in zip(a, b, strict=True))] += f[a] * g[b]
    np.testing.assert_allclose(net(torch.from_numpy(g)).detach(), full, rtol=1e-12, atol=1e-12)


def test_a_kernel_trained_on_true_convolution_converges_to_the_turned_kernel() -> None:
    turned = float64(r"y_i = \sum_p f_p g_{i-p} where g: input", f=3)
    net = float64(r"y_i = \sum_p f_p g_{i+p} where g: input", f=3, seed=1)
    x = normal(10, 12)
    target = turned(x).detach()
    optimiser = torch.optim.LBFGS(
        net.parameters(), tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = (net(x) - target).square().mean()
        value.backward()
        return value

    for _ in range(3):
        optimiser.step(loss)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(net.f, turned.get_parameter("f").flip(0), rtol=0, atol=1e-6)


# --- as it is written elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN)
def test_what_others_write_means_its_text_form(name: str) -> None:
    latex, text, keywords = WRITTEN[name]
    assert read(latex, **keywords).program == read(text, **keywords).program


@pytest.mark.parametrize("name", WRITTEN)
def test_line_ends_and_spaces_change_nothing(name: str) -> None:
    latex, _, keywords = WRITTEN[name]
    changed = "\n\n" + latex.replace("\r\n", "\n").replace("\n", "\r\n") + "  \r\n\r\n"
    assert read(changed, **keywords).program == read(latex, **keywords).program


@pytest.mark.parametrize(
    "name", [n for n in LATEX if "$" not in LATEX[n].text and "where" not in LATEX[n].text]
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("$$\n", "\n$$"),
        ("\\[", "\\]"),
        ("\\begin{align*}\n", "\n\\end{align*}"),
        ("순환 신경망은 다음과 같다.\n\n$$", "$$\n\n여기서 $t$ 는 시점이다 (그림 3)."),
        (
            "The network, with its weights $W$ and the step $t$:\n\\begin{equation}",
            "\\end{equation}\nas in [2].",
        ),
        ("```math\n", "\n```\n"),
    ],
    ids=["$$", "bracket", "align", "Korean", "English", "fence"],
)
def test_what_stands_around_a_page_changes_nothing(name: str, before: str, after: str) -> None:
    page = LATEX[name]
    keywords = {k: v for k, v in page.keywords.items() if k in READ}
    text = page.text.replace("\n", " \\\\ ")
    assert read(before + text + after, **keywords).program == read(page.text, **keywords).program


# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latex", "name"),
    [
        (r"\tilde{c}", "c_tilde"),
        (r"\tilde c", "c_tilde"),
        (r"\hat{y}", "y_hat"),
        (r"\bar{h}", "h_bar"),
        (r"\overline{h}", "h_bar"),
        (r"\widehat{y}", "y_hat"),
        (r"\vec{v}", "v_vec"),
        (r"\overrightarrow{h}", "h_right"),
        (r"W_{xi}", "W_xi"),
        (r"W_{\text{in}}", "W_in"),
        (r"W_\mathrm{rec}", "W_rec"),
        (r"W_X^{(1)}", "W_X_1"),
        (r"\mathbf{W}_{X}^{(1)}", "W_X_1"),
        (r"\boldsymbol{b}^{(2)}", "b_2"),
        (r"W^{[2]}", "W_2"),
        (r"W^*", "W_star"),
        (r"\Gamma_f", "Γ_f"),
        (r"\alpha", "α"),
        (r"\varepsilon", "ε"),
        (r"y'", "y'"),
        (r"y^{\prime}", "y'"),
        (r"\mathcal{X}", "X"),
        (r"\mathbb{W}", "W"),
        (r"\bm{w}", "w"),
        ("𝐖", "W"),
        ("W₁", "W₁"),
        (r"\operatorname{loss}", "loss"),
        (r"{\tilde {c}}", "c_tilde"),
        (r"\tilde{\mathbf{C}}", "C_tilde"),
        (r"\mathbf{\tilde{c}}", "c_tilde"),
        (r"\textcolor{red}{W}", "W"),
        (r"h_{t-1}", "h[t-1]"),
        (r"h^{(t-1)}", "h[t-1]"),
        (r"h^{\langle t-1 \rangle}", "h[t-1]"),
        (r"h^{<t-1>}", "h[t-1]"),
        (r"h^{[t-1]}", "h[t-1]"),
        (r"h_{(t-1)}", "h[t-1]"),
        (r"h_{\left(t-1\right)}", "h[t-1]"),
        (r"h_t^{(2)}", "h_2[t]"),
        (r"W^T", "Wᵀ"),
        (r"W^\top", "Wᵀ"),
        (r"W^{\mathsf{T}}", "Wᵀ"),
        (r"W^\intercal", "Wᵀ"),
        (r"W^{(1)\top}", "W_1ᵀ"),
        (r"x_t^2", "x[t]^2"),
        (r"(x_t)^2", "x[t]^2"),
        (r"x_t^{-1}", "x[t]^(-1)"),
        (r"y^{\prime(t)}", "y'[t]"),
    ],
)  # fmt: skip
def test_a_name_with_its_scripts(latex: str, name: str) -> None:
    assert right(f"$q_t = {latex}$") == name


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"Ux_t + Wh_{t-1}", "(U · x[t]) + (W · h[t-1])"),
        (r"\mathbf{X W}", "X · W"),
        (r"W \cdot x_t", "W · x[t]"),
        (r"2 \times W x_t", "(2 · W) · x[t]"),
        (r"a_t \odot b_t", "a[t] ⊙ b[t]"),
        (r"a_t \circ b_t", "a[t] ⊙ b[t]"),
        (r"\frac{a}{b}", "a / b"),
        (r"\frac12 x_t", "(1 / 2) · x[t]"),
        (r"\dfrac{a}{b} c_t", "(a / b) · c[t]"),
        (r"\sqrt{D}", "sqrt(D)"),
        (r"\sqrt[3]{D}", "D^(1 / 3)"),
        (r"e^{-x_t}", "exp(-x[t])"),
        (r"|x_t|", "abs(x[t])"),
        (r"\lVert x_t \rVert^2", "norm(x[t])^2"),
        (r"\|x_t\|_2", "norm(x[t])"),
        (r"\tanh x_t", "tanh(x[t])"),
        (r"\tanh\left(\left(x_t\right)\right)", "tanh(x[t])"),
        (r"\mathrm{ReLU}\bigl(x_t\bigr)", "relu(x[t])"),
        (r"\max\{0, x_t\}", "max(0, x[t])"),
        (r"softmax(x_t)", "softmax(x[t])"),
        (r"W softmax(x_t)", "W · softmax(x[t])"),
        (r"Wsoftmax(x_t)", "W · softmax(x[t])"),
        (r"h_{t}(1 - z_t)", "h[t] · (1 - z[t])"),
        (r"[h_{t-1}, x_t]", "[h[t-1]; x[t]]"),
        (r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix}", "[h[t-1]; x[t]]"),
        (r"\left[\begin{array}{c} h_{t-1} \\ x_t \end{array}\right]", "[h[t-1]; x[t]]"),
        (r"\begin{pmatrix} 1 & -2 \\ 3 & 4 \end{pmatrix} x_t", "[[1; -2]; [3; 4]] · x[t]"),
        (r"\sum_{j=1}^{k} a_j", "Σ[1≤j≤k] a[j]"),
        (r"\sum\nolimits_{0 \le j < 3} a_j", "Σ[0≤j≤3-1] a[j]"),
        (r"\sum_{k=-\infty}^{\infty} a_k", "Σ[k∈ℤ] a[k]"),
        (r"\underbrace{a_t + b}_{\text{new}}", "a[t] + b"),
        (r"x_t \, W \; V \! U", "((x[t] · W) · V) · U"),
        (r"\color{red} x_t \hspace{1cm}", "x[t]"),
        (r"x_t % the input", "x[t]"),
        ("𝟏𝟎 x_t", "10 · x[t]"),
    ],
)
def test_an_expression(latex: str, text: str) -> None:
    assert right(f"$q_t = {latex}$" if "%" not in latex else f"q_t = {latex}\n") == text


def test_numbers_of_equations_and_ranges_of_steps_are_left_out() -> None:
    text = r"h_t = W x_t \tag{3.2} \qquad t = 1, \ldots, T \\ y_t = V h_t \label{y} \qquad (4)"
    assert [written(line.left) for line in parse(text).lines] == ["h[t]", "y[t]"]


def test_shapes_are_said_in_latex_too() -> None:
    said = r"x_t \in \mathbb{R}^{D}, h_t \in \R^H, W, V \in R^{H \times D}"
    for text in (f"h_t = W x_t + V x_t, {said}", f"h_t = W x_t + V x_t where {said}"):
        assert (
            read(text).program
            == read("h[t] = W x[t] + V x[t] where x[t]: D, h[t]: H, W: H×D, V: H×D").program
        )


def test_an_asterisk_between_vectors_is_element_by_element_with_a_warning() -> None:
    found = read(r"h_t = f_t * h_{t-1} + x_t \\ f_t = \sigma(W x_t)")
    assert found.program == read("h[t] = f[t] ⊙ h[t-1] + x[t]\nf[t] = σ(W x[t])").program
    assert found.warnings == ("`*` between vectors was read as ⊙, element by element",)


def test_a_name_before_a_bracket_that_may_be_a_function_is_warned_of() -> None:
    found = read(r"h_t = \tanh(W x_t + U h_{t-1}) \\ y_t = g_y(V h_t)")
    assert found.warnings == (
        "`g_y(…)` was read as a product of two vectors; a function is declared: where g_y = tanh",
    )


def test_a_chain_of_equalities_is_checked_in_numbers() -> None:
    net = chalkgrad.layer(r"[f * g](i)=\sum_{a} f(a) g(i+a)=\sum_{a} g(i+a) f(a)", inputs="g", f=3)
    assert net(torch.randn(2, 7)).shape == (2, 5)
    with pytest.raises(EquationError):
        chalkgrad.check(r"[f * g](i)=\sum_{a} f(a) g(i+a)=\sum_{a} f(a) g(i-a)", inputs="g")
