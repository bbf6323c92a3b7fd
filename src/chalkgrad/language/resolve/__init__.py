"""Syntax tree → program: every name gets its role, its axes and its sizes, every equation its index form."""

from chalkgrad.language.resolve.resolved import Resolved, read

__all__ = ["Resolved", "read"]
