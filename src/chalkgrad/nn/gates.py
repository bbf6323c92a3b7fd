"""The equations of torch.nn's recurrent layers, and its stacked parameters by the names in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

from torch import Tensor, nn

from chalkgrad.nn.options import Extra, with_layer_norm, with_recurrent_dropout, with_zoneout
from chalkgrad.nn.page import Written
from chalkgrad.nn.recording import Recorded
from chalkgrad.nn.recurrence import Recurrence, Stacks
from chalkgrad.zoo import torchs_page

REVERSE = "_reverse"
"""What torch adds to the names of the direction that begins at the end."""

STACKS = (("weight_ih", "W_i"), ("weight_hh", "W_h"), ("bias_ih", "b_i"), ("bias_hh", "b_h"))
"""torch's parameters, all gates one below the other, and how the page begins the name of each gate's own."""

_STACKS = tuple(name for name, _ in STACKS)
_BIAS = re.compile(r" \+ b_\w+")
_NAME = re.compile(r"\b([a-zA-Zα]+_\w+|(?!x\b)[a-z](?=\[))")
"""A name on these pages that is not the input's: ``W_ii``, ``h[``."""


@lru_cache(maxsize=64)
def equations_of(
    page: str,
    nonlinearity: str,
    bias: bool,
    bidirectional: bool = False,
    dropped: bool = False,
    zoned: tuple[str, ...] = (),
    normed: bool = False,
) -> str:
    """The equations of one layer: a page of the zoo, without its biases or with a second direction if wanted.

    ``dropped`` says whether the old state has a mask, ``zoned`` which states have zoneout, ``normed`` whether
    there is layer normalisation.

    >>> print(equations_of("rnn", "relu", bias=False, bidirectional=True))
    h[t] = relu(W_ih x[t] + W_hh h[t-1])
    h_reverse[t] = relu(W_ih_reverse x[t] + W_hh_reverse h_reverse[t+1])
    where x[t]: D, h[t]: H, h_reverse[t]: H
    """
    lines = [line for line in torchs_page(page).splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("τ", nonlinearity)
    text = with_layer_norm(text) if normed else text
    text = text if bias else _BIAS.sub("", text)
    text = with_recurrent_dropout(text) if dropped else text
    text = with_zoneout(text, zoned) if zoned else text
    if not bidirectional:
        return text
    body, where = text.split("\nwhere ")
    from_the_end = _NAME.sub(rf"\1{REVERSE}", body).replace("[t-1]", "[t+1]")
    sizes = where.split(", ")
    again = [_NAME.sub(rf"\1{REVERSE}", size) for size in sizes if not size.startswith("x[")]
    return f"{body}\n{from_the_end}\nwhere {', '.join([*sizes, *again])}"


@lru_cache(maxsize=256)
def _parts(
    gates: str, bias: bool, projected: bool, extras: tuple[Extra, ...], of_page: str
) -> tuple[tuple[str, ...], ...]:
    """What the page calls the parts of each parameter, in the order of :meth:`Gates.stacks`."""
    found = [tuple(f"{part}{gate}" for gate in gates) for _, part in (STACKS if bias else STACKS[:2])]
    found += [("W_hr",)] if projected else []
    found += [extra.parts for extra in extras]
    return tuple(tuple(name + of_page for name in names) for names in found)


class Gates(Written, Recorded):
    """What layers and cells share.

    ``page`` names the equations in the zoo; ``gates`` are in the order in which torch stacks them, ``states``
    in that in which it gives them.
    """

    page: ClassVar[str]
    gates: ClassVar[str]
    states: ClassVar[tuple[str, ...]] = ("h",)

    nonlinearity: str = "tanh"
    proj_size: int = 0
    bias: Any
    hidden_size: Any
    _parameters: Any

    @property
    def extras(self) -> tuple[Extra, ...]:
        """The parameters beside torch's, of each layer and direction."""
        return ()

    def stacks(self, of_torch: str, of_page: str) -> Stacks:
        """The parameters of one layer and direction, and what the page calls their parts."""
        own, extras = self._parameters, self.extras
        names = [part + of_torch for part in (_STACKS if self.bias else _STACKS[:2])]
        if self.proj_size:
            names.append("weight_hr" + of_torch)
        names += [extra.name + of_torch for extra in extras]
        # A parametrised one is a property.
        tensors = [getattr(self, n) if (t := own.get(n)) is None else t for n in names]
        return Stacks(tensors, _parts(self.gates, bool(self.bias), bool(self.proj_size), extras, of_page))

    def checked_states(self, own: Recurrence, hx: Any, *around: int) -> tuple[Tensor, ...]:
        """The states that are given, each of a shape that ends with its size. Raises EquationError."""
        given = (hx,) if len(self.states) == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != len(self.states):
            own.fail(f"the state is ({', '.join(self.states)}), and is given as {type(hx).__name__}", "h")
        for name, h in zip(self.states, given, strict=True):
            want = (*around, self.proj_size if name == "h" and self.proj_size else self.hidden_size)
            if not isinstance(h, Tensor) or h.shape != want:
                said = f"has shape {tuple(h.shape)}" if isinstance(h, Tensor) else f"is {type(h).__name__}"
                own.fail(f"the initial `{name}` is {want}, and what is given {said}", name)
        return tuple(given)

    def _shaped(self, found: tuple[Tensor, ...]) -> Any:
        return self.as_torchs(found)

    def as_torchs(self, states: Sequence[Tensor]) -> Any:
        """States as torch gives them: one tensor, or a tuple of as many as there are."""
        return tuple(states) if len(states) > 1 else states[0]


def twin(kind: type[nn.Module], layer: nn.Module) -> Any:
    """A module of that kind that shares all that another one has."""
    made = kind.__new__(kind)
    made.__dict__ = layer.__dict__
    return made


def check_input(own: Recurrence, x: Any, dims: tuple[int, int], form: str) -> None:
    """Raise EquationError for what is no tensor with as many axes as ``form`` says."""
    if not isinstance(x, Tensor):
        own.fail(f"`x` is a tensor, and is given as {type(x).__name__}", "x")
    if x.dim() not in dims:
        own.fail(f"`x` is {form}, and its shape is {tuple(x.shape)}", "x")
