"""Pictures: what is on them, that nothing lies over anything else, and that their files are whole."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from chalkgrad.drawing.draw import Drawing, draw
from chalkgrad.drawing.layout import Box
from chalkgrad.language.source import EquationError
from chalkgrad.zoo import names
from pages import PAGES

MORE = {
    "skipped layers": "a[t] = tanh(x[t] W + b)\nc[t] = tanh(a[t] W_2 + x[t] V)\n"
    "d[t] = tanh(c[t] W_3 + a[t] U + x[t] S)\ny[t] = d[t] R + c[t] Q + a[t] P + x[t] O",
    "tied": "h[t] = tanh(x[t] W + h[t-1] U)\ng[t] = tanh(x[t] W + g[t+1] U)\ny[t] = h[t] V + g[t] V + b",
    "coupled": "a[t] = tanh(x[t] W + b[t-1] U)\n"
    "b[t] = tanh(a[t] V + c[t-1] R)\nc[t] = tanh(b[t] S + a[t-1] Q)",
    "many inputs": "h[t] = tanh(x[t] A + z[t] B + u[t] C + v[t] D + w[t] E + h[t-1] F)\n"
    "y[t] = h[t] G + x[t] H",
    "no input": "h[t] = tanh(h[t-1] W)",
    "long names": "hidden_state[t] = tanh(observation[t] weight_input"
    " + hidden_state[t-1] weight_hidden + bias_vector)",
}
PAGE = {**MORE, **{name: page.text for name, page in PAGES.items()}, **{name: name for name in names()}}
STILL = (
    "C3",
    "C4",
    "C6",
    "X2",
    "A2",
    "attention",
    "attention_causal",
    "attention_multihead",
    "layer_norm",
    "R1",
    "mlp",
    "max pooling",
    "zero outside axis by axis",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "conv_lstm",
    "conv_pool",
    "conv_relu",
    "avg_pool2d",
    "max_pool2d",
    "scores",
    "picture_state",
)
SLIDING = (
    "C1",
    "C1 from zero",
    "C2",
    "C5",
    "C10",
    "conv1d",
    "strided and dilated",
    "causal",
    "zero outside by one",
    "zero outside, more after than before",
    "infinity outside",
    "between places",
    "mean of windows",
    "conv_transpose1d",
    "tcn",
    "wavenet",
)
LECTURES = (*MORE, "rnn", "lstm", "gru", "G4", "A1", "last step", "differences", "two steps back")
EVERY = [(name, None) for name in PAGE] + [
    pytest.param(name, 3, marks=() if name in (*LECTURES, *SLIDING) else pytest.mark.slow)
    for name in PAGE
    if name not in STILL
]
RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


@cache
def drawn(name: str, unroll: int | None = None) -> Drawing:
    return draw(PAGE[name], unroll=unroll)


def grown(b: Box, by: float) -> Box:
    return Box(b.x0 - by, b.y0 - by, b.x1 + by, b.y1 + by)


# --- what is drawn -------------------------------------------------------------------------------------

RECURRENT = {
    "rnn": 1,
    "lstm": 5,
    "gru": 4,
    "G4": 2,
    "A1": 2,
    "two steps back": 2,
    "X2": 2,
    "conv2d": 0,
    "R3": 1,
}


@pytest.mark.parametrize("name", RECURRENT)
def test_a_folded_picture_has_a_wire_back_for_each_read_of_the_past(name: str) -> None:
    links = drawn(name).graph.links
    assert sum(k.recurrent for k in links) == RECURRENT[name]
    assert all(k.delay for k in links if k.recurrent)


def test_a_delay_says_at_which_step_is_read() -> None:
    assert {k.delay for k in drawn("G4").graph.links} == {"", "t-1", "t+1"}
    assert {(k.delay, k.recurrent) for k in drawn("differences").graph.links} == {
        ("", False),
        ("t-1", False),  # x at the step before closes no cycle
        ("t-1", True),
    }


@pytest.mark.parametrize(("name", "states"), [("rnn", "h"), ("lstm", "ch"), ("G4", "hg"), ("A1", "s")])
@pytest.mark.parametrize("steps", [1, 4])
def test_unrolled_there_is_a_copy_of_each_state_for_each_step(name: str, states: str, steps: int) -> None:
    vertices = drawn(name, steps).graph.vertices
    for state in states:
        assert sum(v.name == state and v.kind != "start" for v in vertices) == steps
        assert sum(v.name == state and v.kind == "start" for v in vertices) == 1


def test_unrolled_each_step_reads_the_one_before_it() -> None:
    links = {(k.source, k.target) for k in drawn("rnn", 3).graph.links if k.recurrent}
    assert links == {("h[0]", "h[1]"), ("h[1]", "h[2]"), ("h[2]", "h[3]")}
    links = {(k.source, k.target) for k in drawn("G4", 2).graph.links if k.recurrent}
    assert links == {("h[0]", "h[1]"), ("h[1]", "h[2]"), ("g[3]", "g[2]"), ("g[2]", "g[1]")}


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "G4", "A1", "R2"])
def test_unrolled_the_shared_weights_are_listed_once(name: str) -> None:
    drawing = drawn(name, 3)
    weights = [n.name for n in drawing.program.given("parameter")]
    assert sorted(drawing.picture.shared) == sorted(weights)


def test_every_copy_of_a_box_has_the_same_weights() -> None:
    for name in ("rnn", "lstm", "G4"):
        copies: dict[str, set[tuple[str, ...]]] = {}
        for v in drawn(name, 3).graph.vertices:
            if v.kind != "start":
                copies.setdefault(v.name, set()).add(v.weights)
        assert all(len(found) == 1 for found in copies.values())


@pytest.mark.parametrize(
    ("name", "stride", "taps"), [("C1", 1, {0, 1, 2}), ("strided and dilated", 2, {0, 3, 6})]
)
def test_a_convolution_is_unrolled_place_by_place(name: str, stride: int, taps: set[int]) -> None:
    drawing = drawn(name, 4)
    outputs = [v.column for v in drawing.graph.vertices if v.kind == "output"]
    assert sorted(outputs) == [0, 1, 2, 3]
    for k in drawing.graph.links:
        source, target = drawing.graph[k.source].column, drawing.graph[k.target].column
        assert k.tap == source - stride * target
    assert {k.tap for k in drawing.graph.links} == taps
    assert len(drawing.graph.links) == 4 * len(taps)


def test_zeros_outside_are_not_drawn() -> None:
    links = [(k.source, k.target) for k in drawn("causal", 3).graph.links]
    assert [a for a, b in links if b == "y[0]"] == ["x[0]"]
    assert len(links) == 1 + 2 + 3


def test_a_weight_of_two_equations_is_a_box_of_its_own() -> None:
    graph = draw("h[t] = tanh(x[t] W + h[t-1] U)\ny[t] = h[t] U").graph
    assert graph["U"].kind == "parameter"
    assert {k.target for k in graph.links if k.source == "U"} == {"h", "y"}
    assert graph["h"].weights == ("W",)


# --- where it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "unroll"), EVERY)
def test_nothing_lies_over_anything_else_or_leaves_the_picture(name: str, unroll: int | None) -> None:
    picture = drawn(name, unroll).picture
    boxes = list(picture.boxes.values())
    for a, b in combinations(boxes, 2):
        assert not grown(a, 2).overlaps(b)
    for box in boxes:
        assert box.inside(grown(picture.canvas, -4))
    for label in picture.labels:
        assert label.box.inside(picture.canvas), label.text
        assert all(label.box.inside(b) or not label.box.overlaps(b) for b in boxes), label.text
    for a, b in combinations(picture.labels, 2):
        assert not a.box.overlaps(grown(b.box, -1)), f"{a.text} and {b.text}"


@pytest.mark.parametrize(("name", "unroll"), EVERY)
def test_no_wire_runs_through_a_box(name: str, unroll: int | None) -> None:
    found = drawn(name, unroll).picture.layout
    boxes = {**found.boxes, **{w.pill: w.pill for w in found.wires if w.pill}}
    for w in found.wires:
        for a, b in pairwise(w.points):
            level = a[0] == pytest.approx(b[0]) or a[1] == pytest.approx(b[1])
            assert level or name in SLIDING
            parts = 1 if level else 40  # a slanted wire is looked at piece by piece
            ends = [
                tuple(p + (q - p) * n / parts for p, q in zip(a, b, strict=True)) for n in range(parts + 1)
            ]
            for (ax, ay), (bx, by) in pairwise(ends):
                segment = Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
                for key, box in boxes.items():
                    if key != w.pill:
                        assert not grown(segment, 1).overlaps(grown(box, -1.5)), f"{w.link} at {key}"


@pytest.mark.parametrize(("name", "unroll"), EVERY)
def test_a_wire_goes_from_the_top_of_what_is_read_to_the_bottom_of_what_reads(
    name: str, unroll: int | None
) -> None:
    found = drawn(name, unroll).picture.layout
    assert len(found.wires) == len(drawn(name, unroll).graph.links)
    for w in found.wires:
        source, target = found.boxes[w.link.source], found.boxes[w.link.target]
        assert w.points[0][1] == source.y1
        assert source.x0 < w.points[0][0] < source.x1
        assert w.points[-1][1] == target.y0
        assert target.x0 < w.points[-1][0] < target.x1
        assert (w.pill is not None) == bool(w.link.delay)


@pytest.mark.parametrize(("name", "unroll"), EVERY)
def test_wires_of_different_names_do_not_run_over_each_other(name: str, unroll: int | None) -> None:
    found = drawn(name, unroll).picture.layout
    segments = [
        (w.link.source, min(a, b), max(a, b)) for w in found.wires for a, b in pairwise(w.points) if a != b
    ]
    for (s, a, b), (r, c, d) in combinations(segments, 2):
        if s == r:
            continue
        for along, across in ((0, 1), (1, 0)):
            level = abs(a[across] - b[across]) < 1e-6 and abs(c[across] - d[across]) < 1e-6
            if level and abs(a[across] - c[across]) < 2:
                shared = min(b[along], d[along]) - max(a[along], c[along])
                assert shared < 3, f"{s} and {r}"


def test_the_pictures_of_the_lectures_fit_a_slide() -> None:
    for name, unroll in (("rnn", 4), ("lstm", None), ("lstm", 3), ("gru", 3), ("G4", 3), ("A1", 3)):
        assert drawn(name, unroll).picture.canvas.x1 < 1000  # letters of 13 points at 1200 pixels


# --- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unroll"), [("lstm", None), ("rnn", 3), ("A1", None), ("conv2d", None), ("R3", 2)]
)
def test_the_svg_is_xml_and_names_everything(name: str, unroll: int | None) -> None:
    drawing = drawn(name, unroll)
    root = ET.fromstring(drawing.svg())
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}title")]
    program = drawing.program
    for n in program.names:
        if n.role != "start":
            assert any(t == n.name or (t or "").startswith(f"{n.name}[") for t in titles), n.name
    identities = [e.get("id") for e in root.iter() if (e.get("id") or "").startswith(("name", "wire"))]
    assert len(identities) == len(set(identities)) == len(drawing.graph.vertices) + len(drawing.graph.links)
    every = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(every) == len(set(every))
    assert "<script" not in drawing.svg()


def test_the_png_is_a_png_wide_enough_for_a_slide() -> None:
    data = drawn("lstm").png()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20]) >= 1200


def test_the_same_page_gives_the_same_files() -> None:
    assert draw(RNN).svg() == draw(RNN).svg()
    assert draw(RNN).png() == draw(RNN).png()


def test_the_users_own_settings_of_matplotlib_change_nothing() -> None:
    from matplotlib import rc_context

    expected = draw(RNN).svg()
    with rc_context(
        {"font.size": 30, "mathtext.fontset": "cm", "svg.fonttype": "none", "lines.linewidth": 9}
    ):
        assert draw(RNN).svg() == expected


def test_saving_writes_by_the_ending_and_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    draw(RNN, tmp_path / "a.svg")
    draw(RNN).save(tmp_path / "b.PNG")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert (tmp_path / "b.PNG").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "b.PNG"]  # nothing temporary is left


def test_a_picture_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.svg"
    path.write_text("old")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(EquationError, match="No space left"):
        draw(RNN, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]


def test_no_window_is_ever_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it would fail
    assert draw(RNN).svg()


# --- wrong input ---------------------------------------------------------------------------------------


def test_without_matplotlib_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EquationError) as caught:
        draw(RNN).svg()
    assert caught.value.help == 'pip install "chalkgrad[report]"'


@pytest.mark.parametrize(
    ("what", "unroll", "problem"),
    [
        ("mlp", 3, "nothing here moves from step to step"),
        ("conv2d", 3, "two axes"),
        (RNN, 0, "a picture holds 1 to 8 steps"),
        (RNN, 9, "a picture holds 1 to 8 steps"),
        (PAGES["X2"].text, 2, "two axes"),
        ("e[s] = tanh(x[s] A + e[s-1] B)\nd[t] = tanh(d[t-1] C + y[t] D)", 2, "two axes"),
        ("rnn2", None, "is no standard layer"),
    ],
)
def test_what_cannot_be_drawn_is_said(what: str, unroll: int | None, problem: str) -> None:
    with pytest.raises(EquationError) as caught:
        draw(what, unroll=unroll)
    assert problem in caught.value.problem
    assert caught.value.help


def test_letters_that_the_fonts_lack_are_named() -> None:
    with pytest.raises(EquationError, match="no letters for `W_입력`"):
        draw("h[t] = tanh(x[t] W_입력 + h[t-1] U)").svg()


def test_an_ending_that_is_no_picture_is_said() -> None:
    with pytest.raises(EquationError, match=r"written as \.svg or \.png"):
        draw(RNN).save("a.pdf")
