"""The torch backend: programs run with torch operations. Every faster backend is held against it."""

from chalkgrad.kernels.eager.runner import Plan, Runner

__all__ = ["Plan", "Runner"]
