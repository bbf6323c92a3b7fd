"""Recurrent cells with torch.nn's constructors, parameters and results: one step of the layers' equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from chalkgrad.language.source import EquationError
from chalkgrad.nn.arguments import in_dtype_of
from chalkgrad.nn.gates import Gates, check_input, equations_of
from chalkgrad.nn.page import refuse
from chalkgrad.nn.recording import in_one
from chalkgrad.nn.recurrence import Recurrence, recurrence


class _Cell(Gates):
    """One step of a page."""

    weight_ih: Any

    @property
    def equations(self) -> str:
        """The text of the page, of which a call computes one step."""
        return equations_of(self.page, self.nonlinearity, self.bias)

    @in_one
    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state, as torch.nn's cell of the same name has it."""
        own = recurrence(self.equations)
        again = self._again(own, input, hx)
        if again is not None:
            return self.as_torchs(again)
        try:
            check_input(own, input, (1, 2), "(features) or (batch, features)")
            states = () if hx is None else self.checked_states(own, hx, *input.shape[:-1])
            if input.dim() == 2:
                return self.as_torchs(self._run(own, input, states))
            found = self._run(own, input[None], [h[None] for h in states])
            return self.as_torchs([h.squeeze(0) for h in found])
        except EquationError as error:
            refuse(error, super().forward, input, hx)  # pyright: ignore

    def _run(self, own: Recurrence, x: Tensor, states: Any) -> Sequence[Tensor]:
        like = self.weight_ih
        if like.is_meta or not torch.is_autocast_enabled(like.device.type):
            return self._step(own, x, states)
        states = [in_dtype_of(like, h) for h in states]
        with torch.autocast(like.device.type, enabled=False):
            return self._step(own, in_dtype_of(like, x), states)

    def _step(self, own: Recurrence, x: Tensor, states: Sequence[Tensor]) -> Sequence[Tensor]:
        return own.step(x, self.stacks("", ""), self.states, states)

    def _again(self, own: Recurrence, x: Any, hx: Any) -> Sequence[Tensor] | None:
        """The next state where a call like this one was made before; None where it is to be checked."""
        if hx is None:
            states: Any = ()
        elif len(self.states) == 1:
            states = (hx,)
        elif type(hx) is tuple and len(hx) == len(self.states):
            states = hx
        else:
            return None
        if torch.is_autocast_enabled("cpu"):
            return None
        return own.step_again(x, self.stacks("", ""), self.states, states)


class RNNCell(_Cell, nn.RNNCell):
    """torch.nn.RNNCell as equations: one step of :class:`chalkgrad.RNN`, x (batch, input_size) → h.

    The arguments, initial values, names of parameters, results and errors are torch's; an error shows the
    equation besides.

    >>> cell = RNNCell(3, 4)
    >>> h = cell(torch.zeros(2, 3))
    >>> cell(torch.ones(2, 3), h).shape
    torch.Size([2, 4])
    """

    page, gates = "rnn", "h"


class LSTMCell(_Cell, nn.LSTMCell):
    """torch.nn.LSTMCell as equations: one step of :class:`chalkgrad.LSTM`, x (batch, input_size) → (h, c).

    >>> h, c = LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    page, gates, states = "lstm", "ifgo", ("h", "c")


class GRUCell(_Cell, nn.GRUCell):
    """torch.nn.GRUCell as equations: one step of :class:`chalkgrad.GRU`, x (batch, input_size) → h.

    >>> GRUCell(3, 4)(torch.zeros(3)).shape
    torch.Size([4])
    """

    page, gates = "gru", "rzn"
