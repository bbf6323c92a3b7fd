"""The tour says what it should, fits a screen, and needs no terminal."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chalkgrad.demo import language, own_cell
from chalkgrad.demo.__main__ import main
from chalkgrad.demo.board import WIDTH, broken

SCREEN = 40


def board() -> tuple[Console, io.StringIO]:
    page = io.StringIO()
    return Console(file=page, width=WIDTH, highlight=False), page


@pytest.fixture(scope="module")
def tour() -> list[str]:
    """Scenes 1 to 3, each as text; before them the title."""
    console, page = board()
    main(["1", "2", "3"], console)
    return re.split(r"\n(?=━)", page.getvalue())


def test_every_scene_is_a_screenful(tour: list[str]) -> None:
    assert len(tour) == 4
    for scene in tour:
        lines = scene.splitlines()
        assert len(lines) <= SCREEN
        assert max(map(len, lines)) <= WIDTH
        assert "…" not in scene  # nothing is cut off


def test_the_convolution_is_computed_sized_and_derived(tour: list[str]) -> None:
    scene = tour[1]
    assert "the layer computes 12." in " ".join(scene.split())
    assert "│ 12 │ 12 17" in scene
    assert "(M - P + 1) × (N - Q + 1), here 3 × 3" in scene
    assert "∂w[p,q] = Σ[i,j] ∂y[i,j] x[i+p,j+q]" in scene
    assert scene.count("right") == 2


def test_the_recurrence_shows_back_propagation_through_time_and_its_check(tour: list[str]) -> None:
    scene = tour[2]
    assert "∂h[t] = ȳ[t] + ∂a[t+1] W_hᵀ  # back-propagation through time" in scene
    assert scene.count(" right") == 5
    assert "WRONG" not in scene


def test_the_gates_stand_side_by_side_and_are_checked(tour: list[str]) -> None:
    scene = tour[3]
    assert "∂c[t] = ∂c[t+1] ⊙ f[t+1]" in scene
    assert "∂r[t] = (Uᵀ ∂a_h_tilde[t]) ⊙ h[t-1]" in scene
    assert scene.count("all right") == 2


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


def test_a_scene_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["7"])
    assert end.value.code == 2
    assert "there is no scene 7" in capsys.readouterr().err
