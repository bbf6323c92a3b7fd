"""What a record means, in words: vanishing, exploding, healthy, truncated, saturated; and what to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Literal

from chalkgrad.flowing.advice import Advice, nearer_the_middle, other_starts
from chalkgrad.flowing.carry import FAINT, Carry, carried, recurrences
from chalkgrad.flowing.measures import Gate
from chalkgrad.flowing.seen import Seen

Kind = Literal["not finite", "exploding", "truncated", "vanishing", "healthy", "saturated"]

LOUD = 100.0
"""Over so many times what it was, a gradient counts as exploding."""
STUCK = 0.9
"""A gate of which more than this share of values stand open or shut is saturated."""


@dataclass(frozen=True)
class Finding:
    """One thing that was seen, with its numbers, and what may help."""

    kind: Kind
    words: str
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What was found, the worst first, then gates that stand still; ``str()`` has it in words."""

    findings: tuple[Finding, ...]

    @property
    def kind(self) -> Kind:
        """The worst of it."""
        return self.findings[0].kind

    def __str__(self) -> str:
        lines: list[str] = []
        for f in self.findings:
            lines.append(f"{f.kind}: {f.words}")
            for a in f.advice:  # code of several lines stands below
                code = a.code if "\n" not in a.code else "\n" + indent(a.code, "    ")
                lines.append(f"  try {a.words}: {code}")
        return "\n".join(lines)


def verdict(record: Seen, gates: Mapping[str, Gate] | None = None) -> Verdict:
    """What the last quarter of a record says of every state, and what stands still.

    ``gates`` is their saturation; where it is left out, that of the last look at each, if there was one.
    A state's gain is how much of the norm at t+1 comes back to t, the geometric mean over time. Gradient
    vanishes where less than a hundredth is left over the whole sequence, and reaches far if it does by one of
    the states that hand it on together. It explodes where that makes all of them, as one vector, a hundred
    times as large. Gates that stand open or shut are an observation beside that.

    Raises ValueError for a record that has seen nothing.

    >>> import torch
    >>> from chalkgrad.flowing.seen import Seen
    >>> record = Seen()
    >>> norms = 0.5 ** torch.arange(19.0, -1, -1)
    >>> record._watch("")({"h": norms[None] ** 2}, {"h": {"h[t+1]": norms[None] ** 2}})
    >>> print(verdict(record).findings[0].words)
    the gradient of h keeps 0.50 of its norm a step back, and is under 1 % of it after 7 of 20 steps
    """
    if gates is None:
        gates = {name: gate for look in record.looks for name, gate in look.saturation.items()}
    found: list[Finding] = []
    lost: set[str] = set()  # layers whose gradient does not get through
    for states in recurrences(record):
        faults = _of_recurrence(states, record)
        lost |= {states[0].layer for f in faults if f.kind in ("vanishing", "truncated")}
        found += faults
    if not found:
        found.append(_healthy([*carried(record).values()]))
    found += [
        _saturated(name, gate, record, name.rpartition(".")[0] in lost)
        for name, gate in gates.items()
        if gate.saturated > STUCK
    ]
    order = ("not finite", "exploding", "truncated", "vanishing", "healthy", "saturated")
    return Verdict(tuple(sorted(found, key=lambda f: order.index(f.kind))))


def _saturated(name: str, gate: Gate, record: Seen, lost: bool) -> Finding:
    """A gate that stands still: what a task may want, and a fault where the gradient vanishes with it."""
    side, lets = ("open (over 0.95)", "all") if gate.open > gate.shut else ("shut (under 0.05)", "nothing")
    words = f"gate {name} is {side} in {100 * max(gate.open, gate.shut):.0f} % of its values: "
    words += f"it lets nearly {lets} through, and hardly learns"
    if not lost:
        return Finding("saturated", f"{words}; no fault, as the gradient does not vanish with it")
    holder, _, own = name.rpartition(".")
    advice = nearer_the_middle(record.layers.get(holder), own)
    return Finding("saturated", f"{words}; with it the gradient vanishes, and this may be why", (advice,))


def _of_recurrence(states: list[Carry], record: Seen) -> list[Finding]:
    """What is the matter with states that hand their gradient on together; nothing where they are well."""
    found: list[Finding] = []
    for s in states:
        if (where := s.not_finite()) is not None:
            found.append(_not_finite(s.name, record.steps[where[0]], where[1]))
        elif (k := s.window()) is not None:
            found.append(_truncated(s, k))
    if found or states[0].steps == 1:
        return found
    best = max(states, key=lambda s: s.kept)
    if not best.gain:
        return [_cut_off(best)]
    if (whole := Carry.together(states)).kept > LOUD:
        return [_exploding(whole, record)]
    return [_vanishing(best, record)] if best.kept < FAINT else []


def _not_finite(state: str, step: int, time: int) -> Finding:
    words = f"the gradient of {state} is no number since training step {step}, at t = {time} first"
    return Finding(
        "not finite", words, (Advice("clipping", "torch.nn.utils.clip_grad_norm_(parameters, 1.0)"),)
    )


def _truncated(s: Carry, k: int) -> Finding:
    later = "later" if s.backward else "before"
    words = f"nothing comes {s.way} to {s.name} from more than {k - 1} steps {later}"
    return Finding("truncated", words, (Advice("a longer window", f"truncate={2 * k}"),))


def _cut_off(s: Carry) -> Finding:
    if not s.norms.nan_to_num().any():
        return Finding("vanishing", f"no gradient comes to {s.name} at all: the loss does not need it")
    words = f"nothing comes {s.way} to {s.name} from another step"
    return Finding("truncated", words, (Advice("a longer window", "truncate=2"),))


def _exploding(s: Carry, record: Seen) -> Finding:
    sizes = record.scalars.get("gradient")
    at = f"{float(sizes.quantile(0.9)):.3g}" if sizes is not None and len(sizes) else "1.0"
    why = "clipping at the 90th percentile of what was measured" if sizes is not None else "clipping"
    words = f"the gradient of {s.name} is {s.gain:.2f} times as large with every step {s.way}, "
    words += f"{s.kept:.2g} times over {s.steps} steps"
    clip = Advice(why, f"torch.nn.utils.clip_grad_norm_(parameters, {at})")
    return Finding("exploding", words, (clip, *_starts(s, record)))


def _vanishing(s: Carry, record: Seen) -> Finding:
    words = f"the gradient of {s.name} keeps {_share(s.gain)} of its norm a step {s.way}, "
    words += f"and is under 1 % of it after {s.reach} of {s.steps} steps"
    window = Advice("no more steps than the gradient goes", f"truncate={s.reach}")
    return Finding("vanishing", words, (*_starts(s, record), window))


def _share(gain: float) -> str:
    return f"{gain:.2f}" if gain >= 0.01 else f"{gain:.1e}"


def _starts(s: Carry, record: Seen) -> tuple[Advice, ...]:
    return other_starts(record.layers.get(s.layer), s.backward)


def _healthy(states: list[Carry]) -> Finding:
    told: list[str] = []
    for s in states:
        if s.steps > 1 and s.gain:
            far = f"under 1 % of it after {s.reach} of" if s.kept < FAINT else f"{s.kept:.2g} of it over all"
            keeps = "keeps" if s.gain <= 1 else "grows to"
            kept = f"the gradient of {s.name} {keeps} {s.gain:.2f} of its norm a step {s.way}"
            told.append(f"{kept}, {far} {s.steps} steps")
    return Finding("healthy", "; ".join(told) or "sequences of one step hand no gradient on")


__all__ = ["Advice", "Finding", "Verdict", "verdict"]
