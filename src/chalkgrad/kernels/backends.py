"""The ways to run a program, by name."""

from __future__ import annotations

from typing import Literal, get_args

Backend = Literal["c", "torch", "eager"]
"""c: loops, and what stands around them, compiled where they can be, torch's operations for the rest, and its
convolutions and pools for what is one. torch: the same without compiled code. eager: one equation after the
other as it is written, torch's operations only: neither is anything recognised nor put together.
"""

BACKENDS: tuple[Backend, ...] = get_args(Backend)
