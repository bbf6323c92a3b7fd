"""A trace's numbers are the layer's and autograd's, and each of its lines says what it is."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest
import torch
from tests.often import LARGE, often
from torch import Tensor

import chalkgrad
from chalkgrad.tracing.trace import Trace, trace
from chalkgrad.zoo import names
from pages import PAGES

C7 = "y[i,j] = Σ[p,q] w[p,q] x[i+p,j+q] where x: input"
C7_VALUES = {"x": [[3, 3, 2], [0, 0, 1], [3, 1, 2]], "w": [[0, 1, 2], [2, 2, 0], [0, 1, 2]]}
RNN = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"
RNN_VALUES = {
    "x": [[1, 0], [0, 1]],
    "W_x": [[0.5, -1, 0], [0.25, 0, 1]],
    "W_h": [[1, 0, 0], [0, -1, 0.5], [0, 0, 0]],
    "b": [0, 0.5, -0.5],
}
LAYERS = {**{name: page.text for name, page in PAGES.items()}, **{name: name for name in names()}}


@cache
def traced(name: str) -> Trace:
    return trace(LAYERS[name], random=True)


def against_the_layer(what: str, found: Trace) -> dict[str, tuple[Tensor, Tensor]]:
    """Outputs and gradients of a trace beside those of the layer with the same numbers, by name."""
    p = found.program
    sizes = {s: n for s, n in found.sizes.items() if s.isidentifier()}
    shapes = {n.name: tuple(found.values[n.name].shape) for n in p.given("parameter") if n.ranges}
    init = {n.name: found.values[n.name] for n in p.given("parameter")}
    net = chalkgrad.layer(what, dtype=torch.float64, init=init, **(shapes or sizes))
    inputs = {n.name: found.values[n.name].clone().requires_grad_() for n in p.given("input")}
    output = net(**inputs)
    outputs = output[0] if p.states else output
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    loss = torch.stack([y.sum() for y in outputs]).sum()
    wrt = {**inputs, **dict(net.named_parameters())}
    gradients = torch.autograd.grad(loss, list(wrt.values()), allow_unused=True)
    pairs = {o: (found.values[o], y) for o, y in zip(p.outputs, outputs, strict=True)}
    for (name, x), g in zip(wrt.items(), gradients, strict=True):
        pairs["∂" + name] = found.gradients[name], torch.zeros_like(x) if g is None else g
    return pairs


@pytest.mark.parametrize("name", often(LAYERS, seldom=LARGE))
def test_every_number_is_the_layers(name: str) -> None:
    found = traced(name)
    for what, (ours, theirs) in against_the_layer(LAYERS[name], found).items():
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12), what


@pytest.mark.parametrize("name", ["G1", "A1", "conv2d", "G4", "layer norm", "X2"])
def test_the_gradient_is_that_of_automatic_differentiation(name: str) -> None:
    """Through the forward equations alone: nothing derived here."""
    from chalkgrad.calculus.normalise import normalise
    from chalkgrad.kernels.eager import Runner

    found = trace(LAYERS[name], random=True, seed=3)
    p = found.program
    given = {n.name: found.given[n.name].clone().requires_grad_() for n in p.given()}
    values = Runner(normalise(p))(given, found.sizes, p.outputs)
    starts = {s.name for s in p.states}
    loss = torch.stack([(v if o not in starts else own(found, o, v)).sum() for o, v in values.items()]).sum()
    for x, g in zip(given, torch.autograd.grad(loss, list(given.values()), allow_unused=True), strict=True):
        ours = found.gradients[x]
        assert torch.allclose(ours.reshape(-1), (torch.zeros_like(ours) if g is None else g).reshape(-1)), x


def own(found: Trace, name: str, value: Tensor) -> Tensor:
    """A state without its starts."""
    whole, kept = found.program[name].ranges, found.program.defining(name)[-1].domain
    for k, (a, b) in enumerate(zip(whole, kept, strict=True)):
        first = (b.low - a.low).value(found.sizes)
        value = value.narrow(k, first, b.size.value(found.sizes))
    return value


@pytest.mark.parametrize("name", LAYERS)
def test_every_line_is_in_the_page_after_what_it_reads(name: str) -> None:
    found = traced(name)
    text = str(found)
    seen: set[str] = set()
    for e in found.entries:
        assert e.shown in text
        if not e.grows:
            assert e.shown not in seen, f"{e.shown} twice"
        seen.add(e.shown)
    computed = {n.name for n in found.program.names if n.role == "defined"}
    assert computed <= {e.name for e in found.entries}


@pytest.mark.parametrize("name", LAYERS)
def test_no_line_is_wider_than_the_page(name: str) -> None:
    for width in (80, 60):
        lines = traced(name).text(width).splitlines()
        assert max(map(len, lines)) <= width, max(lines, key=len)


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("max pooling",)])
def test_products_written_out_add_up(name: str) -> None:
    """`y[0,0] = 0·3 + 1·3 = 3`: the arithmetic on the page is right, to the digits printed."""
    lines = trace(LAYERS[name], random=True, digits=12).text(10_000).splitlines()
    found = 0
    for line in lines:
        match = re.fullmatch(r" +\S+ \+?= ([-0-9.e·+ ()/]+) = (\S+)", line)
        if match and "…" not in line:
            left = eval(match[1].replace("·", "*"), {"__builtins__": {}})
            assert left == pytest.approx(float(match[2]), rel=1e-9, abs=1e-9), line
            found += 1
    if name in ("C1", "C3", "C6", "conv1d", "conv2d", "A2", "R4"):
        assert found


VECTOR = re.compile(r"\[([-0-9.e+ ]+)\](ᵀ?)")


def evaluated(worked: str) -> np.ndarray:
    """A line of the page as numbers: vectors, ⊙, functions; a column beside a row is an outer product."""
    words = VECTOR.sub(lambda m: f"V([{m[1].strip().replace(' ', ',')}])" + ("._T" if m[2] else ""), worked)
    words = words.replace("²", "**2").replace("⊙", "*").replace("σ(", "sigmoid(")
    words = re.sub(r"(V\([^)]*\))\._T · (V\([^)]*\))", r"outer(\1, \2)", words)
    words = re.sub(r"(V\([^)]*\)) · (V\([^)]*\))\._T", r"outer(\1, \2)", words).replace("·", "*")
    names = {"V": np.array, "outer": np.outer, "tanh": np.tanh, "exp": np.exp, "log": np.log, "sqrt": np.sqrt}
    names["relu"] = lambda x: np.maximum(x, 0)
    names |= {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "logsumexp": lambda *x: np.log(np.exp(x).sum())}
    return eval(words, {"__builtins__": {}, **names})


@pytest.mark.parametrize(
    "name", ["rnn", "lstm", "gru", "lstm_peephole", "G4", "layer norm", "A1", "R6", "C10"]
)
def test_each_line_of_numbers_comes_to_the_next(name: str) -> None:
    lines = trace(LAYERS[name], random=True, digits=14).text(10_000).splitlines()
    found = 0
    for k in range(len(lines) - 2):
        worked, value = (re.fullmatch(r" +(?:\S+ )?= (.*)", line) for line in lines[k : k + 2])
        if (
            not (worked and value and "[" in worked[1])
            or "Σ" in worked[1]
            or re.search(r"[^\s(\[]\[", worked[1])
        ):
            continue
        if lines[k + 2].startswith(" ") and "=" not in lines[k + 2]:
            continue  # a matrix: its rows are compared elsewhere
        if VECTOR.fullmatch(worked[1]) or not re.fullmatch(r"\[[-0-9.e+ ]+\]", value[1]):
            continue
        assert np.allclose(evaluated(worked[1]), evaluated(value[1]), rtol=1e-9, atol=1e-11), lines[k : k + 2]
        found += 1
    assert found > 3 or name in ("R6", "C10")


# --- the worked example --------------------------------------------------------------------------------


def test_a_convolution_shows_its_products_and_their_sum() -> None:
    found = trace(C7, C7_VALUES)
    assert found.values["y"].tolist() == [[12.0]]
    assert "    y[0,0] = 0·3 + 1·3 + 2·2 + 2·0 + 2·0 + 0·1 + 0·3 + 1·1 + 2·2 = 12\n" in str(found)
    assert found.gradients["w"].tolist() == C7_VALUES["x"]


def test_a_recurrence_is_told_step_by_step() -> None:
    lines = str(trace(RNN, RNN_VALUES)).splitlines()
    first = lines.index("── forward, t = 1 ──────────────────────────────────────────────────────")
    assert lines[first + 1 : first + 7] == [
        "  a[1] = x[1] W_x + h[0] W_h + b",
        "       = [0.5 -1 0] + [0 0 0] + [0 0.5 -0.5]",
        "       = [0.5 -0.5 -0.5]",
        "  h[1] = tanh(a[1])",
        "       = tanh([0.5 -0.5 -0.5])",
        "       = [0.4621 -0.4621 -0.4621]",
    ]
    rules = [re.sub("─", "", line).strip() for line in lines if line.startswith("──")]
    assert rules == [
        "given (T=2)",
        "forward, t = 1",
        "forward, t = 2",
        "what arrives from the loss",
        "backward, t = 2",
        "backward, t = 1",
        "backward, t = 0",
        "the gradients",
    ]
    assert "  ∂h[2] = ȳ[2]" in lines  # nothing comes back from after the end
    assert "  ∂h[1] = ȳ[1] + ∂a[2] W_hᵀ" in lines
    assert "  ∂W_h += h[1]ᵀ ∂a[2]" in lines


def test_a_state_that_runs_backward_is_walked_from_the_end() -> None:
    found = trace(PAGES["G4"].text, random=True)
    order = [e.shown for e in found.entries if not e.backward and e.name in "hgy"]
    assert order == ["h[1]", "h[2]", "h[3]", "g[3]", "y[3]", "g[2]", "y[2]", "g[1]", "y[1]"]


def test_two_recurrences_are_walked_place_by_place() -> None:
    found = trace(PAGES["X2"].text, random=True, steps=2)
    assert [e.shown for e in found.entries if e.name == "h"] == ["h[1,1]", "h[1,2]", "h[2,1]", "h[2,2]"]


def test_what_arrives_from_the_loss_may_be_given() -> None:
    for key in ("ȳ", "y_bar", "ybar", "∂h", "h_bar"):
        found = trace(RNN, {**RNN_VALUES, key: [[0, 0, 0], [1, 0, 0]]})
        assert found.gradients["b"][0].item() == pytest.approx(
            (1 - found.values["h"][1, 0] ** 2).item() * (1 + (1 - found.values["h"][0, 0].item() ** 2))
        )


def test_a_start_may_be_given_with_or_without_its_step() -> None:
    for key, value in (("h₀", [1, 0, 0]), ("h0", [[1, 0, 0]])):
        found = trace(RNN, {**RNN_VALUES, key: value})
        assert "  h[0] = [1 0 0]   (the start)" in str(found)
        assert found.values["a"][0].tolist() == [1.5, -0.5, -0.5]


def test_an_axis_for_a_batch_of_one_is_dropped() -> None:
    assert trace(RNN, {**RNN_VALUES, "x": [RNN_VALUES["x"]]}).values["x"].shape == (2, 2)


def test_tensors_are_values_too() -> None:
    found = trace(RNN, {n: torch.tensor(v) for n, v in RNN_VALUES.items()})
    assert torch.equal(found.values["h"], trace(RNN, RNN_VALUES).values["h"])


def test_random_numbers_fill_in_what_is_not_given() -> None:
    found = trace(RNN, {"x": RNN_VALUES["x"]}, random=True, h=4)
    assert found.values["W_h"].shape == (4, 4)
    assert "drawn at random: W_x, W_h, b" in str(found)
    assert (found.values["W_h"] * 10).frac().abs().max() < 1e-9  # one digit after the point
    assert torch.equal(found.values["x"], torch.tensor(RNN_VALUES["x"]).double())


def test_a_recurrence_without_an_input_has_as_many_steps_as_asked() -> None:
    found = trace("h[t] = tanh(h[t-1] W)", {"W": [[0.5]], "h0": [1]}, steps=4)
    assert found.values["h"].shape == (4, 1)
    assert trace("h[t] = tanh(h[t-1] W)", random=True).values["h"].shape[0] == 3


def test_random_numbers_are_positive_where_a_logarithm_needs_them() -> None:
    found = trace("y[i] = log(x[i]) where x: input", random=True)
    assert found.values["y"].isfinite().all()


def test_a_negative_number_that_is_taken_away_stands_in_brackets() -> None:
    text = str(trace("L = Σ[i] (y[i] - z[i])² where y: input N, z: input N", {"y": [1], "z": [-2]}))
    assert "= (1 - (-2))² = 9" in text


def test_sizes_and_positions_are_numbers_in_a_line() -> None:
    text = str(trace("y[i] = x[i] / N where x: input N", {"x": [3, 6, 9]}))
    assert "= [3 6 9] / 3\n       = [1 2 3]" in text


def test_what_the_page_says_of_a_start_value_is_kept() -> None:
    assert trace("lstm", random=True, D=2, H=3).values["b_f"].tolist() == [1, 1, 1]


def test_large_arrays_are_cut_and_say_so() -> None:
    text = str(trace(RNN, random=True, x=2, h=30, steps=1))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" in text
    assert "⋮" in text
    assert "numbers left out" in text
    assert "numbers left out" not in str(trace(RNN, random=True, x=2, h=3, steps=1))


def test_digits_are_as_many_as_asked() -> None:
    assert "tanh([0.5 -0.5 -0.5])\n       = [0.46212 -0.46212 -0.46212]" in str(
        trace(RNN, RNN_VALUES, digits=5)
    )


def test_json_holds_every_number_unrounded() -> None:
    found = trace(RNN, RNN_VALUES)
    whole = json.loads(found.json())
    assert whole["values"]["h"] == found.values["h"].tolist()
    assert whole["gradients"]["W_x"] == found.gradients["W_x"].tolist()
    assert whole["sizes"] == {"T": 2, "|x|": 2, "|h|": 3}
    last = [line for line in whole["lines"] if line["name"] == "∂W_x"][-1]
    assert last["so far"] == found.gradients["W_x"].tolist()
    assert last["steps"] == {"t": 1}


def test_what_is_no_number_is_null_in_json() -> None:
    found = trace("y[i] = log(x[i]) where x: input", {"x": [1, -1]})
    assert json.loads(found.json(), parse_constant=pytest.fail)["values"]["y"] == [0, None]


# --- hello ---------------------------------------------------------------------------------------------

HELLO = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)\no[t] = h[t] V + c"
ALPHABET = "helo"


def one_hot(word: str) -> Tensor:
    return torch.eye(4, dtype=torch.float64)[[ALPHABET.index(c) for c in word]]


def test_a_network_that_spells_hello_is_followed_number_by_number() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer(HELLO, x=4, h=3, o=4, dtype=torch.float64)
    x, target = one_hot("hell"), torch.tensor([ALPHABET.index(c) for c in "ello"])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(70):
        logits, _ = net(x)
        loss = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logits, _ = net(x)
    assert "".join(ALPHABET[k] for k in logits.argmax(1)) == "ello"
    # It spells on its own: each letter it says is the next that it hears.
    word, state = "h", None
    while len(word) < 5:
        said, state = net(one_hot(word[-1]), state)
        word += ALPHABET[said[-1].argmax()]
    assert word == "hello"

    loss = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
    gradients = dict(
        zip(dict(net.named_parameters()), torch.autograd.grad(loss, list(net.parameters())), strict=True)
    )
    seed = logits.softmax(1) - one_hot("ello")  # softmax with cross-entropy: y' - y
    values = {**dict(net.named_parameters()), "x": x, "ȳ": seed}
    found = trace(HELLO, values)
    assert torch.allclose(found.values["o"], logits, rtol=1e-12)
    for name, gradient in gradients.items():
        assert torch.allclose(found.gradients[name], gradient, rtol=1e-9, atol=1e-12), name
    assert "── forward, t = 4 ──" in str(found)
    assert "── backward, t = 4 ──" in str(found)
