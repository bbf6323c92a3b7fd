"""LaTeX → the tokens of the text form: what a note or paper holds, pasted as it is.

regions    which characters are mathematics, which prose, which a ``where``
units      characters → letters, commands, braces, signs
items      units → names with their scripts, fractions, roots, signs (the nodes are in tree)
segments   items → equations, one after the other
indices    which letters are indices in an equation, and what each script says
write      items → tokens, the same that the text form has
"""

from __future__ import annotations

from chalkgrad.language.parse.latex.read import tokenize_latex

__all__ = ["tokenize_latex"]
