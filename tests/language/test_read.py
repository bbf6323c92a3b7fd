"""What a page means: roles, ranks, ranges and index form, whatever way it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import chalkgrad
from chalkgrad.equations.show import show
from chalkgrad.equations.verify import written
from chalkgrad.language.resolve import read
from pages import PAGES

RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


def meaning(text: str) -> str:
    """Roles with their axes, equations in index form, states, outputs and warnings."""
    resolved = read(text)
    program = resolved.program
    lines = [f"{n.role:<9} {n.name}[{', '.join(map(str, n.ranges))}]" for n in program.names]
    lines += [written(e) for e in program.equations]
    lines += [
        f"state     {s.name} along {program[s.name].ranges[s.position].axis}, "
        f"{s.depth} {'back' if s.forward else 'ahead'}"
        for s in program.states
    ]
    lines.append(f"output    {', '.join(program.outputs)}")
    return "\n".join([*lines, *(f"warning   {w}" for w in resolved.warnings)])


def test_every_page_means_what_is_pinned(pinned: Callable[[str, str], None]) -> None:
    found = "\n\n".join(f"# {name}\n{p.text}\n---\n{meaning(p.text)}" for name, p in PAGES.items()) + "\n"
    pinned("read/pages.txt", found)


@pytest.mark.parametrize(
    ("text", "ascii"),
    [
        ("h[t] = σ(x[t] W_x + h[t-1] W_h + b)", "h[t] = sigmoid(x[t] @ W_x + h[t-1] @ W_h + b)"),
        ("h[t] = τ(W h[t-1] + U x[t] + b) where τ = tanh", "h[t] = tanh(W @ h[t-1] + U @ x[t] + b)"),
        ("y[i] = σ(Σ[j] V[j] x[i+j])\nwhere x: input", "y[i] = σ(sum[j] V[j] * x[i+j])\nwhere x: input"),
        ("c[t] = x[t] W\nh[t] = σ(c[t]) ⊙ tanh(c[t])", "c[t] = x[t] @ W\nh[t] = sigmoid(c[t]) * tanh(c[t])"),
        ("h[t] = σ(W [h[t-1]; x[t]] + b)", "h[t] = sigmoid(W @ [h[t-1], x[t]] + b)"),
        ("y[i,j] = Σ[p,q] f[p,q] x[i+p,j+q] where x: input", "y(i,j)=Σ[p,q] f(p,q) x(i+p,j+q) where x:input"),
        ("y[i] = Σ[1≤j≤3] V[j] x[i+j] where x: input", "y[i] = sum[1<=j<=3] V[j] x[i+j] where x: input"),
        ("y = W x² where x: input D", "y = W x**2 where x: input D"),
        ("y = x Wᵀ where x: input, W: H×D", "y = x W^T where x: input, W: H×D"),
        ("h[t] = x[t] W where W: D×H", "h[t] = x[t] W where W: D*H"),
        ("h[t] = x[t] 𝐖", "h[t] = x[t] W"),
    ],
)  # fmt: skip
def test_both_ways_of_writing_mean_one_program(text: str, ascii: str) -> None:
    assert read(text).program == read(ascii).program


def outputs(
    text: str, inputs: tuple[torch.Tensor, ...], values: float = 0.3, **sizes: object
) -> torch.Tensor:
    """The first output with parameters that are set from their own names and places."""
    net = chalkgrad.layer(text, **sizes)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(torch.linspace(-1, 1, p.numel()).reshape(p.shape) * values + len(name) / 10)
    found = net(*inputs)
    return found[0] if isinstance(found, tuple) else found


def test_a_sum_from_one_and_a_sum_from_zero_are_the_same_layer(rng: torch.Generator) -> None:
    x = torch.randn(2, 9, generator=rng)
    one = outputs("h[i] = Σ[j=1..k] V[j] x[i+j-1] where x: input", (x,), k=3)
    zero = outputs("h[i] = Σ[j=0..k-1] V[j] x[i+j] where x: input", (x,), k=3)
    bare = outputs("h[i] = Σ[j] V[j] x[i+j] where x: input", (x,), V=3)
    torch.testing.assert_close(one, zero, rtol=0, atol=0)
    torch.testing.assert_close(one, bare, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["G1", "G2", "G3 before", "R3", "C10"])
def test_the_order_on_the_page_does_not_matter(name: str, rng: torch.Generator) -> None:
    page = PAGES[name]
    equations, _, where = page.text.partition("where")
    turned = "\n".join(reversed(equations.strip().split("\n"))) + (f"\nwhere{where}" if where else "")
    assert turned != page.text
    inputs = tuple(torch.randn(2, *s, generator=rng) for s in page.inputs)
    there, back = outputs(page.text, inputs, **page.sizes), outputs(turned, inputs, **page.sizes)
    torch.testing.assert_close(there, back, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "sizes", "shape", "result"),
    [
        ("y[i] = Σ[j] w[j] x[i+j] where x: input", {"w": 3}, (9,), (7,)),
        ("y[i] = Σ[j] w[j] x[i+j-1] where x: input", {"w": 3}, (9,), (7,)),
        ("y[i] = Σ[p] w[p] x[2i+p] where x: input", {"w": 3}, (9,), (4,)),
        ("y[i] = Σ[p] w[p] x[2i+p] where x: input", {"w": 3}, (8,), (3,)),
        ("y[i] = Σ[p] w[p] x[i+2p] where x: input", {"w": 3}, (9,), (5,)),
        ("y[i] = Σ[p] w[p] x[2i+3p] where x: input", {"w": 2}, (9,), (3,)),
        ("y[i] = Σ[p] w[p] x[i+p] where x: input N zero outside ±1", {"w": 3}, (9,), (9,)),
        ("y[i] = Σ[p] w[p] x[2i+p-1] where x: input N zero outside ±1", {"w": 3}, (9,), (5,)),
        ("y[i] = Σ[a∈ℤ] f(a) g(i-a) where g: input", {"f": 3}, (9,), (11,)),
        ("y[i] = Σ[p<3] w[p] x[i-p] where x: input N zero outside", {}, (9,), (9,)),
        ("y[i] = x[i] + x[i-1] where x: input", {}, (9,), (8,)),
        ("y[i] = x[i+1] - 2 x[i] + x[i-1] where x: input", {}, (9,), (7,)),
        ("y[t] = x[t] - x[t-1] where x[t]: scalar", {}, (9,), (8,)),
    ],
)
def test_an_index_runs_as_far_as_every_read_is_inside(
    text: str, sizes: dict[str, int], shape: tuple[int, ...], result: tuple[int, ...]
) -> None:
    net = chalkgrad.layer(text, **sizes)
    assert net(torch.zeros(2, *shape)).shape == (2, *result)


def test_declared_sizes_keep_their_names() -> None:
    program = read(f"{RNN}\nwhere x[t]: D, h[t]: H").program
    assert {str(r.size) for n in program.given("parameter") for r in n.ranges} == {"D", "H"}
    assert [str(r.size) for r in program["x"].ranges] == ["T", "D"]


@pytest.mark.parametrize(
    ("text", "where", "name", "shape"),
    [
        ("M[t,i,j] = M[t-1,i,j] + a[t,i] b[t,j]", "M[t]: 3×4", "M", ["3", "4"]),
        ("M[t,i,j] = M[t-1,i,j] + a[t,i] b[t,j]", "M: 3×4", "M", ["3", "4"]),
        ("M[t,i,j] = M[t-1,i,j] + a[t,i] b[t,j]", "M[t,i]: 4, a[t]: 3", "M", ["3", "4"]),
        ("M[t,i] = M[t-1,i] U + a[t,i] b[t]", "M[t]: 3×4", "M", ["3", "4"]),
        ("h[t,i] = tanh(h[t-1,i] + x[t,i])", "h[t]: 3", "h", ["3"]),
        ("h[t,i] = tanh(x[t,i] + Σ[j] U[i,j] h[t-1,j])", "h[t]: 3", "U", ["3", "3"]),
        ("y[t] = o[t] ⊙ o[t]\no[t,j] = Σ[i] x[t,i] W[i,j]", "o[t]: 4, x[t]: 3", "W", ["3", "4"]),
    ],
)
def test_a_shape_begins_where_its_brackets_end_whatever_indices_the_equation_has(
    text: str, where: str, name: str, shape: list[str]
) -> None:
    program = read(f"{text}\nwhere {where}").program
    assert [str(r.size) for r in program[name].ranges if r.axis != "t"] == shape


def test_a_concatenation_adds_sizes() -> None:
    program = read("h[t] = tanh(W [h[t-1]; x[t]] + b) where x[t]: D, h[t]: H").program
    assert [str(r.size) for r in program["W"].ranges] == ["H", "H + D"]


@pytest.mark.parametrize("text", ["y = W b + W' x where x: input", "y = W' x + W b where x: input"])
def test_a_prime_after_a_matrix_is_its_transpose_wherever_the_matrix_stands(text: str) -> None:
    program = read(text).program
    assert [n.name for n in program.given("parameter") if n.name.startswith("W")] == ["W"]


def test_a_prime_after_a_vector_belongs_to_its_name() -> None:
    assert read("y'[t] = tanh(x[t] W)").program.outputs == ("y'",)


@pytest.mark.parametrize(
    ("text", "rank"),
    [
        ("y = aᵀ b + sum(x V) where x: input, b: input", 2),  # rows (x V): outer
        ("y = aᵀ b + sum(V x) where x: input, b: input", 0),  # columns (V x): dot
    ],
)
def test_a_vector_transposed_times_a_vector_follows_the_orientation_of_the_page(text: str, rank: int) -> None:
    program = read(text).program
    assert len(program["y"].ranges) == rank


def test_gates_written_without_their_step_run_with_it() -> None:
    program = read(PAGES["G1"].text).program
    assert {r.axis for n in "fgio" for r in program[n].ranges[:1]} == {"t"}


def test_a_definition_that_reaches_no_output_is_warned_of() -> None:
    assert read(PAGES["G1v"].text).warnings == (
        "g and i never reach the output h; did you mean to read them in `c[t] = f ⊙ c[t-1]`?",
        "W_xg, W_hg, b_g, W_xi, W_hi and b_i are no parameters of this layer: "
        "nothing that reaches the output reads them",
    )


def test_a_layer_says_its_warnings_when_it_is_made() -> None:
    with pytest.warns(chalkgrad.EquationWarning, match="g and i never reach the output h"):
        chalkgrad.layer(PAGES["G1v"].text, **PAGES["G1v"].sizes)


def test_a_parameter_that_is_declared_and_read_nowhere_is_warned_of() -> None:
    text = "h[t] = tanh(x[t] W_x + h[t-1] W_h) where W_hh: H×H"
    assert read(text).warnings == ("W_hh is declared and read nowhere; did you mean W_h?",)


def test_names_that_differ_only_in_case_are_warned_of() -> None:
    text = "h[t] = tanh(x[t] W_x + h[t-1] W_X)"
    assert read(text).warnings == ("W_x and W_X differ only in case or accent",)


@pytest.mark.parametrize(
    "page",
    [
        "h[t,i] = tanh(Σ[p] w[p] h[t-1,i+p-1] + x[t,i]) where h: zero outside ±1, w: 3",
        "h[t,i] = tanh(Σ[-1≤p≤1] w[p] h[t-1,i+p] + x[t,i]) where h: zero outside ±1",
        "h[t,i] = tanh(Σ[p] w[p] h[t-1,i+p-1] + x[t,i]) where h: zero outside, w: 3",
    ],
)
def test_a_recurrence_that_convolves_reads_zeros_outside_of_itself(page: str, rng: torch.Generator) -> None:
    assert chalkgrad.check(page)
    net = chalkgrad.layer(page)
    x, h = torch.randn(2, 4, 6, generator=rng), torch.zeros(2, 6)
    y, _ = net(x)
    for t in range(4):
        h = torch.tanh(torch.nn.functional.conv1d(h[:, None], net.w[None, None], padding=1)[:, 0] + x[:, t])
        torch.testing.assert_close(y[:, t], h)


def test_a_start_may_be_written_with_its_other_index(rng: torch.Generator) -> None:
    net = chalkgrad.layer("h[t,j] = tanh(x[t,j] + h[t-1,j])\nh[0,j] = a[j]", a=3, init={"a": 0.5})
    x = torch.randn(2, 1, 3, generator=rng)
    torch.testing.assert_close(net(x)[:, 0], torch.tanh(x[:, 0] + 0.5))


def test_a_size_under_a_product_element_by_element_is_its_number() -> None:
    [equation] = read("y[t] = x[t] ⊙ D where x[t]: D").program.equations
    assert show(equation) == "y[t,j] = x[t,j] D"


@pytest.mark.parametrize("page", ["h[t] = P(W) + x[t]", "h_t = P(𝐖) + x_t", "h[t] = P \\mathbf{W} + x_t"])
def test_a_matrix_in_brackets_after_a_capital_letter_is_a_factor(page: str) -> None:
    assert str(read(page).program.equations) == str(read("h[t] = P W + x[t]").program.equations)
    assert {n.name for n in read(page).program.names if n.role == "parameter"} == {"P", "W"}
