"""torch.compile(fullgraph=True): layers are whole in a graph, with the numbers and gradients of calls."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from tests.often import LARGE, often
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.exc import Unsupported
from torch._dynamo.testing import CompileCounterWithBackend
from torch.library import opcheck
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils._pytree import tree_leaves

import chalkgrad
from chalkgrad.nn import recording
from chalkgrad.nn.calls import Calls
from zoo_layers import NAMES, SEVERAL, drawn, drawn_with_all

F64 = torch.float64
SOME = ("lstm", "gru_after", "rnn_bidirectional", "conv1d", "conv_pool", "max_pool2d", "wavenet")
ALL = often(NAMES, only=SOME)


@pytest.fixture(autouse=True)
def fresh_graphs() -> None:
    torch._dynamo.reset()


def compiled(what: Callable[..., Any], backend: str = "aot_eager") -> Callable[..., Any]:
    return torch.compile(what, fullgraph=True, backend=backend)


def trained(net: nn.Module, call: Callable[..., Any], x: Tensor, *rest: Any, **named: Any) -> list[Tensor]:
    """What a call gives, and all gradients of the sum of its squares."""
    net.zero_grad()
    leaf = x.clone().requires_grad_()
    found = [y for y in tree_leaves(call(leaf, *rest, **named)) if isinstance(y, Tensor)]
    torch.stack([y.square().sum() for y in found if y.is_floating_point()]).sum().backward()
    gradients = [leaf.grad, *(p.grad for p in net.parameters())]
    assert all(g is not None for g in gradients)
    return [y.detach() for y in found] + [g.clone() for g in gradients if g is not None]


def same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_a_compiled_layer_trains_as_it_does_uncompiled(name: str) -> None:
    net, x = drawn(name)
    same(trained(net, compiled(net), x), trained(net, net, x))


@pytest.mark.parametrize("name", often(SEVERAL, seldom=LARGE))
def test_a_compiled_layer_of_several_inputs_has_the_gradients_of_all(name: str) -> None:
    net, given = drawn_with_all(name)
    (_, x), *others = given.items()
    beside = {n: t.requires_grad_() for n, t in others}
    found: list[list[Tensor]] = []
    for call in (compiled(net), net):
        for t in beside.values():
            t.grad = None
        found.append(
            [*trained(net, call, x, **beside), *(t.grad for t in beside.values() if t.grad is not None)]
        )
    same(*found)
    assert all(t.grad is not None and t.grad.any() for t in beside.values())


class Model(nn.Module):
    """A layer between torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3, dtype=F64)
        self.layer, _ = drawn("lstm")
        self.head = nn.Linear(4, 2, dtype=F64)

    def forward(self, words: Tensor, state: Any = None, **asked: Any) -> Any:
        y, state = self.layer(self.embedding(words), state, **asked)
        return self.head(y), state


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lengths": [5, 3], "truncate": 2},
        {"lengths": torch.tensor([4, 5])},
        {"resets": torch.tensor([[False, True, False, False, True]] * 2)},
    ],
)
def test_a_model_is_one_graph_with_states_lengths_and_resets(asked: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net, words = Model(), torch.randint(0, 11, (2, 5))
    graphs = CompileCounterWithBackend("aot_eager")
    call = torch.compile(net, fullgraph=True, backend=graphs)
    state, expected_state = None, None
    for _ in range(2):
        state = state and type(state)(*(s.detach() for s in state))
        y, state = call(words, state, **asked)
        expected, expected_state = net(words, expected_state, **asked)
        torch.testing.assert_close(y, expected)
        assert type(state) is type(expected_state)
        torch.testing.assert_close(tuple(state), tuple(expected_state))
    assert graphs.frame_count == 2  # without a state, and with one


def test_an_example_without_a_batch_and_without_a_gradient() -> None:
    net, x = drawn("lstm")
    one = compiled(net)(x[0])
    torch.testing.assert_close(tuple(one[1]), tuple(net(x[0])[1]))
    with torch.no_grad():
        torch.testing.assert_close(compiled(net)(x)[0], net(x)[0])


def test_sequences_of_other_lengths_share_a_graph() -> None:
    net, _ = drawn("lstm")
    graphs = CompileCounterWithBackend("aot_eager")
    call = torch.compile(net, fullgraph=True, backend=graphs)
    for steps in (5, 6, 9, 17, 3, 30):
        x = torch.randn(2, steps, 3, dtype=F64)
        torch.testing.assert_close(call(x)[0], net(x)[0])
    assert graphs.frame_count == 2  # the first length, and all others


def test_more_layers_compile_by_themselves_than_one_function_may_have_graphs() -> None:
    torch.manual_seed(0)
    many = torch._dynamo.config.recompile_limit + 1
    nets = [chalkgrad.RNN(3, 1 + k, dtype=F64) for k in range(many)]
    nets += [chalkgrad.layer("h[t] = tanh(x[t] W + h[t-1] U)", x=3, h=4, dtype=F64) for _ in range(many)]
    x = torch.randn(2, 5, 3, dtype=F64)
    for net in nets:
        graphs = CompileCounterWithBackend("eager")
        call = torch.compile(net, fullgraph=True, backend=graphs)
        for _ in range(2):
            assert torch.equal(call(x)[0], net(x)[0])
        assert graphs.frame_count == 1


def test_a_model_of_many_layers_is_one_graph() -> None:
    torch.manual_seed(0)
    net = chalkgrad.Stack(*(chalkgrad.layer("rnn", D=3, H=3, dtype=F64) for _ in range(12)))
    graphs = CompileCounterWithBackend("eager")
    x = torch.randn(2, 5, 3, dtype=F64)
    found = torch.compile(net, fullgraph=True, backend=graphs)(x)[0]
    assert torch.equal(found, net(x)[0])
    assert graphs.frame_count == 1


def test_a_class_derived_from_ours_has_its_own_forward_in_the_graph_once() -> None:
    class Doubled(chalkgrad.RNN):
        def forward(self, *args: Any, **named: Any) -> Any:
            y, last = super().forward(*args, **named)
            return 2 * y, last

    net, x = Doubled(3, 4, dtype=F64), torch.randn(5, 2, 3, dtype=F64)
    same(trained(net, compiled(net), x), trained(net, net, x))


def test_where_a_module_has_more_graphs_than_it_may_it_runs_without() -> None:
    net = chalkgrad.RNN(3, 4, dtype=F64)
    call = torch.compile(net, backend="eager", dynamic=False)
    for steps in range(1, torch._dynamo.config.recompile_limit + 4):
        x = torch.randn(steps, 2, 3, dtype=F64)
        assert torch.equal(call(x)[0], net(x)[0])


def test_a_module_that_is_let_go_is_kept_by_nothing_of_its_graphs() -> None:
    net, x = chalkgrad.RNN(3, 4), torch.randn(5, 2, 3)
    compiled(net)(x)
    number = id(net)
    assert number in recording._alone
    del net
    torch._dynamo.reset()
    gc.collect()
    assert number not in recording._alone


WITHOUT_A_NAME_TO_SKIP = """
import torch
del torch._dynamo.eval_frame.skip_code
import chalkgrad

net, x = chalkgrad.RNN(3, 4), torch.randn(5, 2, 3)
model = torch.nn.Sequential(torch.nn.Linear(3, 3), chalkgrad.layer("rnn", D=3, H=4))
for each, like in ((net, x), (model, x)):
    found = torch.compile(each, fullgraph=True, backend="eager")(like)
    for a, b in zip(found, each(like), strict=True):
        torch.testing.assert_close(a, b)
"""


def test_layers_compile_where_torch_has_no_name_to_skip_a_function() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_A_NAME_TO_SKIP], check=True, timeout=100)


@pytest.mark.parametrize("make", [chalkgrad.LSTM, chalkgrad.GRU])
def test_a_graph_holds_stacked_parameters_and_their_gradients_whole(make: Any) -> None:
    called: list[str] = []

    def seen(graph: torch.fx.GraphModule, _: Any) -> Any:
        called.extend(str(n.target) for n in graph.graph.nodes if n.op == "call_function")
        return make_boxed_func(graph.forward)

    net, x = make(3, 4, dtype=F64), torch.randn(5, 2, 3, dtype=F64)
    call = torch.compile(net, fullgraph=True, backend=aot_autograd(fw_compiler=seen))
    same(trained(net, call, x), trained(net, net, x))
    assert called.count("chalkgrad.here.default") == 2
    assert not {"aten.split.Tensor", "aten.cat.default"} & {*called}


def test_a_graph_computes_the_same_once_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, x = chalkgrad.LSTM(3, 4, dtype=F64), torch.randn(5, 2, 3, dtype=F64)
    call = compiled(net)
    expected = trained(net, call, x)
    runs: list[bool] = []
    unready = Calls.unready

    def told(self: Calls, tensors: Any, needs: Any) -> Any:
        runs.append(any(needs))
        return unready(self, tensors, needs)

    monkeypatch.setattr(Calls, "unready", told)
    monkeypatch.setenv("CHALKGRAD_KERNELS", "off")
    same(trained(net, call, x), expected)
    assert runs == [True]


def test_two_layers_of_one_page_keep_their_own_weights() -> None:
    torch.manual_seed(0)
    net = nn.ModuleList(chalkgrad.layer("rnn", D=4, H=4, dtype=F64) for _ in range(2))

    def both(x: Tensor) -> Tensor:
        return net[1](net[0](x)[0])[0]

    x = torch.randn(2, 5, 4, dtype=F64)
    same(trained(net, compiled(both), x), trained(net, both, x))


@pytest.mark.parametrize("options", [{"dropout": 0.5, "num_layers": 2}, {"zoneout": 0.5}])
def test_what_is_drawn_in_training_is_drawn_at_each_call_and_not_after_it(options: dict[str, Any]) -> None:
    net, x = chalkgrad.RNN(3, 4, **options), torch.randn(5, 2, 3)
    call = compiled(net)
    assert not torch.equal(call(x)[0], call(x)[0])
    net.eval()
    assert torch.equal(call(x)[0], net(x)[0])
    net.train()
    assert not torch.equal(call(x)[0], call(x)[0])


@pytest.mark.parametrize(
    ("make", "name", "values"),
    [
        (lambda: chalkgrad.RNN(3, 4, dtype=F64), "zoneout", [0.5, 0.25, (0.125,), 0.75, 0.0]),
        (lambda: chalkgrad.RNN(3, 4, dtype=F64), "nonlinearity", ["relu"]),
        (lambda: chalkgrad.LSTM(3, 4, bidirectional=True, dtype=F64), "batch_first", [True, False]),
        (lambda: chalkgrad.GRU(3, 4, dtype=F64), "reset_after", [False]),
        (lambda: chalkgrad.AvgPool1d(2), "kernel_size", [(3,)]),
        (lambda: chalkgrad.Conv1d(5, 4, 3, dtype=F64), "padding", [(2,)]),
    ],
)
def test_what_is_set_anew_after_compiling_is_seen(
    make: Callable[[], nn.Module], name: str, values: list[Any]
) -> None:
    torch.manual_seed(0)
    net, x = make().eval(), torch.randn(5, 5, 3, dtype=F64)
    call = compiled(net)
    before = tree_leaves(call(x))[0]
    for value in values:
        setattr(net, name, value)
        found, expected = (tree_leaves(m(x))[0] for m in (call, net))
        assert torch.equal(found, expected)
        assert before.shape != found.shape or not torch.equal(before, found)
        before = found


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize(
    "make", [lambda: chalkgrad.layer("rnn", D=3, H=4, dtype=F64), lambda: chalkgrad.LSTM(3, 4, 2, dtype=F64)]
)
def test_a_compiled_layer_that_is_watched_tells_of_its_gradient(
    make: Callable[[], nn.Module], around: bool
) -> None:
    torch.manual_seed(0)
    net, x = make(), torch.randn(5, 2, 3, dtype=F64)
    graphs = CompileCounterWithBackend("aot_eager")
    call = torch.compile(nn.Sequential(nn.Identity(), net) if around else net, backend=graphs)
    unwatched = trained(net, call, x)
    with chalkgrad.flow(net) as expected:
        trained(net, net, x)
    made: list[int] = []
    for _ in range(2):
        with chalkgrad.flow(net) as record:
            same(trained(net, call, x), unwatched)
        same(trained(net, call, x), unwatched)
        assert record.norm.keys() == expected.norm.keys()
        for state, norm in expected.norm.items():
            torch.testing.assert_close(record.norm[state], norm)  # of one pass: the graph told nobody
        made.append(graphs.frame_count)
    assert made[0] == made[1]


def test_a_layer_that_is_watched_is_whole_in_no_graph() -> None:
    net = chalkgrad.layer("rnn", D=3, H=4)
    with chalkgrad.flow(net), pytest.raises(Unsupported, match="fullgraph=False"):
        compiled(net)(torch.randn(2, 5, 3))
    with chalkgrad.flow(net), pytest.raises(RuntimeError, match="watch the layer outside of it"):
        torch.export.export(net, (torch.randn(2, 5, 3),), strict=False)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # Dynamo's, of any input that is no leaf
@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2}), ("GRU", {"batch_first": True})],
)
def test_a_packed_sequence_goes_through_one_graph(
    kind: str, options: dict[str, Any], enforce_sorted: bool
) -> None:
    torch.manual_seed(0)
    net = getattr(chalkgrad, kind)(3, 4, dtype=F64, **options)
    lengths = (6, 4, 4, 1) if enforce_sorted else (4, 1, 6, 4)
    rows = [torch.randn(n, 3, dtype=F64).requires_grad_() for n in lengths]
    h, c = (torch.randn(net._deep, 4, n, dtype=F64) for n in (net.proj_size or 4, 4))
    for hx in ((h, c) if kind == "LSTM" else h, None)[: 1 if enforce_sorted else 2]:
        found: list[list[Tensor]] = []
        for call in (compiled(net), net):
            y, last = call(pack_sequence(rows, enforce_sorted), hx)
            assert isinstance(y, PackedSequence)
            results = [t for t in (*y, *tree_leaves(last)) if t is not None]
            loss = torch.stack([(k + t.square()).sum() for k, t in enumerate((y.data, *tree_leaves(last)))])
            found.append([*results, *torch.autograd.grad(loss.sum(), [*rows, *net.parameters()])])
        same(*found)


def test_a_graph_says_what_a_packed_sequence_keeps_from_it() -> None:
    net, rows = chalkgrad.RNN(3, 4), [torch.randn(n, 3) for n in (4, 2)]
    with pytest.raises(
        Unsupported, match=r"(?s)Pack with enforce_sorted=False, give the initial states.*lengths="
    ):
        compiled(net)(pack_sequence(rows))
    y, _ = torch.compile(net, backend="aot_eager")(pack_sequence(rows))  # where a graph may break it does
    torch.testing.assert_close(y.data, net(pack_sequence(rows))[0].data)


def test_stacks_and_both_directions_are_one_graph_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    torch.manual_seed(0)
    first = chalkgrad.Bidirectional("gru", D=3, H=4, dtype=F64)
    net = chalkgrad.Stack(first, chalkgrad.layer("rnn", D=8, H=3, dtype=F64), dropout=0.5).eval()
    x = torch.randn(2, 5, 3, dtype=F64)
    for asked in ({}, {"lengths": [5, 2]}):
        same(trained(net, compiled(net), x, **asked), trained(net, net, x, **asked))
    assert not [str(w.message) for w in recwarn]


def test_hooks_run_once_and_parametrised_weights_are_found() -> None:
    net, x = drawn("rnn")
    nn.utils.parametrizations.weight_norm(net, "W_h")
    calls = torch.zeros(())

    def hook(*_: Any) -> None:
        calls.add_(1)

    net.register_forward_hook(hook)
    same(trained(net, compiled(net), x), trained(net, net, x))
    assert calls.item() == 2


def test_a_graph_says_which_lengths_do_not_fit() -> None:
    net, x = drawn("lstm")
    with pytest.raises(RuntimeError, match="lengths are from 1 to the number of steps"):
        compiled(net)(x, lengths=torch.tensor([9, 1]))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: chalkgrad.Conv2d(4, 4, 3, groups=2, padding="same", padding_mode="reflect"), (2, 4, 9, 8)),
        (lambda: chalkgrad.ConvTranspose1d(2, 3, 3, stride=2), (2, 2, 5)),
        (lambda: chalkgrad.MaxPool2d(2, return_indices=True), (2, 3, 6, 6)),
        (lambda: chalkgrad.AvgPool2d(3, padding=1, count_include_pad=False), (2, 3, 7, 7)),
        (lambda: chalkgrad.LSTMCell(3, 4), (2, 3)),
        (lambda: chalkgrad.LSTM(3, 4, 2, bidirectional=True, proj_size=2, batch_first=True), (2, 5, 3)),
        (lambda: chalkgrad.GRU(3, 4), (5, 3)),
    ],
)
def test_the_modules_of_torch_nn_compile(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net, x = make().to(F64), torch.randn(shape, dtype=F64)
    same(trained(net, compiled(net), x), trained(net, net, x))


def test_a_layer_that_was_torchs_compiles_once_it_is_ours() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.GRU(3, 4, dtype=F64)), torch.randn(5, 2, 3, dtype=F64)
    chalkgrad.accelerate(net, x, measure=lambda theirs, ours: (2.0, 1.0))
    assert isinstance(net[0], chalkgrad.GRU)
    same(trained(net, compiled(net), x), trained(net, net, x))


@pytest.mark.parametrize("name", ["rnn", "mgu"])
def test_torchs_check_of_operators_passes(name: str) -> None:
    net, x = drawn(name)
    nodes = torch.export.export(net, (x,), strict=True).graph.nodes
    (call,) = (n for n in nodes if n.target is torch.ops.chalkgrad.run.default)
    text, asked, names, sizes = call.args
    tensors = [torch.randn(n.meta["val"].shape, dtype=F64, requires_grad=True) for n in names]
    opcheck(torch.ops.chalkgrad.run.default, (text, asked, tensors, sizes))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own use
@pytest.mark.parametrize("name", ["lstm", "conv_pool"])
def test_inductor_gives_the_same(name: str) -> None:
    net, x = drawn(name)
    same(trained(net, compiled(net, "inductor"), x), trained(net, net, x))
