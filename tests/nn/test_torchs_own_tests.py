"""The samples by which torch tests its recurrent modules, with our classes in place of torch's.

They are those of ``torch.testing``'s database of modules, for the installed version of torch: shapes without
a batch against the same with a batch of one, and calls that must fail, with the words of the error.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from tests.nn.beside_torch import close, computed, flat
from torch import nn
from torch.autograd.gradcheck import gradcheck, gradgradcheck

import chalkgrad

common = pytest.importorskip("torch.testing._internal.common_modules", exc_type=ImportError)
F64 = torch.float64
KINDS = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
INFO = {kind: next(i for i in common.module_db if i.module_cls is getattr(nn, kind)) for kind in KINDS}


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """These are many equations on few numbers, and what is compiled is held to torch elsewhere."""
    monkeypatch.setenv("CHALKGRAD_KERNELS", "off")


def samples(kind: str) -> list[tuple[Any, Any, Any]]:
    """Of each sample a module of ours, what it is called with, and torch's reference for the result."""
    info = INFO[kind]
    options = {"with_packed_sequence": True} if kind in ("RNN", "GRU") else {}
    torch.manual_seed(0)
    found = info.module_inputs_func(
        info, device="cpu", dtype=F64, requires_grad=True, training=True, **options
    )
    assert len(found) >= 2
    made: list[tuple[Any, Any, Any]] = []
    for s in found:
        of = s.constructor_input
        net = getattr(chalkgrad, kind)(*of.args, **of.kwargs, dtype=F64)
        made.append((net, s.forward_input, s.reference_fn))
    return made


def results(result: Any) -> list[torch.Tensor]:
    return [r for r in flat(result) if r.is_floating_point()]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_give_what_the_reference_gives(kind: str) -> None:
    for net, given, reference in samples(kind):
        found = results(net(*given.args, **given.kwargs))
        if not any(isinstance(a, nn.utils.rnn.PackedSequence) for a in given.args):
            close(found, results(reference(net, *given.args, **given.kwargs)))
        theirs = getattr(nn, kind).__new__(getattr(nn, kind))
        theirs.__dict__ = net.__dict__
        leaves = [x for x in results([given.args, [*given.kwargs.values()]]) if x.is_leaf]
        mine, torchs = (
            computed(m, lambda m, given=given: m(*given.args, **given.kwargs), *leaves) for m in (net, theirs)
        )
        close(mine, torchs)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_survive_a_pickle_a_copy_and_another_dtype(kind: str) -> None:
    for net, given, _ in samples(kind):
        expected = results(net(*given.args, **given.kwargs))
        for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.float().double()):
            close(results(other(*given.args, **given.kwargs)), expected, within=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_first_and_second_derivatives(kind: str) -> None:
    for net, given, _ in samples(kind)[::3]:
        args = [x.detach().requires_grad_() for x in results(given.args)]

        def call(*leaves: torch.Tensor, net: Any = net, given: Any = given) -> Any:
            left = iter(leaves)

            def again(a: Any) -> Any:
                if isinstance(a, tuple) and not isinstance(a, nn.utils.rnn.PackedSequence):
                    return tuple(again(part) for part in a)
                x = next(left)
                return a._replace(data=x) if isinstance(a, nn.utils.rnn.PackedSequence) else x

            return tuple(results(net(*[again(a) for a in given.args])))

        assert gradcheck(call, args, fast_mode=True)
        assert gradgradcheck(call, args, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_must_fail_fails_in_the_same_words(kind: str) -> None:
    info = INFO[kind]
    errors = info.module_error_inputs_func(info, device="cpu", dtype=F64, requires_grad=False, training=True)
    assert errors
    for wrong in errors:
        of, given = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        if wrong.error_on is common.ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(wrong.error_type, match=wrong.error_regex):
                getattr(chalkgrad, kind)(*of.args, **of.kwargs)
            continue
        net = getattr(chalkgrad, kind)(*of.args, **of.kwargs)
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            net(*given.args, **given.kwargs)
