"""A record as one page of HTML: what is in the page of ``web/``, filled with words, tables and numbers.

Everything is in the one file. What a script draws is given in tables too, for those who read without one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from torch import Tensor

from chalkgrad.flowing.carry import Carry, carried
from chalkgrad.flowing.embedded import UNITS, embedded
from chalkgrad.flowing.look import Look
from chalkgrad.flowing.seen import Seen
from chalkgrad.flowing.verdict import verdict


def page(record: Seen, title: str) -> str:
    """The page, complete. Raises ValueError for a record that has seen nothing."""
    states, tables, data = carried(record), record.paths, embedded(record)
    drawn = {state["name"]: state for state in data["states"]}
    scalars = {name: values for name, values in record.scalars.items() if len(values) > 1}
    web = files("chalkgrad.flowing") / "web"
    filled = {
        "title": escape(title),
        "lead": _lead(record, states),
        "verdict": _verdict(record),
        "carried": _carried(states),
        "stepper": _stepper(data["numbers"], len(record)),
        "states": "\n".join(_figures(k, s, drawn[s.name], tables) for k, s in enumerate(states.values())),
        "training": _training(scalars, record.updates),
        "gates": _gates(record.looks, data["through"], [*states]),
        "equations": _equations(record),
        "css": (web / "page.css").read_text(encoding="utf-8"),
        "js": (web / "page.js").read_text(encoding="utf-8"),
        "data": json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
    }
    template = (web / "page.html").read_text(encoding="utf-8")
    parts = template.split("{{")
    return parts[0] + "".join(
        filled[name] + rest for name, _, rest in (part.partition("}}") for part in parts[1:])
    )


def _lead(record: Seen, states: dict[str, Carry]) -> str:
    steps = len(record)
    longest = max(s.steps for s in states.values())
    names = ", ".join(f'<i class="v">{escape(n)}</i>' for n in states)
    first, last = record.steps[0], record.steps[-1]
    every = first == 1 and last == steps  # is every training step a row
    seen = f"{steps} training steps" if every else f"{steps} of the training steps {first} to {last}"
    training = seen if steps > 1 else "One backward pass"
    return f"{training}, sequences of {longest} steps, {'states' if len(states) > 1 else 'state'} {names}."


def _verdict(record: Seen) -> str:
    found: list[str] = []
    for f in verdict(record).findings:
        advice = "".join(
            f"<li><span>{escape(a.words)}</span> <code>{escape(a.code)}</code></li>" for a in f.advice
        )
        tried = f'<p class="try">What to try</p><ul>{advice}</ul>' if advice else ""
        found.append(
            f'<article class="finding {f.kind.replace(" ", "")}"><h3>{f.kind}</h3>'
            f"<p>{escape(f.words[:1].upper() + f.words[1:])}.</p>{tried}</article>"
        )
    return "\n".join(found)


def _carried(states: dict[str, Carry]) -> str:
    rows: list[tuple[str, ...]] = []
    for s in states.values():
        reach = "never" if s.reach is None else f"{s.reach} steps"
        kept = (f"{s.gain:.3g}", f"{s.kept:.2g}", reach) if s.gain else ("nothing", "nothing", "one step")
        rows.append((f"∂L/∂{escape(s.name)}", *kept))
    over = max(s.steps for s in states.values()) - 1
    ahead = [s.name for s in states.values() if not s.backward]
    way = "back from a step to the one before" + (
        f"; of {escape(', '.join(ahead))}, which look{'s' * (len(ahead) == 1)} ahead, on to the one after"
        if ahead
        else ""
    )
    caption = f"What is handed {way}. Geometric means of the last quarter of training"
    return _rows(caption, ("", "kept a step", f"over {over} steps", "under 1 % after"), rows)


def _rows(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, whose first column says what a row is."""
    above = "".join(f'<th scope="col">{x}</th>' for x in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{x}</td>" for x in row[1:])}</tr>' for row in rows
    )
    return f"<table><caption>{caption}</caption><thead><tr>{above}</tr></thead><tbody>{body}</tbody></table>"


def _figure(data: str, caption: str, kind: str, label: str) -> str:
    """A picture that the script draws."""
    return (
        f"<figure {data}><figcaption><span>{caption}</span>"
        f'<span class="readout" aria-hidden="true"></span></figcaption>'
        f'<div class="plot {kind}" role="img" aria-label="{label}"></div></figure>'
    )


def _stepper(numbers: list[list[int]], steps: int) -> str:
    if steps < 2:
        return ""
    rows, last = len(numbers), numbers[-1][1]
    return f"""<form class="stepper" aria-label="Which training step is shown">
<label for="step">Training step</label>
<input type="range" id="step" min="0" max="{rows - 1}" value="{rows - 1}" disabled>
<output id="at" for="step">{last} of {last}</output>
<label class="mean"><input type="checkbox" id="mean" checked disabled> mean of the last quarter</label>
</form>"""


def _figures(k: int, state: Carry, drawn: dict[str, Any], tables: dict[str, dict[str, Tensor]]) -> str:
    name = escape(state.name)
    shown = enumerate({"": state.all, **tables[state.name]}.items())
    key = "".join(_key(j, path, bool(table.any())) for j, (path, table) in shown)
    low, high = drawn["shown"]
    heat = (
        f"Heat map of the norm of ∂L/∂{name} over training steps and time, from 1e{low:.0f} to 1e{high:.0f}"
    )
    lines = f"Norm of ∂L/∂{name} over time, as a whole and by path, on a logarithmic scale"
    return f"""<article class="state" aria-labelledby="state{k}">
<h3 id="state{k}">∂L/∂<i class="v">{name}</i>[t]</h3>
<figure data-state="{k}">
<figcaption><span>norm, over training</span><span class="readout" aria-hidden="true"></span></figcaption>
<div class="plot heat" role="img" aria-label="{heat}. The table below has numbers."></div>
<div class="plot scale" aria-hidden="true"></div>
<p class="legend"><span><span class="swatch none"></span>exactly zero</span>
<span><span class="swatch bad"></span>no number</span></p>
</figure>
<figure data-paths="{k}">
<figcaption><span>norm by path</span><span class="readout" aria-hidden="true"></span></figcaption>
<div class="plot lines" role="img" aria-label="{lines}. The table below has numbers."></div>
<ul class="legend">{key}</ul>
</figure>
<details><summary>Numbers of ∂L/∂{name}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Numbers of ∂L/∂{name}">
{_table(state, drawn)}</div></details>
</article>"""


def _key(k: int, path: str, there: bool) -> str:
    """What a line of the picture stands for."""
    line = f'<line class="s{k % 8}" x1="0" x2="28" y1="5" y2="5"/>'
    name = f'<span class="mono">{escape(path)}</span>' if path else "the whole"
    return (
        f'<li><svg aria-hidden="true" viewBox="0 0 28 10">{line}</svg>{name}{"" if there else ", zero"}</li>'
    )


def _table(state: Carry, drawn: dict[str, Any]) -> str:
    """The last quarter's means at up to eleven steps, by path."""
    columns = drawn["columns"]
    places = sorted({round(k * (columns - 1) / 10) for k in range(11)})
    head = ("t", *(escape(p) if p else "whole" for p in drawn["late"]))
    rows = [(f"{c * drawn['wide']}", *(_short(v[c]) for v in drawn["late"].values())) for c in places]
    return _rows("Means of the last quarter of training", head, rows)


def _short(x: float | None) -> str:
    return "–" if x is None else "0" if x == 0 else f"{x:.1e}" if not 0.01 <= abs(x) < 1000 else f"{x:.3g}"


def _training(scalars: dict[str, Tensor], updates: dict[str, Tensor]) -> str:
    if not scalars and not updates:
        return ""
    drawn: list[str] = []
    for k, (name, values) in enumerate(scalars.items()):
        label = "gradient norm" if name == "gradient" else escape(name)
        ends = f"from {_short(float(values[0]))} to {_short(float(values[-1]))}"
        drawn.append(_figure(f'data-scalar="{k}"', label, "course", f"{label} over training, {ends}"))
    moved = ""
    if updates:
        late = {n: float(u[-max(1, len(u) // 4) :].nanmean()) for n, u in updates.items()}
        rows = [
            (f'<span class="mono">{escape(n)}</span>', _short(float(u[0])), _short(late[n]))
            for n, u in updates.items()
        ]
        table = _rows("‖Δw‖ / ‖w‖ of a step of the optimizer", ("", "at first", "last quarter"), rows)
        moved = f"<details><summary>How far each parameter moves</summary>{table}</details>"
    return (
        '<section aria-labelledby="training"><h2 id="training">Beside it, over training</h2>'
        f'<div class="small">{"".join(drawn)}</div>{moved}</section>'
    )


def _gates(looks: list[Look], through: list[dict[str, Any]], states: list[str]) -> str:
    if not looks:
        return ""
    drawn: list[str] = []
    for k, of in enumerate(through):
        layer = f' of <i class="v">{escape(of["layer"])}</i>' if of["layer"] else ""
        figure = _figure(
            f'data-through="{k}"',
            f"gates, states and gradient{layer}",
            "through",
            f"Gates {escape(', '.join(of['gates']))}, states {escape(', '.join(of['states']))} "
            "and the norms of their gradients over the same time",
        )
        shown = enumerate(states[j] for j in of["gradients"])
        key = "".join(_key(j, f"∂L/∂{state}", True) for j, state in shown)
        drawn.append(f'<div>{figure}<ul class="legend">{key}</ul></div>')
    measured = {n: g for look in looks for n, g in look.saturation.items()}
    rows = [(escape(n), f"{g.mean:.2f}", f"{g.open:.0%}", f"{g.shut:.0%}") for n, g in measured.items()]
    table = _rows("At the last look", ("gate", "mean", "over 0.95", "under 0.05"), rows)
    table = f"<details><summary>How far the gates stand open</summary>{table}</details>"
    several = any(v.shape[1] > 1 for look in looks for v in look.states.values())
    say = (
        f"A row is a unit, {UNITS} at most; a gate is dark where it is shut and bright where it is open, "
        "a state blue below zero and orange above. "
        if several
        else ""
    )
    return (
        '<section aria-labelledby="gates"><h2 id="gates">Gates, states and gradient over time</h2>'
        f'<p class="say">Gates and states are those of one sequence. {say}Below them, over the same '
        f"time, is how much gradient reaches each step, at the training step that the slider stands at.</p>"
        f'<div class="states">{"".join(drawn)}</div>{table if measured else ""}</section>'
    )


def _equations(record: Seen) -> str:
    if not record.layers:
        return '<p class="note">The record was not made from a layer.</p>'
    found: list[str] = []
    for name, layer in record.layers.items():
        lines = [line.rstrip() for line in layer.equations.strip().splitlines()]
        heading = f"<h3>{escape(name)}</h3>" if name else ""
        found.append(
            f"{heading}<pre tabindex=0><code>{escape(chr(10).join(lines))}</code></pre>"
            f"<details><summary>The backward equations, whose terms are the paths</summary>"
            f"<pre tabindex=0><code>{escape(str(layer.derivation))}</code></pre></details>"
        )
    return "\n".join(found)


__all__ = ["page"]
