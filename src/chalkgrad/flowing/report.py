"""A record as one page of HTML: what is in the page of ``web/``, filled with words, tables and numbers.

Everything is in the one file. What a script draws is given in tables too, for those who read without one.
"""

from __future__ import annotations

import json
import math
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from torch import Tensor

from chalkgrad.flowing.carry import Carry, carried
from chalkgrad.flowing.look import Look
from chalkgrad.flowing.sampled import Sample, packed, sampled, shaded, span

if TYPE_CHECKING:
    from chalkgrad.flowing.record import Record

NUMBERS = 330_000
"""How many numbers all tables of norms may have together; each takes 2⅔ characters."""
SHADES = 300_000
"""The same for gates and states, of 1⅓ characters each."""
ROWS, COLUMNS = 400, 300
LOOKS, UNITS, POINTS = 40, 32, 600


def page(record: Record, title: str) -> str:
    """The page, complete. Raises ValueError for a record that has seen nothing."""
    states, tables = carried(record), record.paths
    count = sum(1 + len(of) for of in tables.values())
    # A row for each training step matters as much as a column for each step in time.
    columns = min(COLUMNS, max(24, math.isqrt(NUMBERS // count)))
    rows = min(ROWS, max(24, NUMBERS // (count * columns)))
    drawn = {s.name: _state(s, tables[s.name], rows, columns) for s in states.values()}
    scalars = {name: values for name, values in record.scalars.items() if len(values) > 1}
    data = {
        "steps": len(record),
        "rows": rows,
        "states": list(drawn.values()),
        "scalars": [_course(name, values) for name, values in scalars.items()],
        "looks": _looks(record.looks),
    }
    web = files(__package__) / "web"
    filled = {
        "title": escape(title),
        "lead": _lead(record, states),
        "verdict": _verdict(record),
        "carried": _carried(states),
        "stepper": _stepper(len(record), drawn[next(iter(drawn))]["tall"]),
        "states": "\n".join(_figures(k, s, drawn[s.name], tables) for k, s in enumerate(states.values())),
        "training": _training(scalars, record.updates),
        "gates": _gates(record.looks),
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


# --- what is drawn -------------------------------------------------------------------------------------


def _state(state: Carry, paths: dict[str, Tensor], rows: int, columns: int) -> dict[str, Any]:
    samples = {path: sampled(t, rows, columns) for path, t in {"": state.all, **paths}.items()}
    whole = samples[""]
    low, high = span([*samples.values()])
    late = {path: sampled(_late(t, len(state.norms)), 1, columns) for path, t in _all(state, paths).items()}
    return {
        "name": state.name,
        "steps": state.steps,
        "columns": whole.means.shape[1],
        "tall": whole.tall,
        "wide": whole.wide,
        "span": [round(low, 4), round(high, 4)],
        "shown": _shown(whole),
        "backward": state.backward,
        "tables": {path: packed(s, low, high) for path, s in samples.items()},
        "late": {path: _numbers(s.means[0]) for path, s in late.items()},
    }


def _all(state: Carry, paths: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"": state.all, **paths}


def _late(table: Tensor, rows: int) -> Tensor:
    """The mean of the last rows, over those that reach so far: (1, T)."""
    return table[-rows:].nanmean(0, keepdim=True)


def _shown(whole: Sample) -> list[float]:
    """The logarithms that colours go from and to: all but the outmost hundredths, ten decades at most."""
    means = whole.means[whole.means.isfinite() & (whole.means > 0)].log10()
    if not len(means):
        return [-1.0, 0.0]
    high = float(means.quantile(0.995)) if len(means) > 200 else float(means.max())
    low = max(float(means.quantile(0.005)) if len(means) > 200 else float(means.min()), high - 10)
    return [round(low, 3), round(max(high, low + 0.1), 3)]


def _course(name: str, values: Tensor) -> dict[str, Any]:
    """A number over training, at most so many points, each the mean of neighbours."""
    wide = math.ceil(len(values) / POINTS)
    means = sampled(values[None], 1, POINTS).means[0]
    return {"name": name, "count": len(values), "wide": wide, "values": _numbers(means)}


def _looks(looks: list[Look]) -> list[dict[str, Any]]:
    chosen = looks[:: math.ceil(len(looks) / LOOKS)] if looks else []
    chosen += looks[-1:] if looks and chosen[-1] is not looks[-1] else []
    tables = sum(len(look.gates) + len(look.states) for look in chosen)
    columns = min(COLUMNS, max(32, SHADES // (UNITS * max(1, tables))))
    most = {
        name: max(float(look.states[name].nan_to_num().abs().max()) for look in chosen if name in look.states)
        for look in chosen
        for name in look.states
    }
    found: list[dict[str, Any]] = []
    for look in chosen:
        seen: dict[str, Any] = {}
        for name, values in {**look.gates, **look.states}.items():
            small = sampled(values.T[:UNITS].nan_to_num(nan=math.inf), UNITS, columns)
            low, high = (0.0, 1.0) if name in look.gates else (-most[name], most[name])
            seen[name] = {
                "units": small.means.shape[0],
                "columns": small.means.shape[1],
                "wide": small.wide,
                "steps": len(values),
                "shades": shaded(small.means, low, high),
            }
        said = {n: f"mean {g.mean:.2f}, open {g.open:.0%}, shut {g.shut:.0%}" for n, g in look.saturation.items()}
        found.append({"step": look.step, "seen": seen, "said": said})
    return found


def _numbers(values: Tensor) -> list[float | None]:
    """Numbers for JSON, to four figures; None for what is no number."""
    return [float(f"{x:.4g}") if math.isfinite(x) else None for x in values.tolist()]


# --- what is written -----------------------------------------------------------------------------------


def _lead(record: Record, states: dict[str, Carry]) -> str:
    steps = len(record)
    longest = max(s.steps for s in states.values())
    names = ", ".join(f'<i class="v">{escape(n)}</i>' for n in states)
    training = f"{steps} training steps" if steps > 1 else "One backward pass"
    return f"{training}, sequences of {longest} steps, {'states' if len(states) > 1 else 'state'} {names}."


def _verdict(record: Record) -> str:
    found: list[str] = []
    for f in record.verdict().findings:
        advice = "".join(f"<li><span>{escape(a.words)}</span> <code>{escape(a.code)}</code></li>" for a in f.advice)
        tried = f'<p class="try">What to try</p><ul>{advice}</ul>' if advice else ""
        found.append(
            f'<article class="finding {f.kind.replace(" ", "")}"><h3>{f.kind}</h3>'
            f"<p>{escape(f.words)}.</p>{tried}</article>"
        )
    return "\n".join(found)


def _carried(states: dict[str, Carry]) -> str:
    rows: list[str] = []
    for s in states.values():
        reach = "never" if s.reach is None else f"after {s.reach} steps" if s.reach < s.steps else "beyond the start"
        kept = (f"{s.gain:.3g}", f"{s.kept:.2g}", reach) if s.gain else ("nothing", "nothing", "at once")
        rows.append(f'<tr><th scope="row">∂L/∂{escape(s.name)}</th>{"".join(f"<td>{x}</td>" for x in kept)}</tr>')
    over = max(s.steps for s in states.values()) - 1
    head = "".join(
        f'<th scope="col">{x}</th>' for x in ("", "kept a step back", f"over {over} steps", "under 1 %")
    )
    return (
        "<table><caption>What a step hands on to the one before, geometric mean of the last quarter of "
        f"training</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _stepper(steps: int, tall: int) -> str:
    if steps < 2:
        return ""
    rows = math.ceil(steps / tall)
    return f"""<form class="stepper" aria-label="Which training step is shown">
<label for="step">Training step</label>
<input type="range" id="step" min="0" max="{rows - 1}" value="{rows - 1}" disabled>
<output id="at" for="step">{steps} of {steps}</output>
<label class="mean"><input type="checkbox" id="mean" checked disabled> mean of the last quarter</label>
</form>"""


def _figures(k: int, state: Carry, drawn: dict[str, Any], tables: dict[str, dict[str, Tensor]]) -> str:
    name = escape(state.name)
    key = "".join(
        f'<li><svg aria-hidden="true" viewBox="0 0 28 10"><line class="s{j % 8}" x1="0" x2="28" y1="5" y2="5"/>'
        f"</svg>{'the whole' if not path else f'<span class=mono>{escape(path)}</span>'}</li>"
        for j, path in enumerate(("", *tables[state.name]))
    )
    low, high = drawn["shown"]
    heat = f"Heat map of the norm of ∂L/∂{name} over training steps and time, from 1e{low:.0f} to 1e{high:.0f}"
    lines = f"Norm of ∂L/∂{name} over time, as a whole and by path, on a logarithmic scale"
    return f"""<article class="state" aria-labelledby="state{k}">
<h3 id="state{k}">∂L/∂<i class="v">{name}</i>[t]</h3>
<figure data-state="{k}">
<figcaption><span>norm, over training</span><span class="readout" aria-hidden="true"></span></figcaption>
<div class="plot heat" role="img" aria-label="{heat}. The table below has numbers."></div>
<div class="plot scale" aria-hidden="true"></div>
<p class="legend"><span><span class="swatch none"></span>exactly zero</span><span><span class="swatch bad"></span>no number</span></p>
</figure>
<figure data-paths="{k}">
<figcaption><span>norm by path</span><span class="readout" aria-hidden="true"></span></figcaption>
<div class="plot lines" role="img" aria-label="{lines}. The table below has numbers."></div>
<ul class="legend">{key}</ul>
</figure>
<details><summary>Numbers of ∂L/∂{name}</summary><div class="scroll" tabindex="0" role="region" aria-label="Numbers of ∂L/∂{name}">
{_table(state, drawn)}</div></details>
</article>"""


def _table(state: Carry, drawn: dict[str, Any]) -> str:
    """The last quarter's means at up to eleven steps, by path."""
    columns = drawn["columns"]
    places = sorted({round(k * (columns - 1) / 10) for k in range(11)})
    head = "".join(f'<th scope="col">{escape(p) if p else "whole"}</th>' for p in drawn["late"])
    rows: list[str] = []
    for c in places:
        cells = "".join(f"<td>{_short(values[c])}</td>" for values in drawn["late"].values())
        rows.append(f'<tr><th scope="row">{c * drawn["wide"]}</th>{cells}</tr>')
    return (
        "<table><caption>Means of the last quarter of training</caption><thead><tr>"
        f'<th scope="col">t</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _short(x: float | None) -> str:
    return "–" if x is None else "0" if x == 0 else f"{x:.1e}" if not 0.01 <= abs(x) < 1000 else f"{x:.3g}"


def _training(scalars: dict[str, Tensor], updates: dict[str, Tensor]) -> str:
    if not scalars and not updates:
        return ""
    drawn: list[str] = []
    for k, (name, values) in enumerate(scalars.items()):
        label = "norm of all gradients together" if name == "gradient" else escape(name)
        ends = f"from {_short(float(values[0]))} to {_short(float(values[-1]))}"
        drawn.append(
            f'<figure data-scalar="{k}"><figcaption><span>{label}</span><span class="readout" aria-hidden="true">'
            f'</span></figcaption><div class="plot course" role="img" aria-label="{label} over training, {ends}">'
            "</div></figure>"
        )
    moved = ""
    if updates:
        rows = "".join(
            f'<tr><th scope="row" class="mono">{escape(n)}</th><td>{_short(float(u[0]))}</td>'
            f"<td>{_short(float(u[-max(1, len(u) // 4) :].nanmean()))}</td></tr>"
            for n, u in updates.items()
        )
        moved = (
            "<details><summary>How far each parameter moves</summary><table><caption>‖Δw‖ / ‖w‖ of a step of the "
            'optimizer</caption><thead><tr><th scope="col"></th><th scope="col">at first</th><th scope="col">last '
            f"quarter</th></tr></thead><tbody>{rows}</tbody></table></details>"
        )
    return (
        '<section aria-labelledby="training"><h2 id="training">Beside it, over training</h2>'
        f'<div class="small">{"".join(drawn)}</div>{moved}</section>'
    )


def _gates(looks: list[Look]) -> str:
    if not looks:
        return ""
    names = {n: "gate" for look in looks for n in look.gates}
    names |= {n: "state" for look in looks for n in look.states}
    drawn = "".join(
        f'<figure data-unit="{escape(n)}" data-kind="{kind}"><figcaption><span>{kind} <i class="v">{escape(n)}</i>'
        f'</span><span class="readout" aria-hidden="true"></span></figcaption>'
        f'<div class="plot units" role="img" aria-label="Heat map of the {kind} {escape(n)} over time, by unit">'
        "</div></figure>"
        for n, kind in names.items()
    )
    measured = {n: g for look in looks for n, g in look.saturation.items()}
    rows = "".join(
        f'<tr><th scope="row">{escape(n)}</th><td>{g.mean:.2f}</td><td>{g.open:.0%}</td><td>{g.shut:.0%}</td></tr>'
        for n, g in measured.items()
    )
    table = (
        "<details><summary>How far the gates stand open</summary><table><caption>At the last look</caption>"
        '<thead><tr><th scope="col">gate</th><th scope="col">mean</th><th scope="col">over 0.95</th>'
        f'<th scope="col">under 0.05</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )
    several = any(v.shape[1] > 1 for look in looks for v in look.states.values())
    return (
        '<section aria-labelledby="gates"><h2 id="gates">Gates and states of one sequence</h2>'
        '<p class="say">Over time, from left to right'
        + (f"; a row is a unit, {UNITS} at most. " if several else ". ")
        + "A gate is dark where it is shut and bright where it is open; a state is blue below zero and orange above."
        f'</p><div class="small">{drawn}</div>{table if measured else ""}</section>'
    )


def _equations(record: Record) -> str:
    if not record.layers:
        return '<p class="note">The record was not made from a layer.</p>'
    found: list[str] = []
    for name, layer in record.layers.items():
        lines = [line.rstrip() for line in layer.equations.strip().splitlines()]
        heading = f"<h3>{escape(name)}</h3>" if name else ""
        found.append(
            f"{heading}<pre tabindex=0><code>{escape(chr(10).join(lines))}</code></pre>"
            f"<details><summary>The backward equations, whose terms are the paths</summary><pre tabindex=0><code>"
            f"{escape(str(layer.derivation))}</code></pre></details>"
        )
    return "\n".join(found)


__all__ = ["page"]
