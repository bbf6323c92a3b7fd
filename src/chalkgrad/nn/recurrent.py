"""Recurrent layers with torch.nn's constructors, parameters and results, computed as their equations say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from chalkgrad.language.source import EquationError
from chalkgrad.nn.arguments import in_dtype_of
from chalkgrad.nn.function import Watch
from chalkgrad.nn.gates import REVERSE, Gates, check_input, equations_of, twin
from chalkgrad.nn.options import (
    PEEPHOLE,
    Beyond,
    Extra,
    by_state,
    probability,
    rates_of,
    truth,
)
from chalkgrad.nn.packing import packing
from chalkgrad.nn.page import refuse
from chalkgrad.nn.recording import in_one
from chalkgrad.nn.recurrence import Asked, Recurrence, joined, recurrence


class _Layers(Beyond, Gates, nn.RNNBase):
    """Layers of one page each; what one gives is the input of the next.

    ``torchs`` is torch's own class. These are not derived from it, as torch.compile refuses whatever is, but
    from its base; they are made by it, and have all that it makes. Within a call everything begins with the
    batch: ``x`` is (batch, steps, features).
    """

    torchs: ClassVar[type[nn.RNNBase]]
    __constants__: ClassVar[list[str]] = [
        *nn.RNNBase.__constants__,
        *("nonlinearity", "layer_norm", "zoneout", "recurrent_dropout"),
    ]
    watches: Mapping[int, Watch] = {}  # by layer, are told of gradients: chalkgrad.flow

    num_layers: Any
    batch_first: Any
    bidirectional: Any
    dropout: Any
    training: bool
    weight_ih_l0: Any

    def __init__(
        self,
        *args: Any,
        zoneout: float | tuple[float, ...] = 0.0,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        self.__dict__ = self.torchs(*args, **kwargs).__dict__
        self.zoneout = rates_of(zoneout, self.states)
        self.recurrent_dropout = probability("recurrent_dropout", recurrent_dropout)
        self.layer_norm = truth("layer_norm", layer_norm)
        self.add_extras(self.extras)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "watches"}

    @property
    def watched(self) -> bool:
        return bool(self.watches)

    @property
    def equations(self) -> str:
        """The text of the page that each layer computes: both directions, where there are two."""
        zoned = tuple(by_state(self.zoneout, self.states))
        dropped = bool(self.recurrent_dropout)
        both, normed = self.bidirectional, self.layer_norm
        return equations_of(self._page, self.nonlinearity, self.bias, both, dropped, zoned, normed)

    @property
    def _page(self) -> str:
        """The name of the page in the zoo."""
        return f"{self.page}_projection" if self.proj_size else self.page

    @in_one
    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Sequence[int] | Tensor | int | None = None,
        resets: Tensor | None = None,
        truncate: int | None = None,
    ) -> Any:
        """output and h_n, or output and (h_n, c_n), as torch.nn's layer of the same name has them.

        ``lengths`` says how many steps each sequence has: what the input holds after them is not read, and
        outputs there are zero. ``resets``, true and false for each step of the input, says where a sequence
        begins anew from its initial state. ``truncate=k`` stops the gradient of the states after every k
        steps.
        """
        asked: Asked | None = None
        if not (lengths is resets is truncate is None):
            asked = {"lengths": lengths, "resets": resets, "truncate": truncate}
        own = recurrence(self.equations)
        try:
            if isinstance(input, PackedSequence):
                return self._packed(own, input, hx, asked)
            return self._padded(own, input, hx, asked)
        except EquationError as error:
            refuse(error, twin(self.torchs, self).forward, input, hx)

    def step(self, input: Any, hx: Any = None) -> Any:
        """One step of a sequence: (batch, features) or (features), and the states as a call gives them.

        The output is that of the step, with the numbers of the whole sequence.

        Raises EquationError for a layer in both directions, and in training for ``recurrent_dropout``, whose
        mask is one for a whole sequence.

        >>> net, state = LSTM(3, 4, num_layers=2), None
        >>> for x_t in torch.zeros(5, 2, 3):
        ...     y_t, state = net.step(x_t, state)
        >>> y_t.shape, state[0].shape
        (torch.Size([2, 4]), torch.Size([2, 2, 4]))
        """
        own = recurrence(self.equations)
        if self.bidirectional:
            own.fail("a layer in both directions has no step", help="call layer(x) with the whole sequence")
        if self.recurrent_dropout and self.training:
            own.fail(
                "recurrent_dropout has one mask for a whole sequence, and a step does not know the others",
                help="call layer(x) with the whole sequence, or layer.eval()",
            )
        check_input(own, input, (1, 2), "one step of a sequence, (features) or (batch, features),")
        axis = int(self.batch_first and input.dim() == 2)
        y, state = self(input.unsqueeze(axis), hx)
        return y.squeeze(axis), state

    def _shaped(self, found: tuple[Tensor, ...]) -> Any:
        return found[0], self.as_torchs(found[1:])

    def _recorded(self, *args: Any, **kwargs: Any) -> Any:
        """Packed sequences are padded outside of the call: a graph cannot take them as a whole."""
        packed, *rest = args or (None,)
        if not isinstance(packed, PackedSequence):
            return super()._recorded(*args, **kwargs)
        if kwargs.get("lengths") is not None or kwargs.get("resets") is not None:
            raise RuntimeError("a packed sequence has lengths of its own, and no place for resets")
        hx = rest[0] if rest else kwargs.get("hx")
        how = packing(packed, hx)
        x = how.padded()
        order, back = packed.sorted_indices, packed.unsorted_indices
        given = {"lengths": how.lengths, "truncate": kwargs.get("truncate")}
        y, last = super()._recorded(
            x.transpose(0, 1) if self.batch_first else x, _ordered(hx, order), **given
        )
        return how.again(y.transpose(0, 1) if self.batch_first else y), _ordered(last, back)

    def _padded(self, own: Recurrence, x: Tensor, hx: Any, asked: Asked | None) -> Any:
        check_input(own, x, (2, 3), "(steps, features), with one axis more for the batch")
        batched = x.dim() == 3
        rows = self.batch_first and batched
        if not batched:
            x = x.unsqueeze(1)
        if not rows:
            x = x.transpose(0, 1)
            if batched and asked and isinstance(asked["resets"], Tensor) and asked["resets"].dim() == 2:
                asked = {**asked, "resets": asked["resets"].T}
        if not x.shape[1]:
            own.fail("a sequence has no step", "x")
        starts = None
        if hx is not None:
            starts = self.checked_states(own, hx, self._deep, *x.shape[:1] if batched else ())
            if not batched:
                starts = tuple(h.unsqueeze(1) for h in starts)
        y, last = self._run(own, x, starts, asked, batched)
        if not rows:
            y = y.transpose(0, 1)
        if batched:
            return y, self.as_torchs(last)
        return y.squeeze(1), self.as_torchs([h.squeeze(1) for h in last])

    def _packed(self, own: Recurrence, packed: PackedSequence, hx: Any, asked: Asked | None) -> Any:
        """Padded, with lengths, and back. States are in the caller's order, sequences in that of the pack."""
        data, sizes, order, back = packed
        check_input(own, data, (2, 2), "(steps of all sequences, features)")
        if asked and not (asked["lengths"] is asked["resets"] is None):
            own.fail("a packed sequence has lengths of its own, and no place for resets")
        padded, lengths = pad_packed_sequence(PackedSequence(data, sizes))
        starts = None
        if hx is not None:
            starts = _ordered(self.checked_states(own, hx, self._deep, padded.shape[1]), order)
        if lengths[0] != lengths[-1]:
            asked = {"lengths": lengths, "resets": None, "truncate": asked and asked["truncate"]}
        y, last = self._run(own, padded.transpose(0, 1), starts, asked, True, lengths)
        data = pack_padded_sequence(y.transpose(0, 1), lengths).data
        return PackedSequence(data, sizes, order, back), self.as_torchs(_ordered(last, back))

    @property
    def _deep(self) -> int:
        """How many layers and directions there are."""
        return self.num_layers * (2 if self.bidirectional else 1)

    def _run(self, own: Recurrence, x: Tensor, starts: Any, *rest: Any) -> tuple[Tensor, list[Tensor]]:
        """The output of the last layer and the last states of all."""
        like = self.weight_ih_l0
        if like.is_meta or not torch.is_autocast_enabled(like.device.type):
            return self._layers(own, x, starts, *rest)
        # A recurrence adds over many steps: under autocast it takes what is half and computes in full.
        starts = starts and tuple(in_dtype_of(like, h) for h in starts)
        with torch.autocast(like.device.type, enabled=False):
            return self._layers(own, in_dtype_of(like, x), starts, *rest)

    def _layers(
        self,
        own: Recurrence,
        x: Tensor,
        starts: tuple[Tensor, ...] | None,
        asked: Asked | None,
        batched: bool,
        packing: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        directions = ("", REVERSE) if self.bidirectional else ("",)
        firsts = [*zip(*(h.unbind(0) for h in starts), strict=True)] if starts else []
        last: list[list[Tensor]] = [[] for _ in self.states]
        for k in range(self.num_layers):
            stacks = joined(*(self.stacks(f"_l{k}{direction}", direction) for direction in directions))
            first: dict[str, Tensor] = {}
            for direction in directions:
                if firsts:
                    first |= {n + direction: h for n, h in zip(self.states, firsts.pop(0), strict=True)}
            if k and self.training and self.dropout:
                x = self._dropped(x, packing)
            masks = self.masks(x, directions)
            outputs, states = own.run(x, stacks, first, asked, batched, self.watches.get(k), masks)
            x = outputs[0]
            if len(outputs) > 1:
                x = torch.cat([y.transpose(0, 1) for y in outputs], 2).transpose(0, 1)
            for direction in directions:
                for n, found in zip(self.states, last, strict=True):
                    found.append(states[n + direction])
        return x, [torch.stack(found) for found in last]

    def _dropped(self, x: Tensor, packing: Tensor | None) -> Tensor:
        """What one layer gives to the next in training. Drawn as torch draws it: steps first, or packed."""
        if packing is None:
            return dropout(x.transpose(0, 1), self.dropout).transpose(0, 1)
        data, sizes, _, _ = pack_padded_sequence(x.transpose(0, 1), packing)
        return pad_packed_sequence(PackedSequence(dropout(data, self.dropout), sizes), batch_first=True)[0]


def _ordered(states: Any, order: Tensor | None) -> Any:
    """States of the sequences in another order."""
    if states is None or order is None:
        return states
    if isinstance(states, tuple | list):
        return tuple([h.index_select(1, order) for h in states])
    return states.index_select(1, order)


class RNN(_Layers):
    """torch.nn.RNN as equations: x (steps, batch, input_size) → output (steps, batch, hidden_size) and h_n.

    The arguments, initial values, names of parameters, results and errors are torch's; an error shows the
    equation besides. Beyond torch's, a call takes ``lengths``, ``resets`` and ``truncate`` (see ``forward``).
    Under autocast everything is computed, and given, in the dtype of the parameters.

    Also beyond torch's, and by name only: ``recurrent_dropout=p`` drops units of the old state where a matrix
    multiplies it, the same at all steps of a sequence (Gal and Ghahramani, NIPS 2016, arXiv 1512.05287).
    ``zoneout=p`` keeps units of the states as they were, others at each step (Krueger et al., ICLR 2017,
    arXiv 1606.01305); a tuple has a probability for each state. Both are drawn in training, with torch's
    generator; else nothing is dropped, and zoneout takes the mean. ``layer_norm=True`` normalises what each
    gate has from the input and from the state (Ba, Kiros and Hinton, arXiv 1607.06450, 2016); its gains are
    ``weight_ln_ih_l0`` and ``weight_ln_hh_l0`` (gates·hidden_size), its biases torch's.

    ``equations``, ``program`` and ``derivation`` are the page of a layer, what it means, and its backward
    equations. Page: Elman, "Finding structure in time", Cognitive Science 14, 1990.

    >>> net = RNN(3, 4, num_layers=2)
    >>> print(net.equations)
    h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)
    where x[t]: D, h[t]: H
    >>> output, h_n = net(torch.zeros(5, 2, 3))
    >>> output.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))
    """

    torchs, page, gates = nn.RNN, "rnn", "h"


class LSTM(_Layers):
    """torch.nn.LSTM as equations, in every way that :class:`RNN` is torch.nn.RNN.

    Page: Hochreiter and Schmidhuber, Neural Computation 9(8), 1997, with the forget gate of Gers, Schmidhuber
    and Cummins, Neural Computation 12(10), 2000; with ``proj_size`` that of Sak, Senior and Beaufays,
    Interspeech 2014.

    ``peephole=True`` lets the gates see the cell: Gers, Schraudolph and Schmidhuber, JMLR 3, 2002. Its
    weights are ``weight_c_l0`` (3·hidden_size), for i, f and o. ``layer_norm=True`` normalises the cell too,
    where the output reads it, with ``weight_ln_c_l0`` and ``bias_ln_c_l0`` (hidden_size).

    >>> LSTM(3, 4, peephole=True, zoneout=(0.1, 0.5))
    LSTM(3, 4, peephole=True, zoneout=(0.1, 0.5))
    >>> output, (h_n, c_n) = LSTM(3, 4, proj_size=2, bidirectional=True)(torch.zeros(5, 2, 3))
    >>> output.shape, h_n.shape, c_n.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 2, 2]), torch.Size([2, 2, 4]))
    """

    torchs, page, gates, states = nn.LSTM, "lstm", "ifgo", ("h", "c")
    __constants__: ClassVar[list[str]] = [*_Layers.__constants__, "peephole"]

    peephole: bool = False

    def __init__(self, *args: Any, peephole: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peephole = truth("peephole", peephole)
        if peephole:
            self.add_extras(PEEPHOLE)

    @property
    def _page(self) -> str:
        kinds = (self.page, "peephole" if self.peephole else "", "projection" if self.proj_size else "")
        return "_".join(filter(None, kinds))

    @property
    def extras(self) -> tuple[Extra, ...]:
        return (*super().extras, *(PEEPHOLE if self.peephole else ()))

    @property
    def chosen(self) -> dict[str, Any]:
        return ({"peephole": True} if self.peephole else {}) | super().chosen


class GRU(_Layers):
    """torch.nn.GRU as equations, in every way that :class:`RNN` is torch.nn.RNN.

    Page: Cho et al., arXiv 1406.1078v1, 2014, with the reset after the product; with ``reset_after=False``
    that of the article's later versions, with the reset before it. The parameters are the same.

    >>> output, h_n = GRU(3, 4, batch_first=True)(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> output.shape, h_n.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """

    torchs, page, gates = nn.GRU, "gru", "rzn"
    __constants__: ClassVar[list[str]] = [*_Layers.__constants__, "reset_after"]

    reset_after: bool = True

    def __init__(self, *args: Any, reset_after: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reset_after = truth("reset_after", reset_after)

    @property
    def _page(self) -> str:
        return self.page if self.reset_after else f"{self.page}_before"

    @property
    def chosen(self) -> dict[str, Any]:
        return ({} if self.reset_after else {"reset_after": False}) | super().chosen
