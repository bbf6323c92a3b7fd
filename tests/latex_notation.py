r"""What stands in and around LaTeX: prose, sizes, numbers, fonts, spacing.

LaTeX as it is pasted, and the text form that means the same.
"""

from __future__ import annotations

from latex_papers import Written

NOTATION: dict[str, Written] = {
    "x_g": Written(
        r"x_g = W_{xh} x_t + b_g \\ h_t = \tanh(x_g + U h_{t-1})",
        "x_g = W_xh x[t] + b_g" "\n"
        "h[t] = tanh(x_g + U h[t-1])",
    ),
    "W1T": Written(
        r"h_t = W^{(1)\top} x_t + U_h^{(2)T} h_{t-1} + (x_t^{(1)\top} V)^\top",
        "h[t] = W_1ᵀ x[t] + U_h_2ᵀ h[t-1] + (x_1[t]ᵀ V)ᵀ",
    ),
    "h(t)T": Written(
        r"y^{(t)} = \boldsymbol{h}^{(t)\top} V \\ h^{(t)} = W x^{(t)}",
        "y[t] = h[t]ᵀ V" "\n"
        "h[t] = W x[t]",
    ),
    "korean note": Written(
        "순환 신경망은 다음과 같다." "\n"
        "\n"
        "$$" "\n"
        r"\begin{aligned}" "\n"
        r"h_t &= \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h) \\" "\n"
        "y_t &= W_{hy} h_t" "\n"
        r"\end{aligned}" "\n"
        "$$" "\n"
        "\n"
        "여기서 $h_t$ 는 은닉 상태, $x_t$ 는 시점 $t$ 의 입력이다.",
        "h[t] = tanh(W_hh h[t-1] + W_xh x[t] + b_h)" "\n"
        "y[t] = W_hy h[t]",
    ),
    "windows": Written(
        "$$\r" "\n"
        "h_t = \\tanh(W x_t +\r" "\n"
        " U h_{t-1})\r" "\n"
        "$$\r" "\n"
        "where x_t: D\r" "\n",
        "h[t] = tanh(W x[t] + U h[t-1]) where x[t]: D",
    ),
    "unicode letters": Written(
        "𝐡_t = tanh(𝐖 𝐱_t + 𝐔 𝐡_{t−1} + 𝐛)",
        "h[t] = tanh(W x[t] + U h[t-1] + b)",
    ),
    "where latex": Written(
        r"h_t = \phi(W x_t + U h_{t-1}) where \phi = \tanh, x_t: D",
        "h[t] = tanh(W x[t] + U h[t-1]) where x[t]: D",
    ),
    "text where": Written(
        r"h_t = \phi(W x_t + U h_{t-1}) \quad \text{where } \phi = \tanh",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "where $": Written(
        r"$h_t = \phi(W x_t + U h_{t-1})$" "\n"
        r"where $\phi = \tanh$",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "where $x$: D": Written(
        r"$h_t = \tanh(W x_t + U h_{t-1})$" "\n"
        "where $x_t$: D",
        "h[t] = tanh(W x[t] + U h[t-1]) where x[t]: D",
    ),
    "sizes2": Written(
        r"\displaystyle h_t = \Bigl( W\,x_t \!+ U\;h_{t-1} \Bigr) \hspace{1cm}",
        "h[t] = W x[t] + U h[t-1]",
    ),
    "names": Written(
        r"y_t = \tilde{c}_t + \hat{d}_t \\ \tilde{c}_t = W_X^{(1)} x_t \\ \hat d_t = \bar{V} x_t"
        r" + \vec{u}",
        "y[t] = c_tilde[t] + d_hat[t]" "\n"
        "c_tilde[t] = W_X_1 x[t]" "\n"
        "d_hat[t] = V_bar x[t] + u_vec",
    ),
    "W_{text{in}}": Written(
        r"h_t = W_{\text{in}} x_t + W_{\mathrm{rec}} h_{t-1} + b_{out}",
        "h[t] = W_in x[t] + W_rec h[t-1] + b_out",
    ),
    "{W}": Written(
        "h_t = {W} {x_t} + {{U}} h_{t-1}",
        "h[t] = W x[t] + U h[t-1]",
    ),
    "h{}_{t-1}": Written(
        "h_t = W x_t + U h_{t - 1}",
        "h[t] = W x[t] + U h[t-1]",
    ),
    "{}^{(t)}": Written(
        "{h}^{(t)} = W {x}^{(t)}",
        "h[t] = W x[t]",
    ),
    "mathbf X W": Written(
        r"\mathbf{H}=\sigma\left(\mathbf{X W}+\mathbf{b}\right)",
        "H = σ(X W + b)",
        {"inputs": "X"},
    ),
    "xW no space": Written(
        r"h_t = \tanh(x_tW + h_{t-1}U)",
        "h[t] = tanh(x[t] W + h[t-1] U)",
    ),
    "textbf": Written(
        r"\textbf{h}_t = \textbf{W} \textbf{x}_t",
        "h[t] = W x[t]",
    ),
    "nested frac": Written(
        r"y_t = \frac{x_t}{1 + \frac{1}{2} |x_t|}",
        "y[t] = x[t]/(1 + (1/2) abs(x[t]))",
    ),
    "frac12": Written(
        r"y_t = \frac12 x_t",
        "y[t] = (1/2) x[t]",
    ),
    "sqrt3": Written(
        r"y_t = \sqrt[3]{x_t^2 + 1}",
        "y[t] = (x[t]^2 + 1)^(1/3)",
    ),
    "log sum exp": Written(
        r"y = \log \sum_i \exp x_i",
        "y = log(Σ[i] exp(x[i]))",
        {"inputs": "x"},
    ),
    "sum +": Written(
        r"y_i = \sum_j W_{ij} x_j + b_i",
        "y[i] = Σ[j] W[i,j] x[j] + b[i]",
        {"inputs": "x"},
    ),
    "sum limits": Written(
        r"y_i = \sum\limits_{j=1}^{n} W_{ij} x_j",
        "y[i] = Σ[j=1..n] W[i,j] x[j]",
        {"inputs": "x"},
    ),
    "sum both": Written(
        r"y_i = \sum_{j,k} W_{ijk} x_j x_k",
        "y[i] = Σ[j,k] W[i,j,k] x[j] x[k]",
        {"inputs": "x"},
    ),
    "sum s<t": Written(
        r"c_t = \sum_{s<t} w_{t,s} x_s",
        "c[t] = Σ[s<t] w[t,s] x[s]",
        {"inputs": "w,x"},
    ),
    "sum s t-1": Written(
        r"c_t = \sum_{s=1}^{t-1} w_{t,s} x_s",
        "c[t] = Σ[s=1..t-1] w[t,s] x[s]",
        {"inputs": "w,x"},
    ),
    "tag": Written(
        r"h_t = W x_t \tag{3.2} \label{eq:h}",
        "h[t] = W x[t]",
    ),
    "number2": Written(
        r"h_t = W x_t  \qquad (3)",
        "h[t] = W x[t]",
    ),
    "comma rows": Written(
        r"h_t = W x_t,\\ y_t = V h_t.",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "and": Written(
        r"h_t = W x_t \quad\text{and}\quad y_t = V h_t",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "implies": Written(
        r"h_t = W x_t \Rightarrow y_t = V h_t",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "split eq": Written(
        r"h_t = \tanh\bigl(W x_t \\" "\n"
        r"&\quad + U h_{t-1}\bigr)",
        "h[t] = tanh(W x[t] + U h[t-1])",
    ),
    "split eq2": Written(
        r"\begin{align}" "\n"
        r"h_t = {}& W x_t \\" "\n"
        "& + U h_{t-1}" "\n"
        r"\end{align}",
        "h[t] = W x[t] + U h[t-1]",
    ),
    "split minus": Written(
        r"\begin{align}" "\n"
        r"h_t = {}& W x_t \\" "\n"
        "& - U h_{t-1}" "\n"
        r"\end{align}",
        "h[t] = W x[t] - U h[t-1]",
    ),
    "gathered": Written(
        r"\begin{gather*} h_t = W x_t \\ y_t = V h_t \end{gather*}",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "LSTM b_i": Written(
        r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i) \\ h_t = i_t \odot x_t",
        "i[t] = σ(W_xi x[t] + W_hi h[t-1] + b_i)" "\n"
        "h[t] = i[t] ⊙ x[t]",
    ),
    "tilde space": Written(
        r"\tilde c_t = W x_t",
        "c_tilde[t] = W x[t]",
    ),
    "overline": Written(
        r"y_t = \overline{h}_t \\ \overline{h}_t = W x_t",
        "y[t] = h_bar[t]" "\n"
        "h_bar[t] = W x[t]",
    ),
    "prime index": Written(
        "h'_t = W h'_{t-1} + x_t",
        "h'[t] = W h'[t-1] + x[t]",
    ),
    "W'": Written(
        "h_t = W' x_t",
        "h[t] = W' x[t]",
    ),
    "transpose set": Written(
        r"y_t = W^{\top} x_t + U^T x_t + V^\intercal x_t + Z^{\mathsf{T}} x_t",
        "y[t] = Wᵀ x[t] + Uᵀ x[t] + Vᵀ x[t] + Zᵀ x[t]",
    ),
    "(h)^2": Written(
        r"y_t = (\boldsymbol{h}^{(t)})^2 \\ h^{(t)} = W x^{(t)}",
        "y[t] = (h[t])^2" "\n"
        "h[t] = W x[t]",
    ),
    "h_t^2": Written(
        "y_t = x_t^2",
        "y[t] = x[t]^2",
    ),
    "h_t^{(l)}": Written(
        r"h_t^{(1)} = \tanh(W^{(1)} x_t + U^{(1)} h_{t-1}^{(1)}) \\ h_t^{(2)} = \tanh(W^{(2)}"
        " h_t^{(1)} + U^{(2)} h^{(2)}_{t-1})",
        "h_1[t] = tanh(W_1 x[t] + U_1 h_1[t-1])" "\n"
        "h_2[t] = tanh(W_2 h_1[t] + U_2 h_2[t-1])",
    ),
    "h_T": Written(
        r"y = V h_T \\ h_t = W x_t + U h_{t-1}",
        "y = V h[T]" "\n"
        "h[t] = W x[t] + U h[t-1]",
    ),
    "h(T)": Written(
        r"y = V h^{(T)} \\ h^{(t)} = W x^{(t)} + U h^{(t-1)}",
        "y = V h[T]" "\n"
        "h[t] = W x[t] + U h[t-1]",
    ),
    ":=": Written(
        "h_t := W x_t",
        "h[t] = W x[t]",
    ),
    "gets": Written(
        r"h_t \leftarrow W x_t",
        "h[t] = W x[t]",
    ),
    "text below": Written(
        r"h_t = \tanh(W x_t) \text{ (hidden state)}",
        "h[t] = tanh(W x[t])",
    ),
    "text label": Written(
        r"\text{hidden state: } h_t = \tanh(W x_t)",
        "h[t] = tanh(W x[t])",
    ),
    "list": Written(
        "1. $h_t = W x_t$" "\n"
        "2. $y_t = V h_t$",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "md bullets": Written(
        "- hidden: $$h_t = W x_t$$" "\n"
        "- output: $$y_t = V h_t$$",
        "h[t] = W x[t]" "\n"
        "y[t] = V h[t]",
    ),
    "code fence": Written(
        "```math" "\n"
        "h_t = W x_{t}" "\n"
        "```",
        "h[t] = W x[t]",
    ),
    "gitlab": Written(
        "$`h_t = W x_t`$",
        "h[t] = W x[t]",
    ),
    "h^{prime}": Written(
        r"y^{\prime}_t = V x_t",
        "y'[t] = V x[t]",
    ),
    "ell": Written(
        r"h_\ell = \sum_j W_{\ell j} x_j",
        "h[ℓ] = Σ[j] W[ℓ,j] x[j]",
        {"inputs": "x"},
    ),
    "0.5cdot": Written(
        r"h_t = 0.5 \cdot W \cdot x_t",
        "h[t] = 0.5 · W · x[t]",
    ),
    "times scalar": Written(
        r"h_t = 2 \times W x_t",
        "h[t] = 2 W x[t]",
    ),
    "10^{-5}": Written(
        "h_t = x_t + 10^{-5}",
        "h[t] = x[t] + 10^-5",
    ),
    "1e-5": Written(
        r"h_t = \frac{x_t}{\sqrt{\|x_t\|^2 + 10^{-5}}}",
        "h[t] = x[t]/sqrt(norm(x[t])^2 + 10^-5)",
    ),
}  # fmt: skip
