"""Whole notes: every equation lands in the right class, and those that belong together are one layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalkgrad.language.resolve import read
from chalkgrad.language.source import EquationError
from chalkgrad.notes import Note, NoteEquation, read_note
from latex_pages import LATEX
from pages import PAGES

HERE = Path(__file__).parent


def note_of(name: str) -> Note:
    return read_note((HERE / name).read_text(encoding="utf-8"))


LECTURE, GATES, PASTED = map(note_of, ("lecture.md", "gates.md", "pasted.md"))


def by_line(note: Note, line: int) -> list[NoteEquation]:
    return [e for e in note.equations if e.line == line]


def kinds(note: Note) -> list[tuple[int, str, tuple[int, ...]]]:
    return [(e.line, e.kind, e.layers if e.kind == "layer" else ()) for e in note.equations]


# --- the lecture notes' equations ----------------------------------------------------------------------


def test_every_equation_of_a_lecture_lands_in_the_right_class() -> None:
    assert kinds(LECTURE) == [
        (17, "layer", (1,)),  # C1
        (22, "numbers", ()),  # C8
        (22, "numbers", ()),
        (28, "claim", ()),  # C9
        (30, "claim", ()),
        (37, "layer", (2,)),  # C2
        (42, "layer", (3,)),  # C3
        (46, "layer", (4,)),  # C4
        (51, "layer", (5,)),  # C5
        (57, "no layer", ()),
        (62, "layer", (6,)),  # R1
        (63, "layer", (6,)),
        (72, "no layer", ()),
        (79, "layer", (7,)),  # R2
        (80, "layer", (7,)),
        (86, "layer", (8,)),  # R3
        (86, "layer", (8,)),
        (87, "layer", (8,)),
        (87, "layer", (8,)),
        (93, "claim", ()),  # B2
        (95, "claim", ()),  # B3
        (98, "claim", ()),  # B1
        (101, "claim", ()),  # B4
        (105, "layer", (9,)),  # R4
        (106, "layer", (9,)),
        (115, "layer", (10,)),  # R5
        (116, "layer", (10,)),
        (117, "layer", (10,)),
        (118, "layer", (10,)),
        (128, "layer", (11,)),  # R6
    ]


@pytest.mark.parametrize(
    ("number", "page"),
    list(enumerate(["C1", "C2", "C3", "C4", "C5", "R1", "R2", "R3", "R4", "R5", "R6"], 1)),
)
def test_a_layer_of_the_lecture_is_the_page_pasted_alone(number: int, page: str) -> None:
    layer = LECTURE.layers[number - 1]
    pasted = LATEX[page]
    given = {k: v for k, v in pasted.keywords.items() if k in ("inputs", "functions")}
    assert layer.resolved is not None
    assert layer.resolved.program == read(pasted.text, **given).program


@pytest.mark.parametrize(
    ("number", "page"),
    [(1, "G1"), (2, "G1v"), (4, "G3 before"), (5, "G3 after"), (6, "A1"), (7, "A2")],
)
def test_a_layer_of_gates_is_the_page_in_text_form(number: int, page: str) -> None:
    resolved = GATES.layers[number - 1].resolved
    assert resolved is not None
    assert sorted(map(str, resolved.program.equations)) == sorted(
        map(str, read(PAGES[page].text).program.equations)
    )


def test_the_layers_have_the_names_of_their_headings() -> None:
    assert [x.name for x in GATES.layers] == [
        "LSTM", "LSTM, 잘못 옮겨 적은 것", "엿보기 구멍", "GRU", "GRU", "주의 기제", "자기 주의",
    ]  # fmt: skip


def test_gates_under_headings_of_their_own_are_one_layer() -> None:
    assert GATES.layers[2].lines == (28, 30, 31, 33, 35, 36)
    assert GATES.layers[2].error is None


def test_a_gate_that_reaches_no_output_is_warned_of() -> None:
    assert "g and i never reach the output h" in GATES.layers[1].warnings[0]
    assert GATES.layers[0].warnings == ()


def test_a_variant_has_from_before_what_it_does_not_say_itself() -> None:
    assert GATES.layers[3].lines == (42, 43, 44, 45)
    assert GATES.layers[4].lines == (42, 43, 45, 52)
    assert by_line(GATES, 42)[0].layers == (4, 5)
    assert by_line(GATES, 44)[0].layers == (4,)


def test_what_stands_word_for_word_before_is_said_to() -> None:
    assert [(e.kind, e.same) for e in GATES.equations[-2:]] == [("again", 72), ("again", 73)]


def test_what_is_no_layer_says_what_it_is_and_what_to_do() -> None:
    integral, probability = by_line(LECTURE, 57)[0].error, by_line(LECTURE, 72)[0].error
    assert integral is not None
    assert probability is not None
    assert integral.problem == "an integral is no layer"
    assert "grid" in integral.help
    assert probability.problem == "a probability is no layer"
    assert "  line  57 | [f * g](x)=\\int_" in str(integral)


def test_a_claim_belongs_to_the_layer_that_it_is_about() -> None:
    assert by_line(LECTURE, 93)[0].layers == (8,)
    assert by_line(LECTURE, 93)[0].text == "∂J[t]/∂o[t] = y'[t] - y[t]"


# --- as people write -----------------------------------------------------------------------------------


def test_pasted_formulas_are_found_among_money_code_and_quotations() -> None:
    assert [(e.line, e.kind) for e in PASTED.equations] == [
        (7, "function"),
        (8, "numbers"),
        (8, "no layer"),
        (11, "layer"),
        (15, "layer"),
        (17, "no layer"),
        (17, "no layer"),
        (23, "layer"),
        (24, "not read"),
        (25, "layer"),
        (30, "not read"),
        (34, "numbers"),
        (36, "numbers"),
        (40, "layer"),
        (40, "layer"),
        (44, "claim"),
        (46, "claim"),
    ]


def test_shapes_in_the_prose_are_taken() -> None:
    assert PASTED.layers[0].text.splitlines() == [
        "h[t] = tanh(W x[t] + U h[t-1] + b)",
        "y[t] = V h[t] + c",
        "where x[t]: D, h[t]: H",
    ]


def test_a_row_that_cannot_be_read_takes_no_other_with_it() -> None:
    assert PASTED.layers[1].text == "z[t] = σ(W x[t])\nv[t] = tanh(z[t]) + x[t]"
    broken = by_line(PASTED, 24)[0]
    assert broken.error is not None
    assert str(broken.error).splitlines()[:3] == [
        "error: the command `\\foo` is not known",
        "  line 24 | u_t &= \\foo z_t \\\\",
        "          |        ^^^^ here",
    ]


def test_a_formula_that_is_not_closed_ends_with_its_line() -> None:
    (unclosed,) = by_line(PASTED, 30)
    assert unclosed.error is not None
    assert unclosed.error.problem == "the formula that `$$` opens is not closed"


# --- what belongs together -----------------------------------------------------------------------------


def layers_of(text: str) -> list[str]:
    return [x.text for x in read_note(text).layers]


def test_order_on_the_page_is_no_matter() -> None:
    assert len(layers_of("$$y_t = V h_t$$ and $$h_t = \\tanh(x_t W + h_{t-1} U)$$")) == 1


def test_equations_that_share_only_what_is_given_are_two_layers() -> None:
    assert len(layers_of("$$y_t = \\tanh(V x_t)$$ and $$h_t = \\tanh(W x_t)$$")) == 2


def test_a_new_part_of_the_note_is_a_new_layer() -> None:
    text = "# A\n$$h_t = \\tanh(x_t W + h_{t-1} U)$$\n# B\n$$e_t = \\tanh(h_t V)$$\n"
    assert layers_of(text) == ["h[t] = tanh(x[t] W + h[t-1] U)", "e[t] = tanh(h[t] V)"]


def test_parts_of_a_part_are_one_text() -> None:
    text = "# N\n## A\n### state\n$$h_t = \\tanh(x_t W + h_{t-1} U)$$\n### output\n$$y_t = h_t V$$\n## B\n"
    assert len(layers_of(text)) == 1


def test_a_name_that_is_defined_again_begins_another_layer() -> None:
    text = (
        "$$h_t = \\tanh(x_t W + h_{t-1} U)$$ $$o_t = h_t V$$ or $$f_t = \\sigma(x_t A + h_{t-1} B)$$"
        "$$h_t = f_t \\odot h_{t-1} + x_t$$"
    )
    first, second = layers_of(text)
    assert first == "h[t] = tanh(x[t] W + h[t-1] U)\no[t] = h[t] V"
    assert second == "f[t] = σ(x[t] A + h[t-1] B)\nh[t] = f[t] ⊙ h[t-1] + x[t]"


def test_a_start_belongs_to_its_state() -> None:
    (text,) = layers_of("$$h_0 = \\tanh(a)$$ $$h_t = \\tanh(x_t W + h_{t-1} U)$$")
    assert text.startswith("h[0] = tanh(a)")


def test_functions_and_inputs_go_to_the_layers_that_have_them() -> None:
    note = read_note(
        "# A\n$$y(i) = \\sum_p f(p) g(i+p)$$\n# B\n$$h_t = f(s_t)$$ $$s_t = U x_t + W h_{t-1}$$",
        inputs="g",
        functions={"f": "tanh"},
    )
    assert [x.error for x in note.layers] == [None, None]
    assert note.layers[0].text == "y(i) = Σ[p] f(p) g(i+p)\nwhere g: input"
    assert note.layers[1].text.endswith("where f = tanh")


def test_a_layer_that_needs_a_word_says_which() -> None:
    (layer,) = read_note("$$y = W x$$").layers
    assert layer.resolved is None
    assert layer.error is not None
    assert layer.error.problem.startswith("which of these is the input?")
    assert layer.text == "y = W x"


def test_shapes_that_do_not_fit_are_left_out_with_a_warning() -> None:
    (layer,) = read_note(
        "$x_t \\in \\mathbb{R}^{3 \\times 4}$ $$h_t = \\tanh(x_t W + h_{t-1} U + x_t)$$"
    ).layers
    assert layer.resolved is not None
    assert "does not fit" in layer.warnings[-1]


def test_an_input_that_no_layer_reads_is_refused() -> None:
    with pytest.raises(EquationError, match="no layer of this note reads `q`"):
        read_note("$$h_t = \\tanh(x_t W)$$", inputs="q")


def test_a_constant_is_part_of_what_reads_it_and_else_only_numbers() -> None:
    matrix = "$$A = \\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}$$"
    alone = read_note(f"{matrix} $$\\eta = 10^{{-3}}$$")
    assert [e.kind for e in alone.equations] == ["numbers", "numbers"]
    assert alone.layers == ()
    (layer,) = read_note(f"{matrix} $$h_t = \\tanh(A x_t)$$").layers
    assert layer.text == "A = [[1, 2], [3, 4]]\nh[t] = tanh(A x[t])"


def test_only_the_shapes_that_fit_are_taken() -> None:
    (layer,) = read_note(
        "$W \\in \\mathbb{R}^{H \\times D}$, $x_t \\in \\mathbb{R}^{3 \\times 4}$\n\n"
        "$$h_t = \\tanh(W x_t + U h_{t-1})$$"
    ).layers
    assert layer.text == "h[t] = tanh(W x[t] + U h[t-1])\nwhere W: H×D"
    assert layer.warnings[0].startswith("line 1: this shape of x_t does not fit, left out: ")


def test_a_fence_marked_chalk_is_a_layer_as_it_stands() -> None:
    (layer,) = read_note("where x: input\n\n```chalk\ny[i] = w x[i]\nwhere x: input\n```\n").layers
    assert layer.error is None


# --- kinds of files ------------------------------------------------------------------------------------


def test_a_note_without_marks_is_read_line_by_line() -> None:
    note = read_note(
        "The cell, with x = the input of the day:\n\nh[t] = tanh(x[t] W + h[t-1] U)\ny[t] = h[t] V\n"
    )
    assert [(e.line, e.kind) for e in note.equations] == [(3, "layer"), (4, "layer")]


def test_latex_files_are_notes() -> None:
    note = read_note(
        "\\documentclass{article}\n\\newcommand{\\h}{h}\n\\begin{document}\n\\section{RNN} % $$z_t = 1$$\n"
        "\\begin{verbatim}\n$$a_t = b_t$$\n\\end{verbatim}\n"
        "\\begin{equation}\nh_t = \\tanh(x_t W + h_{t-1} U)\n\\end{equation}\n\\end{document}\n"
    )
    assert [(x.name, x.lines) for x in note.layers] == [("RNN", (9,))]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_are_counted_the_same_on_every_system(newline: str) -> None:
    note = read_note(newline.join(["# A", "", "$$", "h_t = \\tanh(x_t W)", "$$"]))
    assert [e.line for e in note.equations] == [4]


@pytest.mark.parametrize(
    "text", ["", "\n", "no formula here", "$5 and $10", "```\n$$a_t = b_t$$\n```\n", "$x_t$"]
)
def test_a_note_without_an_equation_has_none(text: str) -> None:
    assert read_note(text) == Note(text, (), ())


def test_a_note_that_is_too_long_is_refused() -> None:
    with pytest.raises(EquationError, match="at most 2,000,000 are read"):
        read_note("a" * 2_000_001)


DAMAGED = {
    "dollars": "$" * 5000,
    "ticks": "`" * 5000,
    "braces": "$$" + "{" * 5000,
    "brackets": "\\[" * 3000,
    "environments": "\\begin{align}" * 1000,
    "headings": "# a\n" * 3000,
    "rows": "$$a_t = b_t \\\\ " * 50,
    "wheres": "where x: " * 2000,
    "quotations": "> " * 5000,
    "words": "$$\\text{" * 2000,
    "lines": "---\n" * 3000,
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_damaged_notes_end_with_a_result_or_an_error(text: str) -> None:
    note = read_note(text)
    assert all(e.error is None or e.error.problem for e in note.equations)


def test_progress_goes_up_to_the_end() -> None:
    told: list[float] = []
    read_note("$$h_t = x_t W$$ " * 3, progress=lambda done, total: told.append(done / total))
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= 1
