r"""The equations of the lecture notes as they were pasted, and what a user puts beside them.

Each page has the keywords of :func:`chalkgrad.layer`, sizes among them, and the shape of each input for one
example. ``SAME`` names the page of :mod:`tests.pages` that says the same in text form.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Pasted(NamedTuple):
    text: str
    keywords: dict[str, Any]
    inputs: tuple[tuple[int, ...], ...] = ((5, 3),)
    same: str = ""


SIZES = {"x": 3, "h": 4}
TAU = {"functions": {"τ": "tanh"}}

LATEX: dict[str, Pasted] = {
    # --- convolution -----------------------------------------------------------------------------------
    "C1": Pasted(
        r"h_{i}=\sigma\left(\sum_{j=1}^{k} V_{j} x_{i+j-1}\right)" "\nwhere V: parameter, x: input",
        {"k": 3},
        ((7,),),
        "C1",
    ),
    "C2": Pasted(r"[f * g](i)=\sum_{p=1}^{d} f(p) g(i+p)", {"inputs": "g", "d": 3}, ((7,),)),
    "C3": Pasted(
        r"[f * g](i, j)=\sum_{p, q} f(p, q) g(i+p, j+q)", {"inputs": "g", "f": (2, 3)}, ((4, 6),)
    ),
    "C4": Pasted(
        r"[f * g](i, j, k)=\sum_{p, q, r} f(p, q, r) g(i+p, j+q, k+r)",
        {"inputs": "g", "f": (2, 2, 2)},
        ((3, 4, 3),),
    ),
    "C5": Pasted(
        r"[f * g](i)=\sum_{a \in \mathbb{Z}^{d}} f(a) g(i-a)"
        r"=\sum_{a \in \mathbb{Z}^{d}} f(i-a) g(a)=[g * f](i)",
        {"inputs": "g", "f": 3},
        ((5,),),
    ),
    "C5, two axes": Pasted(
        r"[f * g](i)=\sum_{a \in \mathbb{Z}^{d}} f(a) g(i-a)"
        r"=\sum_{a \in \mathbb{Z}^{d}} f(i-a) g(a)=[g * f](i)",
        {"inputs": "g", "f": (3, 2), "d": 2},
        ((5, 4),),
    ),
    "C5, three axes": Pasted(
        r"[f * g](i)=\sum_{a \in \mathbb{Z}^{3}} f(a) g(i-a)"
        r"=\sum_{a \in \mathbb{Z}^{3}} f(i-a) g(a)=[g * f](i)",
        {"inputs": "g", "f": (2, 2, 2)},
        ((2, 3, 2),),
    ),
    "C6": Pasted(
        r"y_{k,i,j} = \sum_{c,p,q} w_{k,c,p,q} x_{c,i+p,j+q} + b_k" "\nwhere x: input C×M×N, w: K×C×P×Q",
        {"C": 2, "K": 3, "P": 2, "Q": 3},
        ((2, 5, 6),),
    ),
    "C10": Pasted(
        r"a_i = \sum_p u_p x_{i+p} \\ z_i = \sigma(a_i) \\ b_i = \sum_q v_q z_{i+q} \\ s_i = \tanh(b_i) \\"
        r" y_i = \mathrm{ReLU}\left(\sum_r w_r s_{i+r} + d\right)" "\nwhere x: input, d: scalar",
        {"u": 3, "v": 2, "w": 2},
        ((9,),),
        "C10",
    ),
    # --- recurrence ------------------------------------------------------------------------------------
    "R1": Pasted(
        r"\mathbf{O}=\mathbf{H} \mathbf{W}^{(2)}+\mathbf{b}^{(2)}"
        "\n"
        r"\mathbf{H}=\sigma\left(\mathbf{X W}^{(1)}+\mathbf{b}^{(1)}\right)",
        {"inputs": "X", "X": (5, 3), "H": (5, 4), "O": (5, 2)},
        same="R1",
    ),
    "R2": Pasted(
        r"\begin{aligned} \mathbf{O}_{t} &=\mathbf{H}_{t} \mathbf{W}^{(2)}+\mathbf{b}^{(2)} \\"
        r" \mathbf{H}_{t} &=\sigma\left(\mathbf{X}_{t} \mathbf{W}_{X}^{(1)}+\mathbf{H}_{t-1}"
        r" \mathbf{W}_{H}^{(1)}+\mathbf{b}^{(1)}\right) \end{aligned}",
        {"X": 3, "H": 4, "O": 2},
        same="R2",
    ),
    "R3": Pasted(
        r"$\boldsymbol{h}^{(t)} = \tau(\boldsymbol{a}^{(t)})$, $\boldsymbol{a}^{(t)} ="
        r" \boldsymbol{W}\boldsymbol{h}^{(t-1)} + \boldsymbol{U}\boldsymbol{x}^{(t)} + \boldsymbol{b}$,"
        "\n"
        r"$\boldsymbol{o}^{(t)} = \boldsymbol{V}\boldsymbol{h}^{(t)} + \boldsymbol{c}$,"
        r" $\boldsymbol{y}^{\prime(t)} = softmax(\boldsymbol{o}^{(t)})$"
        "\nwhere U: p×d, W: p×p, V: q×p, b: p, c: q",
        {**TAU, "d": 3, "p": 4, "q": 2},
        same="R3",
    ),
    "R4": Pasted(
        r"h_j^{(t)} = \tau(a_{j}^{(t)})"
        "\n"
        r"a_j^{(t)} = \boldsymbol{w}_{j}\boldsymbol{h}^{(t-1)}"
        r" + \boldsymbol{u}_{j}\boldsymbol{x}^{(t)} + b_{j}",
        {**TAU, **SIZES},
        same="R4",
    ),
    "R5": Pasted(
        "s_t = Ux_t + Wh_{t-1} + b_s\nh_t = f(s_t)\n" r"z_t = V \cdot h_t + b_z" "\ny_t = g(z_t)",
        {"functions": {"f": "tanh", "g": "softmax"}, "x": 3, "h": 4, "z": 2},
        same="R5",
    ),
    "R6": Pasted(
        r"S_k = X_k w_x + S_{k-1} w_{rec}" "\nwhere X_k: scalar, S_k: scalar", {}, ((5,),), "R6"
    ),
    # --- gates -----------------------------------------------------------------------------------------
    "G1": Pasted(
        r"f = \sigma(x_t W_{xf} + h_{t-1} W_{hf} + b_f), g = \tanh(x_t W_{xg} + h_{t-1} W_{hg} + b_g),"
        r" i = \sigma(x_t W_{xi} + h_{t-1} W_{hi} + b_i), o = \sigma(x_t W_{xo} + h_{t-1} W_{ho}+b_o),"
        "\n"
        r"c_t = f \odot c_{t-1} + g \odot i, h_t = o \odot \tanh(c_t)",
        SIZES,
        same="G1",
    ),
    "G1v": Pasted(
        r"f = \sigma(x_t W_{xf} + h_{t-1} W_{hf} + b_f), g = \tanh(x_t W_{xg} + h_{t-1} W_{hg} + b_g),"
        r" i = \sigma(x_t W_{xi} + h_{t-1} W_{hi} + b_i), o = \sigma(x_t W_{xo} + h_{t-1} W_{ho}+b_o),"
        "\n"
        r"c_t = f \odot c_{t-1}, h_t = o \odot \tanh(c_t)",
        SIZES,
        same="G1v",
    ),
    "G2": Pasted(
        r"f = \sigma(x_t W_{xf} + h_{t-1} W_{hf} + W_{cf} \odot c_{t-1} + b_f)"
        "\n"
        r"g = \tanh(x_t W_{xg} + h_{t-1} W_{hg} + b_g)"
        "\n"
        r"i = \sigma(x_t W_{xi} + h_{t-1} W_{hi} + W_{ci} \odot c_{t-1} + b_i)"
        "\n"
        r"c_t = f \odot c_{t-1} + g \odot i"
        "\n"
        r"o = \sigma(x_t W_{xo} + h_{t-1} W_{ho} + W_{co} \odot c_t + b_o)"
        "\n"
        r"h_t = o \odot \tanh(c_t)",
        SIZES,
        same="G2",
    ),
    "G3 before": Pasted(
        r"\tilde{h}_t = \tanh(W x_t + U (r_t \odot h_{t-1}) + b)"
        r" \\ h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \tilde{h}_t"
        r" \\ z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z) \\ r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)",
        SIZES,
        same="G3 before",
    ),
    "G3 after": Pasted(
        r"\tilde{h}_t = \tanh(W x_t + r_t \odot (U h_{t-1} + b_u) + b)"
        r" \\ h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \tilde{h}_t"
        r" \\ z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z) \\ r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)",
        SIZES,
        same="G3 after",
    ),
    "G4": Pasted(
        r"h_t = \tanh(W x_t + R h_{t-1} + b) \\ g_t = \tanh(Q x_t + S g_{t+1} + d)"
        r" \\ y_t = V h_t + U g_t + c",
        {"x": 3, "h": 4, "g": 2, "y": 3},
        same="G4",
    ),
    # --- sequences and attention -----------------------------------------------------------------------
    "A1": Pasted(
        r"e_{t,s} = v^\top \tanh(W s_{t-1} + U h_s), \alpha_{t,s} = softmax_s(e_{t,s}),"
        r" c_t = \sum_s \alpha_{t,s} h_s"
        "\n"
        r"s_t = \tanh(A s_{t-1} + B c_t + C y_t + b)",
        {"inputs": "h", "h": (4, 3), "v": 2, "s": 3, "y": 2},
        ((4, 3), (5, 2)),
        "A1",
    ),
    "A2": Pasted(
        r"A_{ij} = softmax_j(\sum_d Q_{id} K_{jd} / \sqrt{D}), O_{id} = \sum_j A_{ij} V_{jd}",
        {"inputs": "Q, K, V"},
        ((5, 3), (4, 3), (4, 2)),
        "A2",
    ),
    # --- beyond ----------------------------------------------------------------------------------------
    "Olah's LSTM": Pasted(
        r"f_t = \sigma(W_f \cdot [h_{t-1}, x_t] + b_f) \\ i_t = \sigma(W_i \cdot [h_{t-1}, x_t] + b_i) \\"
        r" \tilde{C}_t = \tanh(W_C \cdot [h_{t-1}, x_t] + b_C) \\ C_t = f_t * C_{t-1} + i_t * \tilde{C}_t \\"
        r" o_t = \sigma(W_o [h_{t-1}, x_t] + b_o) \\ h_t = o_t * \tanh(C_t)",
        SIZES,
    ),
    "X2": Pasted(
        r"h_{i,j} = \tanh(x_{i,j} W + h_{i-1,j} U + h_{i,j-1} V + b)", SIZES, ((3, 4, 3),), "X2"
    ),
    "X3": Pasted(
        r"\alpha_{t,j} = \left(\sum_i \alpha_{t-1,i} A_{i,j}\right) b_{t,j}", {"α": 3}, same="X3"
    ),
}  # fmt: skip
