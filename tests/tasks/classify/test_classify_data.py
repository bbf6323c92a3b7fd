"""Pictures with their classes: folders, digits, Fashion-MNIST; and what is wrong with them, said."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tasks.classify.made_clothes import clothes, picture

from chalkgrad.tasks.classify import TaskError, fashion_mnist, load
from chalkgrad.tasks.classify.data import split
from chalkgrad.tasks.classify.pictures import opened, tensor
from chalkgrad.tasks.sets import FASHION_MNIST


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        for k in range(5):
            picture(tmp_path / "photos" / name / f"{k}.png", seed=k + 10 * (name == "dog"))
    return tmp_path / "photos"


def test_the_digits_are_all_there_and_a_fifth_of_each_is_kept() -> None:
    data = load("digits")
    assert len(data.training) + len(data.test) == 1797
    assert data.shape == (1, 8, 8)
    counts = torch.bincount(data.test.labels).float() / torch.bincount(data.training.labels)
    assert ((counts - 0.25).abs() < 0.02).all()
    assert int(data.training.pictures.max()) == 255


def test_the_same_pictures_are_kept_each_time_and_none_is_in_both_parts() -> None:
    labels = torch.arange(100) % 7
    training, test = split(labels)
    assert torch.equal(split(labels)[1], test)
    assert torch.cat([training, test]).sort().values.equal(torch.arange(100))


def test_folders_are_classes_and_a_fifth_of_each_is_for_testing(photos: Path) -> None:
    data = load(str(photos))
    assert data.classes == ("cat", "dog")
    assert data.shape == (1, 8, 8)
    assert data.training.labels.tolist() == [0] * 4 + [1] * 4
    assert data.test.labels.tolist() == [0, 1]
    assert data.notes == ()


def test_train_and_test_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    for part, n in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            for k in range(n):
                picture(tmp_path / part / name / f"{k}.png", seed=k)
    data = load(str(tmp_path))
    assert data.classes == ("a", "b")
    assert (len(data.training), len(data.test)) == (6, 4)


def test_a_bad_file_is_counted_named_and_left_out(photos: Path) -> None:
    whole = (photos / "cat" / "0.png").read_bytes()
    (photos / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "dog" / "list.txt").write_text("rex\n")
    data = load(str(photos))
    assert len(data.training) + len(data.test) == 10
    assert data.notes[0].startswith("2 of 12 files are left out: ")
    assert "cut.png cannot be read as a picture" in data.notes[0]
    assert "list.txt cannot be read as a picture: not a picture" in data.notes[0]


def test_pictures_of_mixed_sizes_come_to_the_commonest(photos: Path) -> None:
    picture(photos / "cat" / "long.png", (20, 8))
    data = load(str(photos))
    assert data.shape == (1, 8, 8)
    assert data.notes == ("1 of 11 pictures were brought to 8×8 pixels",)
    assert load(str(photos), pixels=12).shape == (1, 12, 12)


def test_photographs_come_to_sixty_four_pixels_and_one_coloured_picture_colours_all(photos: Path) -> None:
    for k in range(12):
        picture(photos / "dog" / f"photo{k}.jpg", (700, 500), "RGB", seed=k)
    data = load(str(photos))
    assert data.shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        ({}, "holds no folders"),
        ({"cat": 3}, r"one class only \(cat\)"),
        ({"cat": 3, "dog": 0}, "dog holds 0 pictures"),
        ({"cat": 3, "dog": 1}, "dog holds 1 pictures and needs 2 or more"),
    ],
)
def test_a_folder_that_is_no_data_is_named(tmp_path: Path, folders: dict[str, int], says: str) -> None:
    for name, n in folders.items():
        (tmp_path / name).mkdir()
        for k in range(n):
            picture(tmp_path / name / f"{k}.png")
    with pytest.raises(TaskError, match=says) as caught:
        load(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(TaskError, match="no data 'nmist': digits, fashion-mnist, or a folder"):
        load("nmist")
    with pytest.raises(TaskError, match="has a size of its own"):
        load("digits", pixels=9)


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(TaskError, match=r'needs scikit-learn: pip install "chalkgrad\[tasks\]"'):
        load("digits")


def test_a_picture_keeps_its_values_in_any_form(tmp_path: Path) -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(values).save(tmp_path / "grey.png")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        read = tensor(opened(tmp_path / name), (1, 8, 8))
        assert (read[0].int() - torch.from_numpy(values).int()).abs().max() <= 1, name
    clear = np.zeros((4, 4, 4), np.uint8)  # black, and wholly transparent
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (tensor(opened(tmp_path / "clear.png"), (1, 4, 4)) == 255).all()


def test_every_cut_of_a_picture_is_a_clear_error_or_a_picture(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.gif", "a.bmp", "a.tiff", "a.webp"):
        whole = picture(tmp_path / name, (30, 20)).read_bytes()
        refused: list[str] = []
        for cut in range(0, len(whole), max(1, len(whole) // 12)):
            (tmp_path / name).write_bytes(whole[:cut])
            try:
                opened(tmp_path / name)
            except TaskError as error:
                refused.append(str(error))
        assert refused
        assert all(str(tmp_path / name) in said and "\n" not in said for said in refused)


def test_fashion_mnist_is_read_as_it_was_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    files = clothes()
    FASHION_MNIST.home.mkdir(parents=True)
    for name, content in files.items():
        (FASHION_MNIST.home / name).write_bytes(content)
    data = load("fashion-mnist")
    assert (len(data.training), len(data.test), data.shape) == (20, 10, (1, 4, 4))
    assert data.test.labels.tolist() == list(range(10))
    content = gzip.decompress(files["t10k-images-idx3-ubyte.gz"])
    assert data.test.pictures.numpy().tobytes() == content[16:]
    file = FASHION_MNIST.home / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(TaskError, match=r"t10k-labels-idx1-ubyte\.gz is damaged .*fetch fashion-mnist"):
        load("fashion-mnist")


def test_files_that_are_not_there_say_how_to_bring_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(TaskError, match="run `chalkgrad data fetch fashion-mnist`"):
        load("fashion-mnist")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"\x00\x00\x08\x03"),
        gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x09ab"),
    ],
    ids=["empty", "no gzip", "short", "cut"],
)
def test_a_file_that_is_no_idx_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(TaskError, match=r"x\.gz"):
        fashion_mnist.idx(tmp_path / "x.gz", 1)
