"""What LaTeX's commands stand for, one table per kind."""

from __future__ import annotations

import difflib


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_GREEK = _words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
)
_SMALL = "αβγδεζηθικλμνξοπρστυφχψω"

LETTERS = {
    **dict(zip(_GREEK, _SMALL, strict=True)),
    **{n.capitalize(): c.upper() for n, c in zip(_GREEK, _SMALL, strict=True)},
    "varepsilon": "ε", "vartheta": "θ", "varphi": "φ", "varrho": "ρ", "varpi": "π", "varsigma": "ς",
    "varkappa": "κ", "ell": "ℓ", "imath": "i", "jmath": "j",
    "Sigma": "Sigma",  # Σ is the sum
}  # fmt: skip
"""Commands that are a letter."""

SIGNS = {
    "cdot": "·", "times": "·", "odot": "⊙", "circ": "⊙", "ast": "*", "div": "/", "lt": "<", "gt": ">",
    "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "in": "∈", "pm": "±",
    "infty": "∞", "sum": "Σ", "top": "ᵀ", "intercal": "ᵀ", "transpose": "ᵀ", "colon": ":", "slash": "/",
    "coloneqq": "=", "triangleq": "=", "equiv": "=", "leftarrow": "=", "gets": "=", "lbrace": "(",
    "rbrace": ")", "{": "(", "}": ")", "lbrack": "[", "rbrack": "]", "vert": "|", "lvert": "|", "rvert": "|",
    "Vert": "‖", "lVert": "‖", "rVert": "‖", "|": "‖", "mid": "∣", "ldots": "…", "cdots": "…", "dots": "…",
    "dotsc": "…", "dotsb": "…", "vdots": "…", "partial": "∂",
    "isin": "∈", "langle": "⟨", "rangle": "⟩", "lang": "⟨", "rang": "⟩", "minus": "-", "R": "ℝ",
    "reals": "ℝ", "Reals": "ℝ", "Z": "ℤ", "N": "ℕ", "prod": "∏",
}  # fmt: skip
"""Commands that are a sign, as the text form has it."""

FUNCTIONS = _words(
    "tanh exp log ln max min sin cos tan sinh cosh arctan arcsin arccos coth sec csc cot det dim ker"
)
"""Commands that are the name of a function (those that no layer has get the error of a name not known)."""

FONTS = _words(
    "mathbf boldsymbol bm mathit mathcal mathscr mathfrak mathsf mathtt mathbb pmb bf it cal rm bold "
    "mathnormal symbf symbfit"
)
"""Commands that change the looks of letters; a letter is the same in every font."""

WORDS = _words(
    "mathrm text textrm textbf textit textsf texttt textnormal textsc operatorname operatorname* mathop mbox"
)
"""Commands whose argument is one word, or prose."""

ACCENTS = {
    "tilde": "tilde", "widetilde": "tilde", "hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar",
    "dot": "dot", "ddot": "ddot", "vec": "vec", "check": "check", "breve": "breve", "acute": "acute",
    "grave": "grave", "overrightarrow": "right", "overleftarrow": "left", "underline": "low",
}  # fmt: skip
"""Accents: the name without them, and what is added to it: ``\\tilde{c}`` is ``c_tilde``."""

SPACES = _words(", ; : ! > - / thinspace medspace thickspace enspace negthinspace space nobreak nobreakspace")
SEPARATORS = _words("quad qquad newline cr par indent noindent medskip smallskip bigskip hfill enskip")
SILENT = _words(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm middle "
    "displaystyle textstyle scriptstyle limits nolimits nonumber notag centering hline allowbreak "
    "mathstrut strut normalsize small large Large"
)
"""Commands that say how large or where, and nothing else."""

SILENT_WITH_ARGUMENT = _words(
    "tag tag* label eqref ref cite footnote hspace hspace* vspace vspace* phantom vphantom hphantom color"
)
BRACES = _words("underbrace overbrace")
"""Commands that mark a part of an expression; what they say of it stands in a script behind."""

PROOF = _words("implies Rightarrow Longrightarrow therefore because iff Leftrightarrow longrightarrow")
"""Commands that stand between equations."""

ALIGNED = _words(
    "equation align aligned alignedat alignat gather gathered split multline eqnarray flalign displaymath "
    "math"
)
MATRICES = _words("matrix pmatrix bmatrix Bmatrix smallmatrix")

_INTEGRAL = (
    "an integral is no layer",
    "take the sum over a grid: [f * g](i) = \\sum_{a} f(a) g(i-a)",
)
_PROBABILITY = (
    "a probability is no layer",
    "it is what a language model computes: write the network that gives it, p_t = softmax(W h_t + b)",
)
_PRODUCT = (
    "this sign stands for more than one product",
    "write a \\odot b for element by element, a b for the matrix product",
)
_DIAGONAL = ("a diagonal matrix is not read", "write u \\odot h for diag(u) h")
_JOIN = ("a concatenation is written in brackets", "write [a, b]")
_ARG_MAX = ("an arg max has no gradient", "write softmax, which has one")
_LINEAR = ("a layer inside a layer is not read", "write what it computes: W x_t + b")
REFUSED = {
    **dict.fromkeys(("int", "iint", "iiint", "oint", "intop", "smallint"), _INTEGRAL),
    **dict.fromkeys(("Pr", "mathbbm", "sim"), _PROBABILITY),
    "nabla": (
        "a gradient is no layer: it follows from the equations of one",
        "to check one that you derived, write \\frac{\\partial L}{\\partial w_i} = … after --claim",
    ),
    "lim": ("a limit is no layer", "write what is computed, step by step"),
    "otimes": (
        "`\\otimes` has two meanings",
        "write a \\odot b for element by element, a b^\\top for the outer product",
    ),
    "oplus": ("`\\oplus` has two meanings", "write a + b for the sum, [a, b] for the concatenation"),
    "approx": ("`\\approx` defines nothing", "an equation has `=`"),
    "neq": ("`\\neq` defines nothing", "an equation has `=`"),
    "propto": (
        "`\\propto` leaves the factor open",
        "an equation has `=`; a normalised one is softmax: p = softmax(a)",
    ),
    **dict.fromkeys(("argmax", "argmin", "arg"), _ARG_MAX),
    **dict.fromkeys(("bullet", "star", "wedge"), _PRODUCT),
    "bigodot": ("a product over an index is not read", "write it as a recurrence, p_t = p_{t-1} \\odot a_t"),
    "diag": _DIAGONAL,
    "substack": ("stacked limits are not read", "write \\sum_{p,q}"),
    "binom": ("a binomial coefficient is not read", "write the number"),
    "over": ("`\\over` is not read", "write \\frac{a}{b}"),
    "choose": ("a binomial coefficient is not read", "write the number"),
    "overset": ("`\\overset` is not read", "keep the sign below it, and remove the rest"),
    "stackrel": ("`\\stackrel` is not read", "keep the sign below it, and remove the rest"),
    "def": ("definitions of commands are not read", "write what the command stands for"),
    "newcommand": ("definitions of commands are not read", "write what the command stands for"),
}
"""Commands that no layer has: what they are, and what to do."""

PROBABILITY = _PROBABILITY

REFUSED_WORDS = {
    "diag": _DIAGONAL,
    **dict.fromkeys(("argmax", "argmin"), _ARG_MAX),
    **dict.fromkeys(("concat", "cat", "concatenate"), _JOIN),
    **dict.fromkeys(("linear", "dense", "conv", "conv2d", "lstm", "gru", "rnn", "mlp", "ffn"), _LINEAR),
    "ln": ("`LN` could be the layer norm, or the logarithm", "write layernorm(…) or \\log(…)"),
    "dropout": ("dropout is random, and no part of a layer", "leave it out, and put it behind the layer"),
}
"""Words that are used as functions and are none, in small letters."""

KNOWN = {
    *LETTERS, *SIGNS, *FUNCTIONS, *FONTS, *WORDS, *ACCENTS, *SEPARATORS, *SILENT, *SILENT_WITH_ARGUMENT,
    "frac", "dfrac", "tfrac", "cfrac", "sqrt", "prime", "forall", "begin", "end", "textcolor", "displaystyle",
}  # fmt: skip


def near(command: str) -> str:
    """A hint: the known commands nearest to one that is not known."""
    found = difflib.get_close_matches(command, [k for k in KNOWN if len(k) > 2], n=3, cutoff=0.6)
    if found:
        return "did you mean " + " or ".join(f"\\{k}" for k in found)
    return f"a function is written \\operatorname{{{command}}}(…), a name \\mathrm{{{command}}}"
