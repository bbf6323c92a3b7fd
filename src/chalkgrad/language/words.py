"""The functions that the language knows besides those of :mod:`chalkgrad.equations.ops`."""

from __future__ import annotations

COLLAPSING = frozenset({"logsumexp", "sum", "max", "min", "mean", "var", "norm"})
"""Functions that make one number of an axis."""

STRUCTURED = COLLAPSING | {"softmax", "logsoftmax", "layernorm", "gelu", "silu"}
"""Functions that are built from others (:mod:`chalkgrad.language.resolve.functions`)."""
