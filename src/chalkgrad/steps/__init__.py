"""A derivation in steps, and a recurrence written out in time: everything shown is held to numbers first."""

from chalkgrad.steps.board import board, latex_board
from chalkgrad.steps.lesson import Lesson, lesson
from chalkgrad.steps.sheet import latex_sheet, sheet
from chalkgrad.steps.unrolling import Unrolling, unrolling

__all__ = ["Lesson", "Unrolling", "board", "latex_board", "latex_sheet", "lesson", "sheet", "unrolling"]
