"""A record in TensorBoard: what its writer is given."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.flowing.record import Record


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.scalars: dict[str, list[tuple[int, float]]] = {}
        self.images: dict[str, Tensor] = {}

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.scalars.setdefault(tag, []).append((global_step, scalar_value))

    def add_image(self, tag: str, img_tensor: Tensor, global_step: int) -> None:
        self.images[tag] = img_tensor


@pytest.fixture
def record() -> Record:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=2, H=4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with chalkgrad.flow(net, optimizer) as record:
        for steps in (9, 6):
            optimizer.zero_grad()
            loss = net(torch.randn(3, steps, 2))[0][:, -1].square().mean()
            loss.backward()
            optimizer.step()
            record.note(loss=loss)
    return record


def test_norms_losses_and_moves_are_scalars_by_training_step(record: Record) -> None:
    kept = Kept()
    record.tensorboard(kept)
    norm = record.norm["c"]
    assert kept.scalars["flow/c/last step"] == [(1, float(norm[0, 8])), (2, float(norm[1, 5]))]
    assert kept.scalars["flow/c/first step"] == [(1, float(norm[0, 0])), (2, float(norm[1, 0]))]
    assert kept.scalars["flow/loss"] == [(k + 1, x) for k, x in enumerate(record.scalars["loss"].tolist())]
    assert len(kept.scalars["flow/moved/W_hi"]) == 2


def test_an_image_has_a_row_for_each_training_step_and_goes_from_black_to_white(record: Record) -> None:
    kept = Kept()
    record.tensorboard(kept)
    image = kept.images["flow/h/log norm"]
    assert image.shape == (1, 2, 9)
    assert image.max() == 1.0
    assert not image[0, 1, 6:].any()
    logs = record.norm["h"][0].log10()
    torch.testing.assert_close(image[0, 0].diff(), logs.diff() / 10, rtol=1e-4, atol=1e-5)


def test_tensorboards_own_writer_takes_it(record: Record, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        record.tensorboard(writer)
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) > 500
