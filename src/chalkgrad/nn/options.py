"""What recurrent layers have beyond torch.nn's: more parameters, and masks of units that forget or stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

_SEEN = re.compile(r"(W_h\w+ (?:\([^()]*)?)h\[t-1\]")
"""The old state where a matrix multiplies it: ``W_hi h[t-1]``, ``W_hn (r[t] ⊙ h[t-1]``."""

_PRODUCT = re.compile(r"W_(\w+) (x\[t\]|h\[t-1\]|\([^()]*h\[t-1\]\))")
"""A matrix times the input or the old state; a projection of the new one is none."""

KEPT, ZONED = "m_h", "d_"
"""The mask of the old state, and how the name of a mask that keeps a state begins."""


@dataclass(frozen=True)
class Extra:
    """A parameter beside torch's: its name, what its parts, one below the other, are called on the page.

    ``start`` is the value of all elements at first; None where they are drawn as torch's are.
    """

    name: str
    parts: tuple[str, ...]
    start: float | None = None

    @property
    def is_bias(self) -> bool:
        """Whether a layer without biases has none of it."""
        return self.name.startswith("bias")


def gates_of(stack: str, gates: str) -> tuple[str, ...]:
    """The names of the parts of all gates.

    >>> gates_of("W_c", "ifo")
    ('W_ci', 'W_cf', 'W_co')
    """
    return tuple(stack + gate for gate in gates)


PEEPHOLE = (Extra("weight_c", gates_of("W_c", "ifo")),)


def layer_norm_of(gates: str, states: Sequence[str]) -> tuple[Extra, ...]:
    """The parameters of layer normalisation: gains of each gate's products, and of the cell if any."""
    products = tuple(Extra(f"weight_ln_{k}h", gates_of(f"α_{k}", gates), 1.0) for k in "ih")
    cell = (Extra("weight_ln_c", ("α_c",), 1.0), Extra("bias_ln_c", ("b_c",), 0.0))
    return products + (cell if "c" in states else ())


# --- the page ------------------------------------------------------------------------------------------


def with_layer_norm(text: str) -> str:
    """A page that normalises each product of a gate, and the cell where the output reads it, with gains.

    A gate's biases come after what they belong to is normalised: Ba, Kiros and Hinton, "Layer normalization",
    arXiv 1607.06450, 2016; here each gate is normalised by itself.

    >>> print(with_layer_norm("h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)\\nwhere x[t]: D, h[t]: H"))
    h[t] = tanh(α_ih ⊙ layernorm(W_ih x[t]) + b_ih + α_hh ⊙ layernorm(W_hh h[t-1]) + b_hh)
    where x[t]: D, h[t]: H
    """
    text = _PRODUCT.sub(r"α_\1 ⊙ layernorm(W_\1 \2)", text)
    return text.replace("tanh(c[t])", "tanh(α_c ⊙ layernorm(c[t]) + b_c)")


def with_recurrent_dropout(text: str) -> str:
    """A page whose matrices see the old state through a mask; what adds to it element by element does not.

    >>> print(with_recurrent_dropout("h[t] = tanh(W_ih x[t] + W_hh h[t-1])\\nwhere x[t]: D, h[t]: H"))
    h[t] = tanh(W_ih x[t] + W_hh h_kept[t])
    h_kept[t] = m_h ⊙ h[t-1]
    where x[t]: D, h[t]: H, m_h: input H
    """
    body, where = text.split("\nwhere ")
    size = where.rsplit("h[t]: ", 1)[1]
    body = _SEEN.sub(r"\1h_kept[t]", body)
    return f"{body}\nh_kept[t] = {KEPT} ⊙ h[t-1]\nwhere {where}, {KEPT}: input {size}"


def with_zoneout(text: str, states: Iterable[str]) -> str:
    """A page where so much of each of these states stays as its mask says, and the rest is what it was to be.

    >>> print(with_zoneout("h[t] = tanh(W_ih x[t] + W_hh h[t-1])\\nwhere x[t]: D, h[t]: H", "h"))
    h_new[t] = tanh(W_ih x[t] + W_hh h[t-1])
    h[t] = d_h[t] ⊙ h[t-1] + (1 - d_h[t]) ⊙ h_new[t]
    where x[t]: D, h[t]: output H
    """
    body, where = text.split("\nwhere ")
    for s in states:
        body = re.sub(rf"\b{s}\[t\]", f"{s}_new[t]", body)
        mask = f"{ZONED}{s}[t]"
        body += f"\n{s}[t] = {mask} ⊙ {s}[t-1] + (1 - {mask}) ⊙ {s}_new[t]"
    return f"{body}\nwhere {where.replace('h[t]: ', 'h[t]: output ')}"


# --- the numbers ---------------------------------------------------------------------------------------


def truth(name: str, given: Any) -> bool:
    """True or false as an argument. Raises TypeError, in torch's words, for anything else."""
    if not isinstance(given, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(given).__name__}")
    return given


def probability(name: str, given: Any) -> float:
    """A probability as an argument. Raises ValueError, in torch's words, for what is none."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        what = "kept as it was" if name == "zoneout" else "zeroed"
        raise ValueError(
            f"{name} should be a number in range [0, 1] representing the probability of an element being "
            f"{what}, got: {given!r}"
        )
    return float(given)


def rates_of(zoneout: Any, states: Sequence[str]) -> float | tuple[float, ...]:
    """What ``zoneout=`` says: one probability, or one for each state. Raises ValueError for anything else."""
    if not isinstance(zoneout, tuple | list):
        return probability("zoneout", zoneout)
    if len(zoneout) != len(states):
        raise ValueError(
            f"zoneout should be a number, or one for each state ({', '.join(states)}), got: {zoneout!r}"
        )
    return tuple(probability("zoneout", p) for p in zoneout)


def by_state(zoneout: float | tuple[float, ...], states: Sequence[str]) -> dict[str, float]:
    """The probability for each state that zoneout is for.

    >>> by_state((0.1, 0.0), ("h", "c"))
    {'h': 0.1}
    """
    rates = zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(states)
    return {s: p for s, p in zip(states, rates, strict=True) if p}


# --- the module ----------------------------------------------------------------------------------------


class Beyond:
    """A base of modules with such options: their values, their parameters and their masks."""

    zoneout: float | tuple[float, ...] = 0.0
    recurrent_dropout: float = 0.0
    layer_norm: bool = False

    training: bool
    bias: Any
    gates: ClassVar[str]
    states: ClassVar[tuple[str, ...]]
    hidden_size: Any
    proj_size: int
    weight_ih_l0: Any
    _all_weights: Any

    @property
    def extras(self) -> tuple[Extra, ...]:
        """The parameters beside torch's, of each layer and direction."""
        found = layer_norm_of(self.gates, self.states) if self.layer_norm else ()
        return tuple(extra for extra in found if self.bias or not extra.is_bias)

    @property
    def chosen(self) -> dict[str, Any]:
        """The options that are not what they are by default."""
        names = ("layer_norm", "zoneout", "recurrent_dropout")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def extra_repr(self) -> str:
        """torch's, and the options."""
        torchs = super().extra_repr()  # pyright: ignore
        return ", ".join([torchs, *(f"{name}={value}" for name, value in self.chosen.items())])

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as torch does; what normalises begins as one, its bias as zero."""
        super().reset_parameters()  # pyright: ignore
        for of_layer in self._of_layers():
            for extra in self.extras:
                self._begin(getattr(self, extra.name + of_layer), extra)

    def add_extras(self, extras: Iterable[Extra]) -> None:
        """Make parameters beside torch's."""
        for names, of_layer in zip(self._all_weights, self._of_layers(), strict=True):
            for extra in extras:
                name = extra.name + of_layer
                value = self.weight_ih_l0.new_empty(self.hidden_size * len(extra.parts))
                setattr(self, name, nn.Parameter(value))
                self._begin(value, extra)
                names.append(name)

    def masks(self, x: Tensor, directions: Sequence[str]) -> dict[str, Tensor]:
        """What recurrent dropout and zoneout multiply with in one layer, by the names on its page.

        ``x`` is (batch, steps, features). In training first the mask of the old state is drawn, (batch,
        units), 0 or 1/(1-p), then that of each state with zoneout, (batch, steps, units), where 1 keeps a
        unit; direction by direction. Else nothing is dropped, and the probability stands in the place of what
        is drawn with it.
        """
        found: dict[str, Tensor] = {}
        zoned = by_state(self.zoneout, self.states)
        if not (zoned or self.recurrent_dropout):
            return found
        like, (batch, steps) = self.weight_ih_l0, x.shape[:2]
        seen = self.proj_size or self.hidden_size
        for direction in directions:
            if self.recurrent_dropout:
                whole = like.new_ones(batch, seen)
                found[KEPT + direction] = dropout(whole, self.recurrent_dropout, self.training)
            for s, p in zoned.items():
                mean = like.new_full((batch, steps, seen if s == "h" else self.hidden_size), p)
                found[f"{ZONED}{s}{direction}"] = torch.bernoulli(mean) if self.training else mean
        return found

    def _of_layers(self) -> list[str]:
        """How the names of parameters end, for each layer and direction: ``_l0``, ``_l0_reverse``."""
        return [names[0].removeprefix("weight_ih") for names in self._all_weights]

    def _begin(self, parameter: Tensor, extra: Extra) -> None:
        """Give a parameter its first values."""
        if extra.start is None:
            nn.init.uniform_(parameter, -(self.hidden_size**-0.5), self.hidden_size**-0.5)
        else:
            nn.init.constant_(parameter, extra.start)
