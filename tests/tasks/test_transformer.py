"""Attention as equations against torch's, and the blocks that are made of it."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import chalkgrad
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.transformer import Attention, DecoderBlock, EncoderBlock, bias, causal, padded, waves


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
@pytest.mark.parametrize("masked", ["nothing", "padding", "causal"])
def test_attention_is_torchs_forwards_and_backwards(backend: str, masked: str) -> None:
    seen = {
        "nothing": torch.ones(2, 4, 4, dtype=torch.bool),
        "padding": padded(torch.tensor([[1, 1, 1, 0], [1, 0, 1, 1]]).bool(), 4),
        "causal": causal(4).expand(2, 4, 4),
    }[masked]
    q, k, v = drawn(2, 3, 4, 5), drawn(2, 3, 4, 5), drawn(2, 3, 4, 6)
    ours = chalkgrad.layer("attention", backend=backend)(Q=q, K=k, V=v, B=bias(seen, 3).double())
    torchs = scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
    torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)
    given = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, (q, k, v), given),
        torch.autograd.grad(torchs, (q, k, v), given),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("backend", ["c", "torch", "eager"])
def test_causal_attention_by_its_range_is_torchs_forwards_and_backwards(backend: str) -> None:
    q, k, v = drawn(2, 3, 6, 5), drawn(2, 3, 6, 5), drawn(2, 3, 6, 4)
    ours = chalkgrad.layer("attention_causal", backend=backend)(Q=q, K=k, V=v)
    torchs = scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)
    given = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, (q, k, v), given),
        torch.autograd.grad(torchs, (q, k, v), given),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def test_attention_in_heads_is_torchs_module_with_the_same_weights() -> None:
    heads, width = 4, 12
    ours = chalkgrad.layer("attention_multihead", H=heads, C=width, D=3, dtype=torch.float64)
    torchs = nn.MultiheadAttention(width, heads, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        inward = [ours.get_parameter(f"W_{n}").transpose(1, 2).reshape(width, width) for n in "QKV"]
        torchs.in_proj_weight.copy_(torch.cat(inward))
        torchs.out_proj.weight.copy_(ours.get_parameter("W_O").reshape(width, width).T)
    x, u = drawn(2, 5, width), drawn(2, 7, width)
    seen = padded(torch.arange(7) < torch.tensor([[7], [4]]), 5)
    y = ours(x=x, u=u, B=bias(seen, heads).double())
    theirs, _ = torchs(x, u, u, key_padding_mask=~seen[:, 0])
    torch.testing.assert_close(y, theirs, rtol=1e-11, atol=1e-11)


def test_a_block_is_causal_where_its_bias_is() -> None:
    block = EncoderBlock(8, 2).double()
    x = torch.randn(3, 6, 8, dtype=torch.float64)
    later = torch.cat([x[:, :4], torch.randn(3, 2, 8, dtype=torch.float64)], 1)
    added = bias(causal(6).expand(3, 6, 6), 2).double()
    torch.testing.assert_close(block(x, added)[:, :4], block(later, added)[:, :4], rtol=1e-12, atol=1e-12)
    free = torch.zeros_like(added)
    assert not torch.allclose(block(x, free)[:, :4], block(later, free)[:, :4])


def test_padding_of_what_is_read_changes_nothing() -> None:
    block = DecoderBlock(8, 2).double()
    x, read = (torch.randn(2, n, 8, dtype=torch.float64) for n in (3, 5))
    own = bias(causal(3).expand(2, 3, 3), 2).double()
    whole = block(x, own, read, bias(torch.ones(2, 3, 5).bool(), 2).double())
    longer = torch.cat([read, torch.randn(2, 4, 8, dtype=torch.float64)], 1)
    real = torch.arange(9).expand(2, 9) < 5
    torch.testing.assert_close(block(x, own, longer, bias(padded(real, 3), 2).double()), whole)


def test_every_weight_of_the_blocks_gets_a_gradient() -> None:
    encoder, decoder = EncoderBlock(8, 2, dropout=0.1), DecoderBlock(8, 2, dropout=0.1)
    own = bias(causal(4).expand(2, 4, 4), 2)
    read = encoder(torch.randn(2, 4, 8), own)
    decoder(torch.randn(2, 4, 8), own, read, own).square().sum().backward()
    for name, parameter in [*encoder.named_parameters(), *decoder.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(TaskError, match="3 heads do not share a width of 8"):
        Attention(8, 3)


def test_waves_are_those_of_the_paper() -> None:
    made = waves(50, 6)
    assert made.shape == (50, 6)
    assert made[7, 2].item() == pytest.approx(math.sin(7 / 10000 ** (2 / 6)), abs=1e-5)
    assert made[7, 5].item() == pytest.approx(math.cos(7 / 10000 ** (4 / 6)), abs=1e-5)
