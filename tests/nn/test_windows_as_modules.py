"""Convolutions and poolings are modules: what torch does with its own, it does with these."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from peers import F64, normal, pair, same, with_gradients
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrizations
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint

import chalkgrad

WEIGHTED: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "Conv1d": ((4, 6, 3), {"padding": 1, "stride": 2}, (2, 4, 9)),
    "Conv2d": ((4, 6, (3, 5)), {"groups": 2, "padding": "same"}, (2, 4, 7, 6)),
    "Conv3d": ((4, 6, 2), {"bias": False}, (2, 4, 3, 4, 5)),
    "ConvTranspose1d": ((4, 6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 5)),
    "ConvTranspose2d": ((4, 6, 3), {"stride": (1, 2), "groups": 2}, (2, 4, 4, 5)),
    "ConvTranspose3d": ((4, 6, 2), {"bias": False}, (2, 4, 2, 3, 4)),
}
POOLED: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "MaxPool1d": ((3,), {"stride": 2, "padding": 1}, (2, 4, 9)),
    "MaxPool2d": ((2,), {"dilation": 2, "stride": 1}, (2, 4, 7, 6)),
    "MaxPool3d": ((2,), {"ceil_mode": True}, (2, 4, 3, 4, 5)),
    "AvgPool1d": ((3,), {"stride": 2, "padding": 1}, (2, 4, 9)),
    "AvgPool2d": ((2,), {"padding": 1, "count_include_pad": False}, (2, 4, 7, 6)),
    "AvgPool3d": ((2,), {"ceil_mode": True}, (2, 4, 3, 4, 5)),
}
ALL = {**WEIGHTED, **POOLED}
Name = str


def both(name: Name, dtype: torch.dtype = F64, **more: Any) -> tuple[Any, Any, Tensor]:
    args, kwargs, shape = ALL[name]
    return *pair(name, *args, dtype=dtype, **kwargs, **more), normal(*shape, dtype=dtype)


def gradients(net: nn.Module, x: Tensor) -> list[Tensor]:
    return with_gradients(net, x, parameters=tuple(net.parameters()))


# --- what they are -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_module_is_torchs_and_is_written_as_torchs(name: Name) -> None:
    ours, torchs, _ = both(name)
    assert isinstance(ours, type(torchs))
    assert type(ours).__name__ == name
    assert repr(ours) == repr(torchs)
    assert ours.__doc__ != torchs.__doc__


@pytest.mark.parametrize("name", WEIGHTED)
def test_one_seed_gives_one_set_of_weights(name: Name) -> None:
    ours, torchs, _ = both(name, torch.float32)
    assert [*ours.state_dict()] == [*torchs.state_dict()]
    assert all(map(torch.equal, ours.state_dict().values(), torchs.state_dict().values()))
    for net in (ours, torchs):
        torch.manual_seed(8)
        net.reset_parameters()
    assert torch.equal(ours.weight, torchs.weight)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_state_dict_goes_from_torchs_to_ours_and_back(name: Name) -> None:
    ours, torchs, x = both(name)
    with torch.no_grad():
        for p in torchs.parameters():
            p.mul_(2).add_(0.5)
    assert not torch.allclose(ours(x), torchs(x))
    assert str(ours.load_state_dict(torchs.state_dict())) == "<All keys matched successfully>"
    same([ours(x)], [torchs(x)])
    with torch.no_grad():
        ours.weight.mul_(-3)
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    torchs.load_state_dict(torch.load(file, weights_only=True))
    same([torchs(x)], [ours(x)])
    with pytest.raises(RuntimeError, match="size mismatch"):
        getattr(chalkgrad, name)(4, 8, 5).load_state_dict(torchs.state_dict(), strict=False)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("used", [False, True])
def test_a_module_can_be_pickled_copied_and_saved(name: Name, used: bool) -> None:
    ours, torchs, x = both(name)
    if used:
        ours(x)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    for other in (
        pickle.loads(pickle.dumps(ours)),
        copy.deepcopy(ours),
        torch.load(file, weights_only=False),
    ):
        assert (repr(other), other.equations) == (repr(ours), ours.equations)
        same(gradients(other, x), gradients(torchs, x))
        for mine, its in zip(ours.parameters(), other.parameters(), strict=True):
            assert mine.data_ptr() != its.data_ptr()


@pytest.mark.parametrize("name", ALL)
def test_a_module_says_its_equations_and_derivation(name: Name) -> None:
    ours, _, _ = both(name)
    assert ours.equations.startswith("y[")
    assert [n.name for n in ours.program.given("input")] == ["x"]
    assert "∂x[" in str(ours.derivation)
    if name in WEIGHTED:
        assert "∂w[" in str(ours.derivation)


# --- dtypes and devices --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes_give_torchs_own_numbers(name: Name, dtype: torch.dtype) -> None:
    ours, torchs, x = both(name)
    ours, torchs, x = ours.to(dtype), torchs.to(dtype), x.to(dtype)
    try:
        wanted = torchs(x)
    except NotImplementedError:
        with pytest.raises(NotImplementedError, match="not implemented for"):
            ours(x)
        return
    found = ours(x)
    assert found.dtype == wanted.dtype == dtype
    # Where a mean counts, it divides a sum; torch divides before it rounds.
    counted = name.startswith("AvgPool")
    torch.testing.assert_close(found, wanted, rtol=2 * torch.finfo(dtype).eps if counted else 0, atol=0)
    assert ours.double()(x.double()).dtype == F64


@pytest.mark.parametrize("name", ALL)
def test_shapes_can_be_asked_of_the_meta_device(name: Name) -> None:
    ours, torchs, x = both(name)
    ours, torchs = ours.to("meta"), torchs.to("meta")
    found, wanted = ours(x.to("meta")), torchs(x.to("meta"))
    assert found.is_meta
    assert found.shape == wanted.shape
    args, kwargs, _ = ALL[name]
    if name in WEIGHTED:
        assert getattr(chalkgrad, name)(*args, **kwargs, device="meta").weight.is_meta


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_results_have_torchs_dtype_and_numbers(name: Name, dtype: torch.dtype) -> None:
    ours, torchs, x = both(name, torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        found, wanted = ours(x), torchs(x)
    assert found.dtype == wanted.dtype
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    for net in (ours, torchs):
        x = x.detach().requires_grad_()
        with torch.autocast("cpu", dtype=dtype):
            y = net(x)
        y.float().square().sum().backward()
        net.x = nn.Parameter(x)
        net.x.grad = x.grad
    for mine, its in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert mine.grad is not None
        assert mine.grad.dtype == torch.float32
        torch.testing.assert_close(mine.grad, its.grad, rtol=1e-6, atol=1e-6)
    with torch.autocast("cpu", dtype=dtype, enabled=False):
        assert ours(x).dtype == torch.float32


# --- with and without gradients ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_numbers_are_the_same(name: Name, mode: type) -> None:
    ours, torchs, x = both(name)
    with mode():
        y = ours(x)
        assert not y.requires_grad
        same([y], [torchs(x)])
    # A plan made in inference mode serves training too.
    same(gradients(ours, x), gradients(torchs, x))
    same([y.clone()], [ours(x)])


@pytest.mark.parametrize("name", WEIGHTED)
def test_what_needs_no_gradient_gets_none(name: Name) -> None:
    ours, torchs, x = both(name)
    for net in (ours, torchs):
        net.weight.requires_grad_(False)
    xs = [x.clone().requires_grad_() for _ in range(2)]
    for net, own in zip((ours, torchs), xs, strict=True):
        net(own).square().sum().backward()
    assert ours.weight.grad is None
    torch.testing.assert_close(xs[0].grad, xs[1].grad, rtol=0, atol=1e-12)
    frozen = ours.requires_grad_(False)(x)
    assert not frozen.requires_grad


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_gives_the_same_gradients(name: Name, reentrant: bool) -> None:
    ours, _, x = both(name)
    wanted = gradients(ours, x)

    def call(x: Tensor) -> Tensor:
        found = checkpoint(ours, x, use_reentrant=reentrant)
        assert isinstance(found, Tensor)
        return found

    x = x.detach().requires_grad_()
    y = call(x)
    ours.zero_grad()
    y.backward(normal(*y.shape, seed=9))
    same([y, x.grad, *(p.grad for p in ours.parameters())], wanted)  # pyright: ignore


def test_changing_what_a_backward_pass_needs_is_an_error() -> None:
    ours, _, x = both("Conv1d")
    y = ours(x.requires_grad_())
    with torch.no_grad():
        ours.weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# --- torch's machinery ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WEIGHTED)
def test_parameters_can_be_replaced_for_one_call(name: Name) -> None:
    ours, torchs, x = both(name)
    others = {n: normal(*p.shape, seed=k) for k, (n, p) in enumerate(ours.named_parameters())}
    same([functional_call(ours, others, (x,))], [functional_call(torchs, others, (x,))])
    same([ours(x)], [torchs(x)])


def test_an_assigned_parameter_is_seen() -> None:
    ours, torchs, x = both("Conv1d")
    ours(x)
    for net in (ours, torchs):
        net.weight = nn.Parameter(normal(6, 4, 5))
        net.bias = None
    same(gradients(ours, x), gradients(torchs, x))
    assert (
        ours.equations == "y[k,i] = Σ[c,p] w[k,c,p] x[c,2i+p-1]\nwhere x: input C×N zero outside ±1, w: K×C×P"
    )


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("how", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_weights_can_be_parametrised(name: Name, how: Any) -> None:
    nets = []
    for net in both(name)[:2]:
        torch.manual_seed(2)
        nets.append(how(net))
    x = both(name)[2]
    nets = [net.eval() for net in nets]
    same(gradients(nets[0], x), gradients(nets[1], x))
    assert all("parametrizations" in n for n, _ in nets[0].named_parameters() if "bias" not in n)
    assert nets[0].equations == both(name)[0].equations


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool1d"])
def test_gradients_of_each_example_can_be_mapped(name: Name) -> None:
    ours, torchs, x = both(name)

    def gradient_of(net: nn.Module) -> Tensor:
        named = dict(net.named_parameters())
        return vmap(grad(lambda x: functional_call(net, named, (x,)).square().sum()))(x)

    same([gradient_of(ours)], [gradient_of(torchs)])


def test_hooks_are_called() -> None:
    ours, _, x = both("Conv2d")
    seen: list[str] = []
    ours.register_forward_pre_hook(lambda *_: seen.append("before"))
    ours.register_forward_hook(lambda *_: seen.append("after"))
    ours.register_full_backward_hook(lambda *_: seen.append("back"))
    ours(x.requires_grad_()).sum().backward()
    assert seen == ["before", "after", "back"]


def test_an_initialisation_that_knows_torchs_layers_knows_ours() -> None:
    def set_up(net: nn.Module) -> None:
        if isinstance(net, nn.Conv2d):
            nn.init.constant_(net.weight, 0.25)

    net = nn.Sequential(chalkgrad.Conv2d(1, 1, 2, bias=False), nn.ReLU()).apply(set_up)
    assert net(torch.ones(1, 1, 3, 3)).tolist() == [[[[1, 1], [1, 1]]]]


def test_a_normalisation_can_be_folded_into_a_convolution() -> None:
    ours, torchs, x = both("Conv2d")
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6, dtype=F64)
    norm(normal(5, 6, 7, 6))
    norm.eval()
    found, wanted = (fuse_conv_bn_eval(net.eval(), norm) for net in (ours, torchs))
    assert type(found) is chalkgrad.Conv2d
    same([found(x)], [wanted(x)])


def test_modules_of_one_text_share_their_page_and_not_their_numbers() -> None:
    torch.manual_seed(0)
    one, two = (chalkgrad.Conv1d(4, 6, 3) for _ in range(2))
    assert one.program is two.program
    x = normal(2, 4, 9, dtype=torch.float32)
    a = one(x)
    assert not torch.equal(a, two(x))
    a.sum().backward()
    assert two.weight.grad is None
    assert chalkgrad.Conv1d(4, 8, 3)(x).shape == (2, 8, 7)
    assert torch.equal(one(x), a)
