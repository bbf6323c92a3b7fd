r"""Convolutions, pooling, norms and further cells, as they are written.

LaTeX as it is pasted, and the text form that means the same.
"""

from __future__ import annotations

from latex_papers import Written

OPERATORS: dict[str, Written] = {
    "I*K": Written(
        r"S(i,j) = (I * K)(i,j) = \sum_m \sum_n I(m,n) K(i-m, j-n).",
        "S(i,j) = [I*K](i,j) = Σ[m] Σ[n] I(m,n) K(i-m,j-n)",
        {"inputs": "I"},
    ),
    "cross-corr": Written(
        r"S(i,j) = (K * I)(i,j) = \sum_m\sum_n I(i+m, j+n) K(m,n)",
        "S(i,j) = [K*I](i,j) = Σ[m] Σ[n] I(i+m,j+n) K(m,n)",
        {"inputs": "I"},
    ),
    "conv brackets inf": Written(
        r"(f * g)[n] = \sum_{k=-\infty}^{\infty} f[k] \cdot g[n-k]",
        "[f*g](n) = Σ[k∈ℤ] f[k] g[n-k]",
        {"inputs": "g"},
    ),
    "conv inf": Written(
        r"(f * g)(n) = \sum_{m=-\infty}^{\infty} f(m) g(n-m)",
        "[f*g](n) = Σ[m∈ℤ] f(m) g(n-m)",
        {"inputs": "g"},
    ),
    "dilated 2": Written(
        r"y_s = \sum_{i=0}^{k-1} f_i x_{s-2i} where x: input N zero outside",
        "y[s] = Σ[i=0..k-1] f[i] x[s-2i] where x: input N zero outside",
    ),
    "ij p q": Written(
        r"C(i, j) = \sum_{p=0}^{k-1} \sum_{q=0}^{l-1} A(i+p, j+q) \cdot K(p, q)",
        "C[i,j] = Σ[p=0..k-1] Σ[q=0..l-1] A[i+p,j+q] K[p,q]",
        {"inputs": "A"},
    ),
    "d2l conv": Written(
        r"[\mathbf{H}]_{i, j} = u + \sum_a \sum_b [\mathbf{V}]_{a, b} [\mathbf{X}]_{i+a, j+b}",
        "H[i,j] = u + Σ[a] Σ[b] V[a,b] X[i+a,j+b]",
        {"inputs": "X"},
    ),
    "d2l channels": Written(
        r"[\mathsf{H}]_{i,j,d} = \sum_{a = -\Delta}^{\Delta} \sum_{b = -\Delta}^{\Delta} \sum_c"
        r" [\mathsf{V}]_{a, b, c, d} [\mathsf{X}]_{i+a, j+b, c}",
        "H[i,j,d] = Σ[-Δ≤a≤Δ] Σ[-Δ≤b≤Δ] Σ[c] V[a,b,c,d] X[i+a,j+b,c]",
        {"inputs": "X"},
    ),
    "maxpool": Written(
        r"y_{c,i,j} = \max_{0 \le p < 2,\, 0 \le q < 2} x_{c,2i+p,2j+q}",
        "y[c,i,j] = max[0≤p<2,0≤q<2] x[c,2i+p,2j+q]",
        {"inputs": "x"},
    ),
    "max braces": Written(
        r"h_t = \max\{0, W x_t\}",
        "h[t] = max(0, W x[t])",
    ),
    "relu max": Written(
        r"h_t = \max(0, W x_t + U h_{t-1})",
        "h[t] = max(0, W x[t] + U h[t-1])",
    ),
    "conv wikipedia M": Written(
        r"{\displaystyle (f*g)[n]=\sum _{m=-M}^{M}f[n-m]g[m].}",
        "[f*g](n) = Σ[-M≤m≤M] f[n-m] g[m]",
        {"inputs": "f"},
    ),
    "layer norm v": Written(
        r"\mu = \frac{1}{H} \sum_{i=1}^{H} x_i \\ v = \frac{1}{H} \sum_{i=1}^{H} (x_i - \mu)^2 \\"
        r" \hat{x}_i = \frac{x_i - \mu}{\sqrt{v + \epsilon}} \\ y_i = \gamma_i \hat{x}_i +"
        r" \beta_i where \epsilon: scalar",
        "μ = (1/H) Σ[i=1..H] x[i]" "\n"
        "v = (1/H) Σ[i=1..H] (x[i] - μ)^2" "\n"
        "x_hat[i] = (x[i] - μ)/sqrt(v + ε)" "\n"
        "y[i] = γ[i] x_hat[i] + β[i] where ε: scalar",
        {"inputs": "x"},
    ),
    "LayerNorm": Written(
        r"h_t = \tanh(\mathrm{LayerNorm}(W x_t + U h_{t-1}))",
        "h[t] = tanh(layernorm(W x[t] + U h[t-1]))",
    ),
    "IndRNN": Written(
        r"\mathbf{h}_{t} = \sigma(\mathbf{W} \mathbf{x}_t + \mathbf{u} \odot \mathbf{h}_{t-1} +"
        r" \mathbf{b})",
        "h[t] = σ(W x[t] + u ⊙ h[t-1] + b)",
    ),
    "MGU": Written(
        r"\begin{aligned}f_{t}&=\sigma (W_{f}x_{t}+U_{f}h_{t-1}+b_{f})\\{\hat"
        r" {h}}_{t}&=\tanh(W_{h}x_{t}+U_{h}(f_{t}\odot h_{t-1})+b_{h})\\h_{t}&=(1-f_{t})\odot"
        r" h_{t-1}+f_{t}\odot {\hat {h}}_{t}\end{aligned}",
        "f[t] = σ(W_f x[t] + U_f h[t-1] + b_f)" "\n"
        "h_hat[t] = tanh(W_h x[t] + U_h (f[t] ⊙ h[t-1]) + b_h)" "\n"
        "h[t] = (1 - f[t]) ⊙ h[t-1] + f[t] ⊙ h_hat[t]",
    ),
    "highway 2": Written(
        r"T = \sigma(W_T x + b_T),\; y = T \odot \tanh(W_H x + b_H) + (1 - T) \odot x",
        "T = σ(W_T x + b_T)" "\n"
        "y = T ⊙ tanh(W_H x + b_H) + (1 - T) ⊙ x",
        {"inputs": "x"},
    ),
    "SRU": Written(
        r"\tilde{\mathbf{x}}_t = \mathbf{W}\mathbf{x}_t, \quad \mathbf{f}_t = \sigma(\mathbf{W}_f"
        r" \mathbf{x}_t + \mathbf{b}_f), \quad \mathbf{r}_t = \sigma(\mathbf{W}_r\mathbf{x}_t +"
        r" \mathbf{b}_r), \quad \mathbf{c}_t = \mathbf{f}_t \odot \mathbf{c}_{t-1} +"
        r" (1-\mathbf{f}_t)\odot\tilde{\mathbf{x}}_t, \quad \mathbf{h}_t = \mathbf{r}_t \odot"
        r" g(\mathbf{c}_t) + (1-\mathbf{r}_t)\odot \mathbf{x}_t",
        "x_tilde[t] = W x[t]" "\n"
        "f[t] = σ(W_f x[t] + b_f)" "\n"
        "r[t] = σ(W_r x[t] + b_r)" "\n"
        "c[t] = f[t]⊙c[t-1] + (1-f[t])⊙x_tilde[t]" "\n"
        "h[t] = r[t] ⊙ tanh(c[t]) + (1-r[t])⊙x[t]",
        {"functions": {"g": "tanh"}},
    ),
    "SRU2": Written(
        r"\mathbf{f}_t = \sigma(\mathbf{W}_f \mathbf{x}_t + \mathbf{v}_f \odot \mathbf{c}_{t-1} +"
        r" \mathbf{b}_f) \\ \mathbf{c}_t = \mathbf{f}_t \odot \mathbf{c}_{t-1} +"
        r" (1-\mathbf{f}_t)\odot(\mathbf{W} \mathbf{x}_t)",
        "f[t] = σ(W_f x[t] + v_f ⊙ c[t-1] + b_f)" "\n"
        "c[t] = f[t] ⊙ c[t-1] + (1-f[t]) ⊙ (W x[t])",
    ),
    "peephole diag": Written(
        r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} + w_{ci} \odot c_{t-1} + b_i) \\ c_t = i_t"
        r" \odot c_{t-1} \\ h_t = i_t \odot \tanh(c_t)",
        "i[t] = σ(W_xi x[t] + W_hi h[t-1] + w_ci ⊙ c[t-1] + b_i)" "\n"
        "c[t] = i[t] ⊙ c[t-1]" "\n"
        "h[t] = i[t] ⊙ tanh(c[t])",
    ),
    "geron": Written(
        r"y_{\left(t\right)}=\Phi"
        r" \left(W_x^Tx_{\left(t\right)}+W_y^Ty_{\left(t-1\right)}+b\right) where \Phi = tanh",
        "y[t] = tanh(W_xᵀ x[t] + W_yᵀ y[t-1] + b)",
    ),
    "textrm gate names": Written(
        r"\mathbf{f}_t = \text{sigmoid}(\mathbf{W}_{\text{forget}} \mathbf{x}_t +"
        r" \mathbf{b}_{\text{forget}})",
        "f[t] = sigmoid(W_forget x[t] + b_forget)",
    ),
    "sigmoid word": Written(
        "o_t = sigmoid(W_{ih} x_t + b_{ih})",
        "o[t] = σ(W_ih x[t] + b_ih)",
    ),
    "sigmoid fraction": Written(
        r"y_t = \frac{1}{1 + e^{-W x_t}}",
        "y[t] = 1/(1 + exp(-W x[t]))",
    ),
    "exp{}": Written(
        r"y_t = \exp\{-W x_t\} \\ z_t = \exp{(W x_t)}",
        "y[t] = exp(-W x[t])" "\n"
        "z[t] = exp(W x[t])",
    ),
    "norm2": Written(
        r"y_t = \frac{x_t}{\|x_t\|_2}",
        "y[t] = x[t]/norm(x[t])",
    ),
    "norm sq": Written(
        r"y_t = \lVert W x_t \rVert^2",
        "y[t] = norm(W x[t])^2",
    ),
    "abs": Written(
        r"y_t = |x_t| + \left|W x_t\right|",
        "y[t] = abs(x[t]) + abs(W x[t])",
    ),
    "softmax_j": Written(
        r"\alpha_{ij} = \operatorname{softmax}_j(e_{ij}) \\ e_{ij} = q_i^\top k_j",
        "α[i,j] = softmax[j](e[i,j])" "\n"
        "e[i,j] = q[i]ᵀ k[j]",
        {"inputs": "q,k"},
    ),
    "neg exponent": Written(
        "y_t = x_t^{-1} + x_t^{1/2} + x_t^{0.5}",
        "y[t] = x[t]^-1 + x[t]^(1/2) + x[t]^0.5",
    ),
    "hadamard": Written(
        r"h_t = u \circ h_{t-1} + W x_t",
        "h[t] = u ⊙ h[t-1] + W x[t]",
    ),
    "concat semicolon": Written(
        r"h_t = \tanh(W [h_{t-1} ; x_t])",
        "h[t] = tanh(W [h[t-1]; x[t]])",
    ),
    "concat col": Written(
        r"h_t = \tanh\left(W \begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b\right)",
        "h[t] = tanh(W [h[t-1]; x[t]] + b)",
    ),
    "array matrix": Written(
        r"h_t = \tanh\left(W \left[\begin{array}{c} h_{t-1} \\ x_t \end{array}\right] + b\right)",
        "h[t] = tanh(W [h[t-1]; x[t]] + b)",
    ),
    "numbers matrix": Written(
        r"y = \begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix} x",
        "y = [[1, 2], [3, 4]] x",
        {"inputs": "x"},
    ),
    "numbers array": Written(
        r"y = \left[\begin{array}{cc} 1 & -2 \\ 3 & 4 \end{array}\right] x",
        "y = [[1, -2], [3, 4]] x",
        {"inputs": "x"},
    ),
    "for t": Written(
        r"h_t = \tanh(W x_t + U h_{t-1}), \quad t = 1, \ldots, T",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "for t dots": Written(
        r"h_t = \tanh(W x_t + U h_{t-1}) \qquad \text{for } t = 1, 2, \dots, T",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "forall": Written(
        r"h_t = \tanh(W x_t + U h_{t-1}) \quad \forall t \in \{1, \dots, T\}",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "h_0=0": Written(
        r"h_0 = 0, h_t = \tanh(W x_t + U h_{t-1})",
        "h[0] = 0" "\n"
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "h_0 vec 0": Written(
        r"\mathbf{h}_0 = \mathbf{0} \\ h_t = \tanh(W x_t + U h_{t-1})",
        "h[0] = 0" "\n"
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "shapes": Written(
        r"h_t = \tanh(W x_t + U h_{t-1} + b) where W \in \mathbb{R}^{H \times D}, U \in"
        r" \mathbb{R}^{H \times H}",
        "h[t] = tanh(W x[t] + U h[t-1] + b) where W: H×D, U: H×H",
    ),
    "shapes2": Written(
        r"h_t = \tanh(W x_t + U h_{t-1} + b) \\ x_t \in \mathbb{R}^{D}, h_t \in \mathbb{R}^H, W"
        r" \in \mathbb{R}^{H \times D}",
        "h[t] = tanh(W x[t] + U h[t-1] + b)" "\n"
        "where x[t]: D, h[t]: H, W: H×D",
    ),
    "shapes R": Written(
        r"h_t = \tanh(W x_t + U h_{t-1} + b), W \in \R^{H \times D}",
        "h[t] = tanh(W x[t] + U h[t-1] + b)" "\n"
        "where W: H×D",
    ),
    "isin": Written(
        r"h_t = \tanh(W x_t + U h_{t-1} + b), W \isin R^{H \times D}",
        "h[t] = tanh(W x[t] + U h[t-1] + b)" "\n"
        "where W: H×D",
    ),
    "x in R^H x D prose": Written(
        r"$h_t = \tanh(W x_t + U h_{t-1} + b)$ 여기서 $W \in \mathbb{R}^{H\times D}$ 는 가중치이다.",
        "h[t] = tanh(W x[t] + U h[t-1] + b)" "\n"
        "where W: H×D",
    ),
}  # fmt: skip
