"""The part of a script that checks its gradients when the script is run."""

from __future__ import annotations

from dataclasses import dataclass

from chalkgrad.kernels.script.dialect import Dialect


@dataclass(frozen=True)
class Heads:
    """The outputs; for each the argument of backward that holds its gradient (empty where none does); and
    those outputs that are a loss by themselves."""

    outputs: list[str]
    seeds: list[str]
    losses: list[str]


def source(
    sizes: list[str], given: list[tuple[str, str]], heads: Heads, dialect: Dialect, positive: bool
) -> str:
    """``check()`` and the call of it, for the shapes of everything given."""
    width = max(len(name) for name, _ in given)
    drawn = "\n".join(f'        "{name}": draw({shape}),' for name, shape in given)
    seeds = [s for s in heads.seeds if s]
    pairs = [(o, s) for o, s in zip(heads.outputs, heads.seeds, strict=True) if s]
    terms = [f"({s} * {o}).sum()" for o, s in pairs] + [f"{o}.sum()" for o in heads.losses]
    told = {*heads.losses, *(o for o, _ in pairs)}
    if not terms:  # nothing has a gradient: it is zero, whatever is made of the outputs
        terms, told = [f"{o}.sum()" for o in heads.outputs], {*heads.outputs}
    first = ", ".join(o if o in told else "_" for o in heads.outputs)
    text = _TORCH if dialect == "torch" else _NUMPY
    one = "rng.uniform(0.2, 1.2, size=shape)" if positive else "0.7 * rng.normal(size=shape)"
    if dialect == "torch":
        one = (
            "(0.2 + torch.rand(shape, dtype=torch.float64))"
            if positive
            else "(0.7 * torch.randn(shape, dtype=torch.float64))"
        )
    made = "\n".join(_SEED[dialect].format(seed=s, output=o) for o, s in pairs)
    return text.format(
        draw=one,
        given=drawn,
        sizes="\n".join([*sizes, ""]),
        outputs=", ".join(heads.outputs),
        again=first,
        made=made + "\n" if made else "",
        loss=" + ".join(terms),
        seeds=", ".join([*seeds, "saved"]),
        width=width + 1,
    )


_SEED: dict[Dialect, str] = {
    "numpy": "    {seed} = rng.normal(size={output}.shape)",
    "torch": "        {seed} = torch.randn_like({output})",
}

_NUMPY = '''\
def check():
    """Compare backward with central differences of forward, one line for each gradient."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return np.array({draw})

{sizes}    given = {{
{given}
    }}
    {outputs}, saved = forward(**given)
{made}
    def loss():
        {again}, _ = forward(**given)
        return {loss}

    wrong = False
    for name, grad in backward({seeds}).items():
        value, differences = given[name], np.zeros_like(given[name])
        for k in np.ndindex(value.shape):
            kept = value[k]
            value[k] = kept + 1e-5
            above = loss()
            value[k] = kept - 1e-5
            differences[k] = (above - loss()) / 2e-5
            value[k] = kept
        scale = max(np.abs(grad).max(), np.abs(differences).max())
        error = np.abs(grad - differences).max() / scale if scale else 0.0
        right = error <= 1e-6
        wrong = wrong or not right
        print(f"{{'d' + name:<{width}}}  {{error:.1e}}  {{'right' if right else 'wrong'}}")
    return wrong


if __name__ == "__main__":
    sys.exit(check())
'''

_TORCH = '''\
def check():
    """Compare backward with torch's autograd through forward, one line for each gradient."""
    torch.manual_seed(0)

    def draw(*shape):
        return {draw}.requires_grad_()

{sizes}    given = {{
{given}
    }}
    # forward fills its tensors part by part; under this, autograd remembers what it has seen of them.
    with torch.autograd.graph.allow_mutation_on_saved_tensors():
        {outputs}, saved = forward(**given)
{made}        loss = {loss}
        expected = torch.autograd.grad(loss, list(given.values()), materialize_grads=True)
    with torch.no_grad():
        gradients = backward({seeds})
    wrong = False
    for name, auto in zip(given, expected, strict=True):
        grad = gradients[name]
        scale = max(grad.abs().max(), auto.abs().max())
        error = (grad - auto).abs().max() / scale if scale else 0.0
        right = error <= 1e-9
        wrong = wrong or not right
        print(f"{{'d' + name:<{width}}}  {{error:.1e}}  {{'right' if right else 'wrong'}}")
    return wrong


if __name__ == "__main__":
    sys.exit(check())
'''
