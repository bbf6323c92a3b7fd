"""Keras' recurrent layers: own cells, stacked cells, masks, going backwards, both ways, pictures, attention.

A mask is one more input of the equations: ``h[t] = m[t] h_new[t] + (1 - m[t]) h[t-1]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from chalkgrad.nn.combine import mirrored

from .evaluate import evaluated
from .report import Case, NotRunError, Result, compare, judged, tensor

GATES = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": "h"}
LEAST = 1e-5
"""The file's own least tolerance, for float32."""


@dataclass(frozen=True)
class Cell:
    """One cell of a stack: its kind, its letter on the page, and how many units it has."""

    kind: str
    letter: str
    units: int
    reset_after: bool
    bias: bool

    @property
    def states(self) -> list[str]:
        """What it carries, in Keras' order."""
        names = {"LSTM": "hc", "TwoStates": "ab"}.get(self.kind, "h")
        return [f"{n}_{self.letter}" for n in names]

    def lines(self, x: str) -> tuple[list[str], dict[str, str], str]:
        """The equations; what each state becomes; what the cell gives. ``x`` is what it reads at t."""
        p = self.letter

        def s(gate: str, h: str = f"h_{p}[t-1]") -> str:
            return f"{x} K_{p}{gate} + {h} R_{p}{gate}" + (f" + b_{p}{gate}" if self.bias else "")

        h = f"h_{p}"
        match self.kind:
            case "SimpleRNN":
                return [f"u_{p}[t] = tanh({s('h')})"], {h: f"u_{p}[t]"}, f"u_{p}[t]"
            case "OneState":
                return [f"u_{p}[t] = {x} K_{p} + {h}[t-1] R_{p}"], {h: f"u_{p}[t]"}, f"u_{p}[t]"
            case "TwoStates":
                both = [f"{u}_{p}[t] = {x} K_{p} + a_{p}[t-1] R_{p}{k}" for k, u in ((1, "u"), (2, "v"))]
                return both, {f"a_{p}": f"u_{p}[t]", f"b_{p}": f"v_{p}[t]"}, f"u_{p}[t] + v_{p}[t]"
            case "LSTM":
                found = [f"{g}_{p}[t] = {'tanh' if g == 'g' else 'σ'}({s(g)})" for g in "ifgo"]
                found.append(f"e_{p}[t] = f_{p}[t] ⊙ c_{p}[t-1] + i_{p}[t] ⊙ g_{p}[t]")
                found.append(f"u_{p}[t] = o_{p}[t] ⊙ tanh(e_{p}[t])")
                return found, {h: f"u_{p}[t]", f"c_{p}": f"e_{p}[t]"}, f"u_{p}[t]"
            case "GRU":
                found = [f"{g}_{p}[t] = σ({s(g)})" for g in "zr"]
                if self.reset_after:
                    own = f"r_{p}[t] ⊙ ({h}[t-1] R_{p}n" + (f" + d_{p})" if self.bias else ")")
                    new = f"{x} K_{p}n + {own}" + (f" + b_{p}n" if self.bias else "")
                else:
                    new = s("n", f"(r_{p}[t] ⊙ {h}[t-1])")
                found.append(f"n_{p}[t] = tanh({new})")
                found.append(f"u_{p}[t] = z_{p}[t] ⊙ {h}[t-1] + (1 - z_{p}[t]) ⊙ n_{p}[t]")
                return found, {h: f"u_{p}[t]"}, f"u_{p}[t]"
            case other:
                raise NotRunError(f"no page for the cell {other}")

    def weights(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Keras' stacked weights by the names of the page."""
        p, w = self.letter, {n: tensor(v) for n, v in given.items()}
        if self.kind == "OneState":
            return {f"K_{p}": w["kernel"], f"R_{p}": w["recurrent_kernel"]}
        if self.kind == "TwoStates":
            own = {f"R_{p}{k}": w[f"recurrent_kernel_{k}"] for k in (1, 2)}
            return {f"K_{p}": w["kernel"], **own}
        gates, found = GATES[self.kind], {}
        for name, key in (("K", "kernel"), ("R", "recurrent_kernel")):
            parts = w[key].chunk(len(gates), -1)
            found |= {f"{name}_{p}{g}": v for g, v in zip(gates, parts, strict=True)}
        if self.bias:
            rows = w["bias"].reshape(-1, w["bias"].shape[-1])
            apart = self.kind == "GRU" and self.reset_after
            for k, g in enumerate(gates):
                of_input, own = rows[0].chunk(len(gates))[k], rows[-1].chunk(len(gates))[k]
                separate = apart and g == "n"
                found[f"b_{p}{g}"] = of_input + own if apart and not separate else of_input
                found |= {f"d_{p}": own} if separate else {}
        return found


def page(cells: Sequence[Cell], masked: bool, zeros: bool, backward: bool) -> str:
    """The equations of cells one on the other; with a mask a step may be passed over."""
    x, lines, shapes = "x[t]", [], [f"x[t]: D{', m[t]: scalar' if masked else ''}"]
    for k, cell in enumerate(cells):
        made, becomes, gives = cell.lines(x)
        lines += made
        for state, new in becomes.items():
            value = f"m[t] {new} + (1 - m[t]) {state}[t-1]" if masked else new
            lines.append(f"{state}[t] = {value}")
            # What nothing reads again, a second state of Keras' test, is no state: it is given beside.
            shapes.append(f"{state}[t]: {'output ' * (state[0] == 'b')}{cell.units}")
        x = f"q_{cell.letter}[t]"
        if k + 1 < len(cells):
            lines.append(f"{x} = {gives}")
    if not masked:
        lines.append(f"y[t] = {gives}")
    elif zeros:
        lines.append(f"y[t] = m[t] ({gives})")
    else:  # what was given last, again
        lines.append(f"y[t] = m[t] ({gives}) + (1 - m[t]) y[t-1]")
    shapes.append(f"y[t]: output {cells[-1].units}")
    text = "\n".join([*lines, "where " + ", ".join(shapes)])
    return mirrored(text) if backward else text


def cells_of(case: Case, config: Any) -> list[Cell]:
    """The cells of a layer."""
    kind = case.get("inner") or case["layer"]
    several = config.get("cells") or [{"class": kind, **config}]
    names = {"OneStateRNNCell": "OneState", "TwoStatesRNNCell": "TwoStates", "LSTMCell": "LSTM"}
    return [
        Cell(
            names.get(c["class"], c["class"]), letter, c["units"], c.get("reset_after", True),
            c.get("use_bias", False),
        )
        for c, letter in zip(several, "pqs", strict=False)
    ]  # fmt: skip


def ran(case: Case, config: Any, weights: Any, call: Any, before: Any) -> tuple[Tensor, list[Tensor]]:
    """Every step's output in the order in which they are computed, and the last states."""
    cells, masked, backward = (
        cells_of(case, config),
        call["mask"] is not None,
        bool(config.get("go_backwards")),
    )
    text = page(cells, masked, bool(config.get("zero_output_for_mask")), backward)
    x = tensor(call["input"])
    inputs = {"x": x, **({"m": tensor(call["mask"])} if masked else {})}
    several = weights if isinstance(weights, list) else [weights]
    named = {n: v for cell, w in zip(cells, several, strict=True) for n, v in cell.weights(w).items()}
    states = [s for cell in cells for s in cell.states]
    start = None
    if before is not None:
        start = dict(zip(states, before, strict=True))
        start["y"] = x.new_zeros(x.shape[0], cells[-1].units)
    given, last = evaluated(text, inputs, named, state=start)
    y = given if isinstance(given, Tensor) else given.y
    end = 0 if backward else -1
    after = [getattr(last, s) if s in last._fields else getattr(given, s)[:, end] for s in states]
    return (y.flip(1) if backward else y), after


def calls(case: Case, config: Any, weights: Any, part: Callable[[Any], Any]) -> dict[str, Any]:
    """Every call's output and states, by the names that the file gives them."""
    found: dict[str, Any] = {}
    carried: list[Tensor] | None = None
    for k, call in enumerate(case["calls"]):
        if call == "reset_state":
            carried = None
            continue
        initial = call["initial_state"]
        flat = None if initial is None else part(tensor(initial))
        before = carried if flat is None else flat
        y, states = ran(case, config, weights, call, before)
        carried = states if config.get("stateful") else None
        found[f"call{k}.output"] = y if config.get("return_sequences") else y[:, -1]
        several, at = isinstance(weights, list) and len(weights) > 1, 0
        for i, cell in enumerate(cells_of(case, config)):
            for j, _ in enumerate(cell.states):
                nested = several and len(cell.states) > 1
                found[f"call{k}.state{i}.{j}" if nested else f"call{k}.state{at}"] = states[at]
                at += 1
    return found


def by_state(initial: Tensor) -> list[Tensor]:
    return [initial] if initial.dim() == 2 else list(initial)


def one(case: Case) -> dict[str, Any]:
    """A layer in one direction."""
    return calls(case, case["config"], case["weights"], by_state)


def both(case: Case) -> dict[str, Any]:
    """A layer in both directions; each half of the initial states is one direction's."""
    sides: dict[str, dict[str, Any]] = {}
    for name, half in (("forward", 0), ("backward", 1)):
        part = partial(_half, half)
        sides[name] = calls(case, case["config"][name], case["weights"][name], part)
    found: dict[str, Any] = {}
    sequences = case["config"]["forward"].get("return_sequences")
    for key, a in sides["forward"].items():
        b = sides["backward"][key]
        if not key.endswith("output"):
            call, what = key.split(".", 1)
            found |= {f"{call}.forward_{what}": a, f"{call}.backward_{what}": b}
            continue
        b = b.flip(1) if sequences else b
        match case["merge_mode"]:
            case "concat":
                found[key] = torch.cat([a, b], -1)
            case "sum":
                found[key] = a + b
            case "ave":
                found[key] = (a + b) / 2
            case "mul":
                found[key] = a * b
            case _:
                found |= {f"{key}_forward": a, f"{key}_backward": b}
    return found


def _half(which: int, initial: Tensor) -> list[Tensor]:
    states = list(initial)
    count = len(states) // 2
    return states[count * which : count * (which + 1)]


def convolutional(case: Case) -> dict[str, Any]:
    """A convolutional LSTM: the state keeps its size, the input is read with a margin or without."""
    c, w, call = case["config"], case["weights"], case["calls"][0]
    rank, filters, same = c["rank"], c["filters"], c["padding"] == "same"
    x = tensor(call["input"])
    single = case["layer"] == "ConvLSTMCell"
    x = (x.unsqueeze(1) if single else x).movedim(-1, 2)
    places, taps = "uvw"[:rank], "pqr"[:rank]
    size = [n if same else n - k + 1 for n, k in zip(x.shape[3:], c["kernel_size"], strict=True)]

    def read(shift: int) -> str:
        return ",".join(
            f"{i}+{p}" + (f"-{shift}" if shift else "") for i, p in zip(places, taps, strict=True)
        )

    at, over, kernel = ",".join(places), ",".join(taps), ",".join(taps)
    lines = []
    for g in "ifgo":
        total = f"Σ[d,{over}] K_{g}[k,d,{kernel}] x[t,d,{read(int(same))}]"
        total += f" + Σ[l,{over}] R_{g}[k,l,{kernel}] h[t-1,l,{read(1)}] + b_{g}[k]"
        lines.append(f"{g}[t,k,{at}] = {'tanh' if g == 'g' else 'σ'}({total})")
    lines.append(f"c[t,k,{at}] = f[t,k,{at}] c[t-1,k,{at}] + i[t,k,{at}] g[t,k,{at}]")
    lines.append(f"h[t,k,{at}] = o[t,k,{at}] tanh(c[t,k,{at}])")
    picture, maps = "×".join(map(str, x.shape[2:])), "×".join(map(str, (filters, *size)))
    lines.append(f"where x[t]: {picture}{' zero outside ±1' if same else ''}, h[t]: {maps} zero outside ±1")
    named = {}
    for name, key in (("K", "kernel"), ("R", "recurrent_kernel")):
        for g, part in zip("ifgo", tensor(w[key]).chunk(4, -1), strict=True):
            named[f"{name}_{g}"] = part.movedim((-1, -2), (0, 1))
    named |= {f"b_{g}": part for g, part in zip("ifgo", tensor(w["bias"]).chunk(4), strict=True)}
    start = None
    if call["initial_state"] is not None:
        h, cell = tensor(call["initial_state"]).movedim(-1, 2)
        start = {"h": h, "c": cell}
    y, last = evaluated("\n".join(lines), {"x": x}, named, state=start)
    y, h, cell = (v.movedim(2 if v is y else 1, -1) for v in (y, last.h, last.c))
    whole = c.get("return_sequences")
    return {"call0.output": y if whole else y[:, -1], "call0.state0": h, "call0.state1": cell}


def dense(case: Case) -> dict[str, Any]:
    """The same weights at every step."""
    x, w = tensor(case["calls"][0]["input"]), tensor(case["weights"]["kernel"])
    return {"call0.output": evaluated("y[t] = x[t] K\nwhere K: D×H", {"x": x}, {"K": w})}


def attention(case: Case) -> dict[str, Any]:
    """Scores by product or by tanh of a sum; what a mask leaves out has a score of -10⁹."""
    call, mode = case["calls"][0], case["config"]["score_mode"]
    additive = case["layer"] == "AdditiveAttention" or mode == "concat"
    score = "Σ[d] tanh(Q[i,d] + K[j,d])" if additive else "Σ[d] Q[i,d] K[j,d]"
    given = {"Q": tensor(call["query"]), "K": tensor(call["key"]), "V": tensor(call["value"])}
    batch, queries, values = given["Q"].shape[0], given["Q"].shape[1], given["V"].shape[1]
    for name, mask, count in (("p", "query_mask", queries), ("m", "value_mask", values)):
        given[name] = torch.ones(batch, count).double() if call[mask] is None else tensor(call[mask])
    text = f"""
A[i,j] = softmax[j]({score} - 1000000000 (1 - m[j]))
O[i,d] = p[i] Σ[j] A[i,j] V[j,d]
where A: output I×J, O: output, p: input I, m: input J
"""
    found = evaluated(text, given, {})
    return {"call0.output": found.O, "call0.scores": found.A}


LAYERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "RNN"), one),
    "Bidirectional": both,
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvLSTM", "ConvLSTMCell"), convolutional),
    "TimeDistributed(Dense)": dense,
    "Attention": attention,
    "AdditiveAttention": attention,
}


def results(data: Any) -> Iterator[Result]:
    """Every case of the file."""
    for case in data["cases"]:
        yield judged(f"{case['id']} {case['layer']} {case['test'].split('::')[-1]}", partial(run, case))


def run(case: Case) -> int:
    """Compare everything that a case expects."""
    if case["layer"] not in LAYERS:
        raise NotRunError(f"no page for {case['layer']}")
    found = LAYERS[case["layer"]](case)
    for expected in case["expect"]:
        value = found[expected["of"]]
        for at in expected["index"]:
            value = value.sum() if at == "sum()" else value[at]
        atol, rtol = (max(expected[n], LEAST) for n in ("keras_atol", "keras_rtol"))
        compare(expected["of"], value, tensor(expected["value"]).reshape(expected["shape"]), atol, rtol)
    return len(case["expect"])
