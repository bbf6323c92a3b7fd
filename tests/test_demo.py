"""The tour says what it should, fits a screen, and needs no terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from chalkgrad.demo import caption, convolution, heat, kernel, language, own_cell, translation, vanishing
from chalkgrad.demo.__main__ import main
from chalkgrad.demo.board import WIDTH, Grid, broken
from chalkgrad.demo.shades import RAMP, Shades, shirt

SCREEN = 40


def board() -> tuple[Console, io.StringIO]:
    page = io.StringIO()
    return Console(file=page, width=WIDTH, highlight=False), page


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn") / "new"


@pytest.fixture(scope="module")
def tour(drawn: Path) -> list[str]:
    """Scenes 1 to 5, each as text; before them the title."""
    console, page = board()
    main(["1", "2", "3", "4", "5", "--pictures", str(drawn)], console)
    return re.split(r"\n(?=━)", page.getvalue())


def test_every_scene_is_a_screenful(tour: list[str]) -> None:
    assert len(tour) == 6
    for scene in tour:
        lines = scene.splitlines()
        assert len(lines) <= SCREEN
        assert max(map(len, lines)) <= WIDTH
        assert "…" not in scene  # nothing is cut off


def test_the_convolution_is_computed_sized_and_derived(tour: list[str]) -> None:
    scene = tour[1]
    assert "y[1,1] = 0·0 + 1·1 + 2·3 + 2·1 + 2·2 + 0·2 + 0·0 + 1·0 + 2·2 = 17" in scene
    assert "(M - P + 1) × (N - Q + 1), here 3 × 3" in scene
    assert "∂w[p,q] = Σ[i,j] ∂y[i,j] x[i+p,j+q]" in scene
    assert scene.count("right") == 2


def test_in_a_terminal_the_kernel_slides_over_every_place() -> None:
    page = io.StringIO()
    console = Console(file=page, width=WIDTH, force_terminal=True, color_system=None, highlight=False)
    convolution.scene(console, seconds=0)
    assert page.getvalue().count("y[1,1] = ") == 2  # on its way, and in the list that stays
    halfway, written = board()
    halfway.print(convolution.place([[12, 12, 17], [10, 17, 19], [9, 6, 14]], 4, "said"))
    assert re.search(r"0│ 0  1  3│ 1 .* 10│ 17│  ·", written.getvalue())
    assert re.search(r" ·   ·   ·", written.getvalue())


def test_a_frame_moves_and_the_columns_stay() -> None:
    console, page = board()
    rows = [[1, 22, 3], [4, None, 6], [7, 8, 9]]
    console.print(Grid("g", rows, (2, 2), (1, 1)))
    expected = ["g", "   1  22   3", "    ┌───────┐", "   4│  ·   6│", "   7│  8   9│", "    └───────┘"]
    assert [line.rstrip() for line in page.getvalue().splitlines()] == expected


def test_the_kernels_do_what_the_scene_says_of_them(tour: list[str]) -> None:
    x = shirt()
    blurred, sharper, edges = kernel.maps(x, kernel.BLUR, kernel.SHARPEN, kernel.EDGE)
    inner = x[1:-1, 1:-1]
    assert kernel.jump(blurred) < kernel.jump(inner) / 2 < kernel.jump(sharper) / 4
    assert edges[:, :1].abs().max() == 0  # black beside the shirt
    ours = torch.nn.functional.conv2d(x[None, None], torch.tensor(kernel.BLUR)[None, None])[0, 0]
    torch.testing.assert_close(blurred, ours)
    said = " ".join(tour[2].split())
    assert f"changes by {kernel.jump(inner):.0f} on average" in said
    assert f"attenuates that to {kernel.jump(blurred):.0f}" in said
    assert f"amplifies it to {kernel.jump(sharper):.0f}" in said
    for size in ("N - P + 1 28 → 26", "N - P + 3 28 → 28", "⌊(N - P)/2⌋ + 1 28 → 13", "N - 2P + 2 28 → 24"):
        assert size in said


def test_what_comes_back_is_the_kernel_and_what_it_saw(tour: list[str]) -> None:
    assert re.search(r"0│ 1│ 0 +0│ 0  1  2│ 0 +0│ 0  1  3│ 1 +│ 1  2  2│", tour[2])


def test_shades_are_colours_or_signs() -> None:
    picture = torch.tensor([[0.0, 4, -4], [0, 4, 0], [0, 0, 0]])
    plain, page = board()
    plain.print(Shades("s", picture, 4))
    assert page.getvalue().splitlines() == ["s", f" {RAMP[-1]}{RAMP[2]}", "   "]
    coloured = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
    with coloured.capture() as captured:
        coloured.print(Shades("s", picture, 4))
    assert "\x1b[38;2;255;160;50;48;2;255;160;50m▀" in captured.get()
    assert "\x1b[38;2;70;150;255;48;2;0;0;0m▀" in captured.get()


def test_the_pictures_are_drawn_with_the_numbers_of_the_layer(tour: list[str], drawn: Path) -> None:
    files = sorted(path.name for path in drawn.iterdir())
    assert files == ["kernel_effects.png", "kernel_gradients.png", "kernel_places.png", "kernel_sizes.png"]
    assert all((drawn / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for name in files)
    assert all(name in tour[2] for name in files)
    titles = [axes.get_title() for axes in heat.places().axes]
    assert titles == [
        line[: line.index(" =")] + " =" + line.split("=")[-1] for line in convolution.steps()
    ] + ["w", "y"]
    texts = {axes.get_title(): [t.get_text() for t in axes.texts] for axes in heat.gradients().axes[3:6]}
    assert texts["∂w"][:9] == ["6", "20", "8", "12", "41", "24", "0", "24", "41"]


def test_the_recurrence_shows_back_propagation_through_time_and_its_check(tour: list[str]) -> None:
    scene = tour[3]
    assert "∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ  # back-propagation through time" in scene
    assert scene.count(" right") == 5
    assert "WRONG" not in scene


def test_the_gates_stand_side_by_side_and_are_checked(tour: list[str]) -> None:
    scene = tour[4]
    assert "∂c[t] = ∂c[t+1] ⊙ f[t+1]" in scene
    assert "∂r[t] = (Uᵀ ∂a_h_tilde[t]) ⊙ h[t-1]" in scene
    assert scene.count("all right") == 2


def test_gradients_vanish_explode_and_are_kept(tour: list[str]) -> None:
    scene = tour[5]
    found = [scene.index(f"\n{kind}: ") for kind in ("vanishing", "exploding", "healthy")]
    assert found == sorted(found)
    small, large, kept = (vanishing.reaches(net)[0] for _, net in vanishing.nets())
    assert small[0] < 1e-4 < 1e-2 < kept[0] < 1 < 1e4 < large[0]
    rows = [line[8:] for line in scene.splitlines() if line.startswith("  1 ")]
    assert len(rows) == 3
    assert (rows[0] + " " * 60)[:20] == " " * 20  # it is below a millionth of what it rises to
    assert rows[1][:20] == "█" * 20


def test_bars_are_drawn_on_a_scale_of_powers_of_ten() -> None:
    lines = vanishing.bars(torch.tensor([0.0, 1e-8, 1e-4, 1.0, 1e4, 1e8, 1e9]))
    assert [line.plain for line in lines] == [
        "  1e+08     ▂██",
        "  1        ▄███",
        "  1e-08 ▁▁▆████",
    ]


def test_long_equations_are_cut_between_terms() -> None:
    assert broken("h = a + b (c + d) ⊙ e", 12) == "h = a\n    + b (c + d)\n    ⊙ e"
    assert broken("h = tanh(a b + c d)", 14) == "h = tanh(a b\n    + c d)"
    assert broken("h = a", 3) == "h = a"


def test_the_model_learns_writes_and_is_measured(tmp_path: Path) -> None:
    text = tmp_path / "song.txt"
    text.write_text("HAMLET. In winter, when the fields are white, I sing this song.\n" * 30)
    console, page = board()
    small = replace(language.SETTINGS, text=(str(text),), hidden=8, batch=4, truncate=8, steps=3)
    language.scene(console, seconds=60, settings=small)
    said = page.getvalue()
    assert "after 3 steps:" in said
    before, after = map(float, re.search(r"([\d.]+) before, ([\d.]+) after", said).groups())  # type: ignore[union-attr]
    assert 0 < after < before < 8


def test_a_cell_as_a_loop_and_as_equations_is_the_same_layer_timed_twice() -> None:
    console, page = board()
    own_cell.scene(console, size=(3, 2, 4), seconds=0)
    scene = page.getvalue()
    assert max(map(len, scene.splitlines())) <= WIDTH
    assert len(scene.splitlines()) <= SCREEN
    found = re.search(r"outputs differ by (\S+) at most", " ".join(scene.split()))
    assert found
    assert float(found[1]) < 1e-5


def test_dates_are_learned_and_what_was_looked_at_is_shown() -> None:
    console, page = board()
    translation.scene(console, seconds=0.3)
    scene = page.getvalue()
    assert "α[t,j] = softmax[j](e[t,j])" in scene
    assert re.search(r"^ +2 1   N o v e m b e r   2 0 2 6 ⏎$", scene, re.M)
    assert re.search(r"^[1-9]\d* steps; of 200 dates never seen \d+% are right\.$", scene, re.M)
    assert len(scene.splitlines()) <= SCREEN


def test_the_captioner_looks_at_places_and_says_what_it_could_name() -> None:
    console, page = board()
    tiny = replace(caption.SETTINGS, net=("conv_pool:K=4", "conv_pool:K=4"), hidden=8, embedding=8, epochs=1)
    caption.scene(console, seconds=0.3, settings=tiny)
    scene = page.getvalue()
    assert max(map(len, scene.splitlines())) <= WIDTH
    assert len(scene.splitlines()) <= SCREEN
    assert "α[t,j] = softmax[j](e[t,j])" in scene
    assert re.search(r"^\d+ of 12 named to the letter", scene, re.MULTILINE)
    assert "it says: " in scene


def test_a_scene_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["10"])
    assert end.value.code == 2
    assert "there is no scene 10" in capsys.readouterr().err
