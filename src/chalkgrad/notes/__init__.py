"""Notes → the equations in them, and the layers that these are the equations of.

page       a note → its headings and formulas, prose and code left out
rows       a formula → its rows
found      rows → equations
kinds      what an equation is, seen alone
said       what the prose says of names
names      what an equation defines and reads
families   equations → those that belong together
compose    those of one layer → a page that the language reads
spelling   syntax trees → text form
note       all of it together
"""

from __future__ import annotations

from chalkgrad.notes.note import Note, NoteEquation, NoteLayer, read_note

__all__ = ["Note", "NoteEquation", "NoteLayer", "read_note"]
