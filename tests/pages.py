"""The equations of the lecture notes, and what lies beyond them, as a user would write them in text form.

Each page has sizes to make a layer with, and the shape of each input for one example.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Page(NamedTuple):
    text: str
    sizes: dict[str, Any]
    inputs: tuple[tuple[int, ...], ...] = ((5, 3),)


SIZES = {"x": 3, "h": 4}

PAGES: dict[str, Page] = {
    # --- convolution -----------------------------------------------------------------------------------
    "C1": Page("h[i] = σ(Σ[j=1..k] V[j] x[i+j-1])\nwhere V: parameter, x: input", {"k": 3}, ((7,),)),
    "C1 from zero": Page("h[i] = σ(Σ[j] V[j] x[i+j]) where x: input", {"V": 3}, ((7,),)),
    "C2": Page("y[i] = Σ[p=1..d] f(p) g(i+p) where g: input", {"d": 3}, ((7,),)),
    "C3": Page("y[i,j] = Σ[p,q] f(p, q) g(i+p, j+q) where g: input", {"f": (2, 3)}, ((4, 6),)),
    "C4": Page(
        "y[i,j,k] = Σ[p,q,r] f(p, q, r) g(i+p, j+q, k+r) where g: input", {"f": (2, 2, 2)}, ((3, 4, 3),)
    ),
    "C5": Page("y[i] = Σ[a∈ℤ] f(a) g(i-a) where g: input", {"f": 3}, ((5,),)),
    "C6": Page(
        "y[k,i,j] = relu(Σ[c,p,q] w[k,c,p,q] x[c,i+p,j+q] + b[k])\nwhere x: input C×M×N, w: K×C×P×Q",
        {"C": 2, "K": 3, "P": 2, "Q": 3},
        ((2, 5, 6),),
    ),
    "C10": Page(
        "a[i] = Σ[p] u[p] x[i+p]\nz[i] = σ(a[i])\nb[i] = Σ[q] v[q] z[i+q]\n"
        "s[i] = tanh(b[i])\ny[i] = relu(Σ[r] w[r] s[i+r] + d) where x: input, d: scalar",
        {"u": 3, "v": 2, "w": 2},
        ((9,),),
    ),
    "strided and dilated": Page("y[i] = Σ[p] w[p] x[2i+3p] where x: input", {"w": 2}, ((9,),)),
    "zero outside by one": Page(
        "y[i] = Σ[p] w[p] x[i+p] where x: input N zero outside ±1, w: 3", {"N": 6}, ((6,),)
    ),
    "causal": Page("y[i] = Σ[p<3] w[p] x[i-p] where x: input N zero outside", {}, ((6,),)),
    "max pooling": Page("y[c,i,j] = max[p<2,q<2] x[c,2i+p,2j+q] where x: input", {}, ((2, 5, 6),)),
    "zero outside axis by axis": Page(
        "y[i,j] = Σ[p,q] w[p,q] x[2i+p-1,j+q] where x: input M×N zero outside ±1×0, w: 3×2",
        {},
        ((5, 4),),
    ),
    "zero outside, more after than before": Page(
        "y[i] = Σ[p] w[p] x[i+p-1] where x: input N zero outside -1+2, w: 4", {"N": 6}, ((6,),)
    ),
    "infinity outside": Page(
        "y[c,i] = max[p<3] x[c,2i+p-1] where x: input C×N -∞ outside 0×-1+2", {}, ((2, 6),)
    ),
    "between places": Page(
        "y[k,i] = Σ[c,p] w[c,k,p] x[c,(i-p+1)/2] + b[k]\n"
        "where x: input C×N zero outside, w: C×K×P, y: K×(2N+P-3)",
        {"w": (2, 3, 3)},
        ((2, 5),),
    ),
    "mean of windows": Page(
        "y[c,i] = Σ[p<3] x[c,2i+p-1] / 3 where x: input C×N zero outside ±1", {}, ((2, 6),)
    ),
    # --- recurrence ------------------------------------------------------------------------------------
    "R1": Page(
        "O = H W_2 + b_2\nH = σ(X W_1 + b_1) where X: input", {"X": (5, 3), "H": (5, 4), "O": (5, 2)}
    ),
    "R2": Page(
        "O[t] = H[t] W_2 + b_2\nH[t] = σ(X[t] W_X_1 + H[t-1] W_H_1 + b_1)", {"X": 3, "H": 4, "O": 2}
    ),
    "R3": Page(
        "h[t] = τ(a[t])\na[t] = W h[t-1] + U x[t] + b\no[t] = V h[t] + c\ny'[t] = softmax(o[t])\n"
        "where τ = tanh, U: p×d, W: p×p, V: q×p, b: p, c: q",
        {"d": 3, "p": 4, "q": 2},
    ),
    "R4": Page(
        "h[t,j] = τ(a[t,j])\na[t,j] = w[j] h[t-1] + u[j] x[t] + b[j]\nwhere τ = tanh", {"x": 3, "h": 4}
    ),
    "R5": Page(
        "s[t] = U x[t] + W h[t-1] + b_s\nh[t] = f(s[t])\nz[t] = V h[t] + b_z\ny[t] = g(z[t])\n"
        "where f = tanh, g = softmax",
        {"x": 3, "h": 4, "z": 2},
    ),
    "R6": Page("S[k] = X[k] w_x + S[k-1] w_rec\nwhere X[k]: scalar, S[k]: scalar", {}, ((5,),)),
    # --- gates -----------------------------------------------------------------------------------------
    "G1": Page(
        "f = σ(x[t] W_xf + h[t-1] W_hf + b_f)\ng = tanh(x[t] W_xg + h[t-1] W_hg + b_g)\n"
        "i = σ(x[t] W_xi + h[t-1] W_hi + b_i)\no = σ(x[t] W_xo + h[t-1] W_ho + b_o)\n"
        "c[t] = f ⊙ c[t-1] + g ⊙ i\nh[t] = o ⊙ tanh(c[t])",
        SIZES,
    ),
    "G1v": Page(
        "f = σ(x[t] W_xf + h[t-1] W_hf + b_f)\ng = tanh(x[t] W_xg + h[t-1] W_hg + b_g)\n"
        "i = σ(x[t] W_xi + h[t-1] W_hi + b_i)\no = σ(x[t] W_xo + h[t-1] W_ho + b_o)\n"
        "c[t] = f ⊙ c[t-1]\nh[t] = o ⊙ tanh(c[t])",
        SIZES,
    ),
    "G2": Page(
        "f = σ(x[t] W_xf + h[t-1] W_hf + W_cf ⊙ c[t-1] + b_f)\ng = tanh(x[t] W_xg + h[t-1] W_hg + b_g)\n"
        "i = σ(x[t] W_xi + h[t-1] W_hi + W_ci ⊙ c[t-1] + b_i)\n"
        "c[t] = f ⊙ c[t-1] + g ⊙ i\no = σ(x[t] W_xo + h[t-1] W_ho + W_co ⊙ c[t] + b_o)\n"
        "h[t] = o ⊙ tanh(c[t])",
        SIZES,
    ),
    "G3 before": Page(
        "h_tilde[t] = tanh(W x[t] + U (r[t] ⊙ h[t-1]) + b)\nh[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ h_tilde[t]\n"
        "z[t] = σ(W_z x[t] + U_z h[t-1] + b_z)\nr[t] = σ(W_r x[t] + U_r h[t-1] + b_r)",
        SIZES,
    ),
    "G3 after": Page(
        "h_tilde[t] = tanh(W x[t] + r[t] ⊙ (U h[t-1] + b_u) + b)\n"
        "h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ h_tilde[t]\n"
        "z[t] = σ(W_z x[t] + U_z h[t-1] + b_z)\nr[t] = σ(W_r x[t] + U_r h[t-1] + b_r)",
        SIZES,
    ),
    "G4": Page(
        "h[t] = tanh(W x[t] + R h[t-1] + b)\ng[t] = tanh(Q x[t] + S g[t+1] + d)\ny[t] = V h[t] + U g[t] + c",
        {"x": 3, "h": 4, "g": 2, "y": 3},
    ),
    # --- beyond ----------------------------------------------------------------------------------------
    "concatenation": Page("f[t] = σ(W_f [h[t-1]; x[t]] + b_f)\nh[t] = tanh(f[t])", SIZES),
    "A1": Page(
        "e[t,s] = vᵀ tanh(W s[t-1] + U h[s])\nα[t,s] = softmax[s](e[t,s])\nc[t] = Σ[s] α[t,s] h[s]\n"
        "s[t] = tanh(A s[t-1] + B c[t] + C y[t] + b)\nwhere h: input",
        {"h": (4, 3), "v": 2, "s": 3, "y": 2},
        ((4, 3), (5, 2)),
    ),
    "A2": Page(
        "A[i,j] = softmax[j](Σ[d] Q[i,d] K[j,d] / sqrt(D))\nO[i,d] = Σ[j] A[i,j] V[j,d]\n"
        "where Q: input, K: input, V: input",
        {},
        ((5, 3), (4, 3), (4, 2)),
    ),
    "two steps back": Page("h[t] = tanh(x[t] W + h[t-1] U + h[t-2] V + b)", SIZES),
    "next step on the left": Page("h[t+1] = tanh(x[t] W + h[t] U + b)", SIZES),
    "last step": Page("h[t] = tanh(x[t] W + h[t-1] U + b)\ny = h[T] V + c", {**SIZES, "y": 2}),
    "learned start": Page("h[0] = a\nh[t] = tanh(x[t] W + h[t-1] U + b)", SIZES),
    "differences": Page("d[t] = x[t] - x[t-1]\nh[t] = tanh(d[t] W + x[t] V + h[t-1] U)", SIZES),
    "X2": Page("h[i,j] = tanh(x[i,j] W + h[i-1,j] U + h[i,j-1] V + b)", SIZES, ((3, 4, 3),)),
    "X3": Page("α[t,j] = (Σ[i] α[t-1,i] A[i,j]) b[t,j]", {"α": 3}),
    "layer norm": Page("h[t] = tanh(layernorm(x[t] W + h[t-1] U) ⊙ g + b)", SIZES),
    "own past": Page("c[t] = Σ[s<t] w[t,s] c[s] + x[t] where w: input", {"x": 3}, ((5, 5), (5, 3))),
    "outer product": Page(
        "M[t] = M[t-1] + k[t] x[t]ᵀ\nwhere M[t]: A×B, x[t]: B, k[t]: A", {}, ((5, 2), (5, 3))
    ),
}  # fmt: skip
