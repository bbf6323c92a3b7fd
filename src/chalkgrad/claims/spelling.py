"""Which name of a page a name of Python is: ``wRec`` is w_rec, ``dW_x`` and ``Wx_grad`` are ∂W_x."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_GRADIENT = ("gradient_", "gradient", "grad_", "grad", "dldl_", "dl_d", "dld", "d_", "d")
_ARRIVING = {
    "gradout",
    "outgrad",
    "gradoutput",
    "outputgrad",
    "dout",
    "dy",
    "upstream",
    "gradoutputs",
    "seed",
}


def folded(name: str) -> str:
    """A name without case, accents, underscores and primes' variants, Greek letters by their names.

    >>> folded("W_rec"), folded("wRec"), folded("α"), folded("h₀")
    ('wrec', 'wrec', 'alpha', 'h0')
    """
    found = ""
    for c in unicodedata.normalize("NFKD", name):
        called = unicodedata.name(c, "")
        if called.startswith("GREEK") and "LETTER" in called:
            found += called.split("LETTER ", 1)[1].split(" ")[0].lower()
        elif c in "'′":
            found += "prime"
        elif c.isalnum():
            found += c.lower()
    return found


def same(name: str, known: Iterable[str]) -> str | None:
    """The one known name that is spelled so, exactly or folded; None where there is none, or more."""
    known = list(known)
    if name in known:
        return name
    exact = [k for k in known if k.replace("_", "") == name.replace("_", "")]
    found = exact or [k for k in known if folded(k) == folded(name)]
    return found[0] if len(found) == 1 else None


def gradient_of(name: str, known: Iterable[str]) -> str | None:
    """The known name whose gradient is called so: dWx, grad_W_x, Wx_grad, dL_dWx, ∂W."""
    known = list(known)
    plain = name.removeprefix("∂")
    stems = [plain] if plain != name else []
    low = plain.lower()
    stems += [plain[len(p) :] for p in _GRADIENT if low.startswith(p) and len(plain) > len(p)]
    stems += [plain[: -len(p)] for p in ("_gradient", "gradient", "_grad", "grad", "_bar") if low.endswith(p)]
    for stem in stems:
        found = same(stem.strip("_"), known)
        if found is not None:
            return found
    return None


def arrives(name: str, outputs: Iterable[str]) -> str | None:
    """The output at which a gradient arrives by this name: grad_out, dout, dh of the output h."""
    outputs = list(outputs)
    own = gradient_of(name, outputs)
    if own is not None:
        return own
    return outputs[0] if len(outputs) == 1 and folded(name) in _ARRIVING else None
