"""What a file asks of the operator of :mod:`chalkgrad.nn.library`, read from text."""

from __future__ import annotations

import json

from chalkgrad.equations.stored import restored
from chalkgrad.nn.function import Call
from chalkgrad.nn.operator import system_of


class Request:
    """What the operator is asked: a call, and what it answers."""

    def __init__(self, program: str, asked: str) -> None:
        said = json.loads(asked)
        system = system_of(restored(program), said["backend"])
        for how, names in said["steps"]:
            system = system.after(how, tuple(names))
        given, known, wanted, wrt, symbols = (
            tuple(said[what]) for what in ("given", "known", "wanted", "wrt", "sizes")
        )
        self.call = Call(system, given, known, wanted, wrt, {})
        self.answer = self.call.answer(symbols)
