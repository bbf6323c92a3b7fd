"""torch.export, strictly: a file that another process reads and runs, at other sizes as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.export import Dim
from torch.utils._pytree import tree_leaves

import chalkgrad
from chalkgrad.equations.stored import restored, stored
from zoo_layers import NAMES, SEVERAL, drawn, drawn_with_all, flat

F64 = torch.float64

FRESH = """
import sys
import chalkgrad  # and nothing else of it
import torch
from torch.utils._pytree import tree_leaves

assert "chalkgrad.nn.layer" not in sys.modules
for name in sys.argv[2:]:
    net = torch.export.load(f"{sys.argv[1]}/{name}.pt2").module()
    for x, expected in torch.load(f"{sys.argv[1]}/{name}.pt"):
        found = tree_leaves(net(x))
        assert len(found) == len(expected)
        for a, b in zip(found, expected):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
print("as it was")
"""


@pytest.mark.slow
def test_files_are_read_by_a_fresh_process_at_other_lengths_too(tmp_path: Path) -> None:
    own = "s[t] = τ(x[t] W + s[t-1] U)\nwhere x[t]: D, s[t]: H"
    nets = {
        "lstm": drawn("lstm")[0],
        "own": chalkgrad.layer(own, functions={"τ": "tanh"}, D=3, H=4, dtype=F64),
        "gru": chalkgrad.layer("gru", D=3, H=4, dtype=F64),
    }
    for name, net in nets.items():
        sizes = {0: Dim("B"), 1: Dim("T")}
        program = torch.export.export(
            net, (torch.randn(2, 5, 3, dtype=F64),), strict=True, dynamic_shapes={"args": (sizes,)}
        )
        torch.export.save(program, tmp_path / f"{name}.pt2")
        inputs = [torch.randn(b, t, 3, dtype=F64) for b, t in ((2, 5), (3, 9))]
        pairs = [(x, [y.detach() for y in tree_leaves(tuple(net(x)))]) for x in inputs]
        torch.save(pairs, tmp_path / f"{name}.pt")
    net, x = drawn("conv_pool")
    torch.export.save(torch.export.export(net, (x,), strict=True), tmp_path / "conv_pool.pt2")
    torch.save([(x, [net(x).detach()])], tmp_path / "conv_pool.pt")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path), *nets, "conv_pool"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "as it was\n", done.stderr


def test_an_exported_layer_can_be_trained_on() -> None:
    net, x = drawn("rnn")
    program = torch.export.export(net, (x,), strict=True).module()
    y, _ = program(x)
    y.square().sum().backward()
    found = {n: p.grad for n, p in program.named_parameters()}
    net(x)[0].square().sum().backward()
    for n, p in net.named_parameters():
        torch.testing.assert_close(found[n], p.grad)


@pytest.mark.parametrize("name", SEVERAL)
def test_a_layer_of_several_inputs_is_exported_with_all_of_them(name: str) -> None:
    net, given = drawn_with_all(name)
    inputs = tuple(given.values())
    open_axes = {
        n: {
            k: str(r.size)
            for k, r in enumerate(net.program[n].ranges, 1)
            if not {*r.size.symbols} <= {*net.sizes}
        }
        for n in given
    }
    shapes = tuple({0: Dim("B"), **{k: Dim(s) for k, s in axes.items()}} for axes in open_axes.values())
    program = torch.export.export(net, inputs, strict=True, dynamic_shapes={"args": shapes}).module()
    other = []  # another batch, and other lengths; what is one for the whole sequence has none
    for x, axes in zip(inputs, open_axes.values(), strict=True):
        x = torch.cat([x, x[:1]])
        for k in axes:
            x = torch.cat([x, x], k)
        other.append(x)
    for these in (inputs, other):
        torch.testing.assert_close(flat(program(*these)), flat(net(*these)), rtol=1e-12, atol=1e-12)


def test_a_length_at_which_nothing_is_left_is_refused_by_the_graph() -> None:
    net = chalkgrad.layer("y[i] = tanh(Σ[p] w[p] x[i+p]) where x: input", w=4, dtype=F64)
    x = torch.randn(2, 9, dtype=F64)
    program = torch.export.export(net, (x,), strict=True, dynamic_shapes={"args": ({1: Dim.DYNAMIC},)})
    run = next(n for n in program.graph.nodes if n.target is torch.ops.chalkgrad.run.default)
    text, asked, _, sizes = run.args
    small = {**dict(zip(json.loads(asked)["sizes"], sizes, strict=True)), "|x|": 2, "batch": 2}
    with pytest.raises(ValueError, match="these equations do not fit the sizes"):
        torch.ops.chalkgrad.run(text, asked, [torch.randn(2, 2, dtype=F64), net.w], [*small.values()])


@pytest.mark.parametrize("name", [*NAMES, *SEVERAL])
def test_programs_come_back_from_their_text(name: str) -> None:
    system = drawn_with_all(name)[0]._system
    derived = system.derived(tuple(n.name for n in system.program.given()))
    for program in (system.program, derived.program):
        assert restored(stored(program)) == program


@pytest.mark.parametrize("text", ["{}", "[]", '{"Program":[]}', '{"System":[[]]}', '{"Read":["x",[]]}', "3"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no stored program|unpack"):
        restored(text)
