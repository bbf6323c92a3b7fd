"""Sequences read from files; what is wrong with a line is said, and the others are read."""

from pathlib import Path

import pytest
import torch

from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.sequence.data import Series, load, parted, season, windows


def table(tmp_path: Path, text: str, name: str = "file.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / name)


def test_rows_of_several_sequences_are_sorted_by_time(tmp_path: Path) -> None:
    found = table(tmp_path, "id,time,a,b,label\nu,2,3,4,x\nv,1,7,8,y\nu,1,1,2,x\n")
    assert found.channels == ("a", "b")
    assert [(s.id, s.label, s.times, s.values.tolist()) for s in found.series] == [
        ("u", "x", ("1", "2"), [[1, 2], [3, 4]]),
        ("v", "y", ("1",), [[7, 8]]),
    ]
    assert found.bad == ()


def test_id_time_and_label_may_be_left_out(tmp_path: Path) -> None:
    [one] = table(tmp_path, "가\n3\n1\n\n2\n").series
    assert (one.id, one.label, one.times) == ("", None, ("0", "1", "2"))
    assert one.values.tolist() == [[3], [1], [2]]


def test_dates_are_times(tmp_path: Path) -> None:
    [one] = table(tmp_path, "time,a\n2024-02-01,2\n2023-12-31T23:00,1\n").series
    assert one.values.tolist() == [[1], [2]]


def test_every_bad_line_is_named_with_its_reason(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "id,time,a,label\nu,1,1,x\nu,2,many,x\nu,3,nan,x\nu,4,4\nu,1,5,x\nu,6,6,y\nu,soon,7,x\n,8,8,x\nu,9,9,\nu,10,10,x\n",
    )
    assert found.series[0].values.tolist() == [[1], [10]]
    assert found.bad == (
        "line 3: a is 'many', no number",
        "line 4: a is 'nan', no number",
        "line 5: it has not as many fields as the first line",
        "line 6: the time 1 has come before",
        "line 7: u has the label x already",
        "line 8: time is 'soon', no number and no date such as 2024-03-01",
        "line 9: id is empty",
        "line 10: label is empty",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,time,label\n", "must begin with a line of different names"),
        ("a,a\n1,2\n", "must begin with a line of different names"),
        ("time,a\n1,x\n", "holds no sequence: line 2"),
        ("\n", "is empty"),
    ],
)
def test_a_file_without_a_sequence_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TaskError, match=says):
        table(tmp_path, text)


def test_the_archives_own_format_is_read_too(tmp_path: Path) -> None:
    text = "# told\n@problemName X\n@data\n1,2,3:4,5,6:one\n1,2:3:two\n7,8:9,10:two\n1:2:3:one\n"
    found = table(tmp_path, text, "file.ts")
    assert [(s.label, s.values.tolist()) for s in found.series] == [
        ("one", [[1, 4], [2, 5], [3, 6]]),
        ("two", [[7, 9], [8, 10]]),
    ]
    assert [line.split(":")[0] for line in found.bad] == ["line 5", "line 7"]
    with pytest.raises(TaskError, match="no line @data"):
        table(tmp_path, "1,2:one", "other.ts")


def test_the_sunspots_that_ship_are_those_of_309_years() -> None:
    [one] = load("sunspots").series
    assert (one.times[0], one.times[-1], len(one)) == ("1700", "2008", 309)
    assert one.values[257].item() == pytest.approx(190.2)  # 1957, the largest
    assert season(one.values[:200]) == 11


def test_no_repetition_is_a_season_of_one() -> None:
    assert season(torch.arange(50.0)[:, None]) == 1
    assert season(torch.ones(50, 1)) == 1


def test_of_each_label_the_last_part_is_held_back() -> None:
    series = [Series(str(k), ("0",), torch.zeros(1, 1), "ab"[k % 2]) for k in range(10)]
    learned, held = parted(series, 0.4)
    assert [s.id for s in held] == ["6", "8", "7", "9"]
    assert len(learned) == 6
    with pytest.raises(TaskError, match="two at least"):
        parted(series[:1], 0.4)


def test_windows_are_every_stretch_whose_future_is_not_before_the_cut() -> None:
    past, future = windows(torch.arange(10.0)[:, None], 3, 2, first=6)
    assert past[..., 0].tolist() == [[3, 4, 5], [4, 5, 6], [5, 6, 7]]
    assert future[..., 0].tolist() == [[6, 7], [7, 8], [8, 9]]
    past, future = windows(torch.arange(4.0)[:, None], 3, 2)
    assert past.shape == (0, 3, 1)
    assert future.shape == (0, 2, 1)
