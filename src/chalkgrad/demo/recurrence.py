"""Scene 3: a recurrent network, and back-propagation through time as equations."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.padding import Padding

import chalkgrad
from chalkgrad.demo.board import equations, heading, say, show

EQUATION = "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)"


def scene(console: Console) -> None:
    heading(console, 3, "A recurrent network: some of the neighbours are the layer's own")
    show(console, EQUATION)
    say(
        console,
        "Since h is read at an earlier step of itself, it is a state, and the loop over t is found.",
        "x is given at each step; W_x, W_h and b are to be learned. Backwards:",
    )
    show(console, str(chalkgrad.derive(EQUATION)))
    say(
        console,
        "ȳ[t] is what the loss says of h[t] directly; the rest of ∂h[t] comes from the step after it.",
        "The same equations, checked in float64 against torch and against differences:",
    )
    show(console, str(chalkgrad.check(EQUATION, x=3, h=4)))
    say(console, "As a torch module, batch first:")
    code = f'net = chalkgrad.layer("{EQUATION}", x=64, h=128)\ny, state = net(torch.zeros(8, 20, 64))'
    show(console, code)
    net = chalkgrad.layer(EQUATION, x=64, h=128)
    y, state = net(torch.zeros(8, 20, 64))
    found = {n: tuple(p.shape) for n, p in net.named_parameters()} | {"y": tuple(y.shape)}
    found["state.h"] = tuple(state.h.shape)
    lines = "\n".join(f"{n:<7} {shape}" for n, shape in found.items())
    console.print(Padding(equations(lines), (0, 0, 0, 4), expand=False))
