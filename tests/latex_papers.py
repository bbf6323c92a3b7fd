r"""Cells and attention, as papers, courses and documentation write them.

LaTeX as it is pasted, and the text form that means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Written(NamedTuple):
    """The keywords are those of :func:`chalkgrad.language.resolve.read`, for both forms."""

    latex: str
    text: str
    keywords: Mapping[str, Any] = MappingProxyType({})


PAPERS: dict[str, Written] = {
    "pytorch lstm array": Written(
        r"\begin{array}{ll} \\" "\n"
        r"i_t = \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\" "\n"
        r"f_t = \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\" "\n"
        r"g_t = \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\" "\n"
        r"o_t = \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\" "\n"
        r"c_t = f_t \odot c_{t-1} + i_t \odot g_t \\" "\n"
        r"h_t = o_t \odot \tanh(c_t) \\" "\n"
        r"\end{array}",
        "i[t] = σ(W_ii x[t] + b_ii + W_hi h[t-1] + b_hi)" "\n"
        "f[t] = σ(W_if x[t] + b_if + W_hf h[t-1] + b_hf)" "\n"
        "g[t] = tanh(W_ig x[t] + b_ig + W_hg h[t-1] + b_hg)" "\n"
        "o[t] = σ(W_io x[t] + b_io + W_ho h[t-1] + b_ho)" "\n"
        "c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]" "\n"
        "h[t] = o[t] ⊙ tanh(c[t])",
    ),
    "pytorch lstm old (t-1)": Written(
        r"\begin{array}{ll} \\" "\n"
        r"i_t = \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{(t-1)} + b_{hi}) \\" "\n"
        r"f_t = \sigma(W_{if} x_t + b_{if} + W_{hf} h_{(t-1)} + b_{hf}) \\" "\n"
        r"g_t = \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{(t-1)} + b_{hg}) \\" "\n"
        r"o_t = \sigma(W_{io} x_t + b_{io} + W_{ho} h_{(t-1)} + b_{ho}) \\" "\n"
        r"c_t = f_t * c_{(t-1)} + i_t * g_t \\" "\n"
        r"h_t = o_t * \tanh(c_t) \\" "\n"
        r"\end{array}",
        "i[t] = σ(W_ii x[t] + b_ii + W_hi h[t-1] + b_hi)" "\n"
        "f[t] = σ(W_if x[t] + b_if + W_hf h[t-1] + b_hf)" "\n"
        "g[t] = tanh(W_ig x[t] + b_ig + W_hg h[t-1] + b_hg)" "\n"
        "o[t] = σ(W_io x[t] + b_io + W_ho h[t-1] + b_ho)" "\n"
        "c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]" "\n"
        "h[t] = o[t] ⊙ tanh(c[t])",
    ),
    "pytorch rnn": Written(
        r"h_t = \tanh(x_t W_{ih}^T + b_{ih} + h_{t-1}W_{hh}^T + b_{hh})",
        "h[t] = tanh(x[t] W_ihᵀ + b_ih + h[t-1] W_hhᵀ + b_hh)",
    ),
    "pytorch rnn mbox": Written(
        r"h_t = \mbox{ReLU}(W_{ih} x_t + b_{ih} + W_{hh} h_{(t-1)} + b_{hh})",
        "h[t] = relu(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)",
    ),
    "pytorch gru": Written(
        r"\begin{array}{ll}" "\n"
        r"    r_t = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{(t-1)} + b_{hr}) \\" "\n"
        r"    z_t = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{(t-1)} + b_{hz}) \\" "\n"
        r"    n_t = \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{(t-1)}+ b_{hn})) \\" "\n"
        r"    h_t = (1 - z_t) \odot n_t + z_t \odot h_{(t-1)}" "\n"
        r"\end{array}",
        "r[t] = σ(W_ir x[t] + b_ir + W_hr h[t-1] + b_hr)" "\n"
        "z[t] = σ(W_iz x[t] + b_iz + W_hz h[t-1] + b_hz)" "\n"
        "n[t] = tanh(W_in x[t] + b_in + r[t] ⊙ (W_hn h[t-1] + b_hn))" "\n"
        "h[t] = (1 - z[t]) ⊙ n[t] + z[t] ⊙ h[t-1]",
    ),
    "wikipedia lstm": Written(
        r"{\begin{aligned}f_{t}&=\sigma _{g}(W_{f}x_{t}+U_{f}h_{t-1}+b_{f})\\i_{t}&=\sigma"
        r" _{g}(W_{i}x_{t}+U_{i}h_{t-1}+b_{i})\\o_{t}&=\sigma"
        r" _{g}(W_{o}x_{t}+U_{o}h_{t-1}+b_{o})\\{\tilde {c}}_{t}&=\sigma"
        r" _{c}(W_{c}x_{t}+U_{c}h_{t-1}+b_{c})\\c_{t}&=f_{t}\odot c_{t-1}+i_{t}\odot {\tilde"
        r" {c}}_{t}\\h_{t}&=o_{t}\odot \sigma _{h}(c_{t})\end{aligned}}" "\n"
        r"where \sigma_g = sigmoid, \sigma_c = tanh, \sigma_h = \tanh",
        "f[t] = σ(W_f x[t] + U_f h[t-1] + b_f)" "\n"
        "i[t] = σ(W_i x[t] + U_i h[t-1] + b_i)" "\n"
        "o[t] = σ(W_o x[t] + U_o h[t-1] + b_o)" "\n"
        "c_tilde[t] = tanh(W_c x[t] + U_c h[t-1] + b_c)" "\n"
        "c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ c_tilde[t]" "\n"
        "h[t] = o[t] ⊙ tanh(c[t])",
    ),
    "wikipedia gru": Written(
        r"{\displaystyle {\begin{aligned}z_{t}&=\sigma"
        r" (W_{z}x_{t}+U_{z}h_{t-1}+b_{z})\\r_{t}&=\sigma (W_{r}x_{t}+U_{r}h_{t-1}+b_{r})\\{\hat"
        r" {h}}_{t}&=\phi (W_{h}x_{t}+U_{h}(r_{t}\odot h_{t-1})+b_{h})\\h_{t}&=(1-z_{t})\odot"
        r" h_{t-1}+z_{t}\odot {\hat {h}}_{t}\end{aligned}}}",
        "z[t] = σ(W_z x[t] + U_z h[t-1] + b_z)" "\n"
        "r[t] = σ(W_r x[t] + U_r h[t-1] + b_r)" "\n"
        "h_hat[t] = tanh(W_h x[t] + U_h (r[t] ⊙ h[t-1]) + b_h)" "\n"
        "h[t] = (1 - z[t]) ⊙ h[t-1] + z[t] ⊙ h_hat[t]",
        {"functions": {"φ": "tanh"}},
    ),
    "wikipedia peephole": Written(
        r"\begin{aligned}f_{t}&=\sigma(W_{f}x_{t}+U_{f}c_{t-1}+b_{f})\\"
        r" i_{t}&=\sigma(W_{i}x_{t}+U_{i}c_{t-1}+b_{i})\\o_{t}&=\sigma(W_{o}x_{t}+U_{o}c_{t-1}+b_{"
        r"o})\\c_{t}&=f_{t}\circ c_{t-1}+i_{t}\circ \tanh(W_{c}x_{t}+b_{c})\\h_{t}&=o_{t}\circ"
        r" c_{t}\end{aligned}",
        "f[t]=σ(W_f x[t] + U_f c[t-1] + b_f)" "\n"
        "i[t]=σ(W_i x[t] + U_i c[t-1] + b_i)" "\n"
        "o[t]=σ(W_o x[t] + U_o c[t-1] + b_o)" "\n"
        "c[t]=f[t]⊙c[t-1]+i[t]⊙tanh(W_c x[t]+b_c)" "\n"
        "h[t]=o[t]⊙c[t]",
    ),
    "d2l lstm": Written(
        r"\begin{aligned}" "\n"
        r"\mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xi}} + \mathbf{H}_{t-1}"
        r" \mathbf{W}_{\textrm{hi}} + \mathbf{b}_\textrm{i}),\\" "\n"
        r"\mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xf}} + \mathbf{H}_{t-1}"
        r" \mathbf{W}_{\textrm{hf}} + \mathbf{b}_\textrm{f}),\\" "\n"
        r"\mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{\textrm{xo}} + \mathbf{H}_{t-1}"
        r" \mathbf{W}_{\textrm{ho}} + \mathbf{b}_\textrm{o})," "\n"
        r"\end{aligned}" "\n"
        "\n"
        r"$$\tilde{\mathbf{C}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{\textrm{xc}} + \mathbf{H}_{t-1}"
        r" \mathbf{W}_{\textrm{hc}} + \mathbf{b}_\textrm{c}),$$" "\n"
        r"$$\mathbf{C}_t = \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot"
        r" \tilde{\mathbf{C}}_t.$$" "\n"
        r"$$\mathbf{H}_t = \mathbf{O}_t \odot \tanh(\mathbf{C}_t).$$",
        "I[t] = σ(X[t] W_xi + H[t-1] W_hi + b_i)" "\n"
        "F[t] = σ(X[t] W_xf + H[t-1] W_hf + b_f)" "\n"
        "O[t] = σ(X[t] W_xo + H[t-1] W_ho + b_o)" "\n"
        "C_tilde[t] = tanh(X[t] W_xc + H[t-1] W_hc + b_c)" "\n"
        "C[t] = F[t] ⊙ C[t-1] + I[t] ⊙ C_tilde[t]" "\n"
        "H[t] = O[t] ⊙ tanh(C[t])",
    ),
    "d2l rnn": Written(
        r"$$\mathbf{H}_t = \phi(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} "
        r" + \mathbf{b}_h).$$ :eqlabel:`rnn_h_with_state`" "\n"
        "\n"
        "For time step $t$, the output is" "\n"
        "\n"
        r"$$\mathbf{O}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$",
        "H[t] = tanh(X[t] W_xh + H[t-1] W_hh + b_h)" "\n"
        "O[t] = H[t] W_hq + b_q",
        {"functions": {"φ": "tanh"}},
    ),
    "d2l bidirectional": Written(
        r"\begin{aligned}" "\n"
        r"\overrightarrow{\mathbf{H}}_t &= \phi(\mathbf{X}_t \mathbf{W}_{xh}^{(f)} +"
        r" \overrightarrow{\mathbf{H}}_{t-1} \mathbf{W}_{hh}^{(f)}  + \mathbf{b}_h^{(f)}),\\" "\n"
        r"\overleftarrow{\mathbf{H}}_t &= \phi(\mathbf{X}_t \mathbf{W}_{xh}^{(b)} +"
        r" \overleftarrow{\mathbf{H}}_{t+1} \mathbf{W}_{hh}^{(b)}  + \mathbf{b}_h^{(b)})," "\n"
        r"\end{aligned}" "\n"
        r"\mathbf{O}_t = [\overrightarrow{\mathbf{H}}_t, \overleftarrow{\mathbf{H}}_t]"
        r" \mathbf{W}_{hq} + \mathbf{b}_q." "\n"
        r"where \phi = tanh",
        "H_right[t] = tanh(X[t] W_xh_f + H_right[t-1] W_hh_f + b_h_f)" "\n"
        "H_left[t] = tanh(X[t] W_xh_b + H_left[t+1] W_hh_b + b_h_b)" "\n"
        "O[t] = [H_right[t]; H_left[t]] W_hq + b_q",
    ),
    "goodfellow": Written(
        r"\begin{align}" "\n"
        r"\boldsymbol{a}^{(t)} &= \boldsymbol{b} + \boldsymbol{W}\boldsymbol{h}^{(t-1)} +"
        r" \boldsymbol{U}\boldsymbol{x}^{(t)} , \tag{10.8} \\" "\n"
        r"\boldsymbol{h}^{(t)} &= \tanh(\boldsymbol{a}^{(t)}), \tag{10.9}\\" "\n"
        r"\boldsymbol{o}^{(t)} &= \boldsymbol{c} + \boldsymbol{V} \boldsymbol{h}^{(t)}, \\" "\n"
        r"\hat{\boldsymbol{y}}^{(t)} &= \text{softmax}(\boldsymbol{o}^{(t)})," "\n"
        r"\end{align}",
        "a[t] = b + W h[t-1] + U x[t]" "\n"
        "h[t] = tanh(a[t])" "\n"
        "o[t] = c + V h[t]" "\n"
        "y_hat[t] = softmax(o[t])",
    ),
    "goodfellow lstm": Written(
        r"f_i^{(t)} = \sigma \left( b_i^f + \sum_j U_{i,j}^f x_j^{(t)} + \sum_j W_{i,j}^f"
        r" h_j^{(t-1)} \right), \quad s_i^{(t)} = f_i^{(t)} s_i^{(t-1)} + g_i^{(t)}\sigma \left("
        r" b_i + \sum_j U_{i,j} x_j^{(t)} + \sum_j W_{i,j} h_j^{(t-1)}\right) \quad"
        r" h_i^{(t)}=\tanh\left(s_i^{(t)}\right) \quad g_i^{(t)} = \sigma\left( b_i^g + \sum_j"
        r" U^g_{i,j} x_j^{(t)} + \sum_j W^g_{i,j} h_j^{(t-1)} \right)",
        "f[t,i] = σ(b_f[i] + Σ[j] U_f[i,j] x[t,j] + Σ[j] W_f[i,j] h[t-1,j])" "\n"
        "s[t,i] = f[t,i] s[t-1,i] + g[t,i] σ(b[i] + Σ[j] U[i,j] x[t,j] + Σ[j] W[i,j] h[t-1,j])" "\n"
        "h[t,i] = tanh(s[t,i])" "\n"
        "g[t,i] = σ(b_g[i] + Σ[j] U_g[i,j] x[t,j] + Σ[j] W_g[i,j] h[t-1,j])",
    ),
    "ng rnn": Written(
        r"$$a^{\langle t \rangle} = \tanh(W_{ax} x^{\langle t \rangle} + W_{aa} a^{\langle t-1"
        r" \rangle} + b_a)\tag{1}$$" "\n"
        r"$$\hat{y}^{\langle t \rangle} = softmax(W_{ya} a^{\langle t \rangle} + b_y)$$",
        "a[t] = tanh(W_ax x[t] + W_aa a[t-1] + b_a)" "\n"
        "y_hat[t] = softmax(W_ya a[t] + b_y)",
    ),
    "ng lstm": Written(
        r"$$\Gamma_f^{\langle t \rangle} = \sigma(W_f[a^{\langle t-1 \rangle}, x^{\langle t"
        r" \rangle}] + b_f)\tag{1} $$" "\n"
        r"$$\Gamma_u^{\langle t \rangle} = \sigma(W_u[a^{\langle t-1 \rangle}, x^{\{t\}}] +"
        r" b_u)\tag{2} $$" "\n"
        r"$$ \tilde{c}^{\langle t \rangle} = \tanh(W_c[a^{\langle t-1 \rangle}, x^{\langle t"
        r" \rangle}] + b_c)\tag{3} $$" "\n"
        r"$$ c^{\langle t \rangle} = \Gamma_f^{\langle t \rangle}* c^{\langle t-1 \rangle} +"
        r" \Gamma_u^{\langle t \rangle} *\tilde{c}^{\langle t \rangle} \tag{4} $$" "\n"
        r"$$ \Gamma_o^{\langle t \rangle}=  \sigma(W_o[a^{\langle t-1 \rangle}, x^{\langle t"
        r" \rangle}] + b_o)\tag{5}$$" "\n"
        r"$$ a^{\langle t \rangle} = \Gamma_o^{\langle t \rangle}* \tanh(c^{\langle t"
        r" \rangle})\tag{6} $$",
        "Γ_f[t] = σ(W_f [a[t-1]; x[t]] + b_f)" "\n"
        "Γ_u[t] = σ(W_u [a[t-1]; x[t]] + b_u)" "\n"
        "c_tilde[t] = tanh(W_c [a[t-1]; x[t]] + b_c)" "\n"
        "c[t] = Γ_f[t] ⊙ c[t-1] + Γ_u[t] ⊙ c_tilde[t]" "\n"
        "Γ_o[t] = σ(W_o [a[t-1]; x[t]] + b_o)" "\n"
        "a[t] = Γ_o[t] ⊙ tanh(c[t])",
    ),
    "ng <t>": Written(
        r"a^{<t>} = \tanh(W_{ax} x^{<t>} + W_{aa} a^{<t-1>} + b_a)",
        "a[t] = tanh(W_ax x[t] + W_aa a[t-1] + b_a)",
    ),
    "cs231n": Written(
        r"h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t), y_t = W_{hy} h_t",
        "h[t] = tanh(W_hh h[t-1] + W_xh x[t])" "\n"
        "y[t] = W_hy h[t]",
    ),
    "cs224n": Written(
        r"h_t = \sigma(W^{(hh)} h_{t-1} + W^{(hx)} x_{t}) \\ \hat{y}_t = \mathrm{softmax}(W^{(S)}"
        " h_t)",
        "h[t] = σ(W_hh h[t-1] + W_hx x[t])" "\n"
        "y_hat[t] = softmax(W_S h[t])",
    ),
    "cs224n lstm": Written(
        r"\begin{align*}" "\n"
        r"\boldsymbol{f}^{(t)} &= \sigma\left(\boldsymbol{W}_f \boldsymbol{h}^{(t-1)} +"
        r" \boldsymbol{U}_f \boldsymbol{x}^{(t)} + \boldsymbol{b}_f\right) \\" "\n"
        r"\boldsymbol{c}^{(t)} &= \boldsymbol{f}^{(t)} \circ \boldsymbol{c}^{(t-1)} +"
        r" \boldsymbol{x}^{(t)} \\" "\n"
        r"\boldsymbol{h}^{(t)} &= \tanh \boldsymbol{c}^{(t)}" "\n"
        r"\end{align*}",
        "f[t] = σ(W_f h[t-1] + U_f x[t] + b_f)" "\n"
        "c[t] = f[t] ⊙ c[t-1] + x[t]" "\n"
        "h[t] = tanh(c[t])",
    ),
    "W^z superscripts": Written(
        r"z_t = \sigma ( W^z x_t+ U^z h_{t-1} ) \\ r_t = \sigma(W^r x_t + U^r h_{t-1} ) \\ \tilde"
        r" h_t = \tanh (W^h x_t + U^h(h_{t-1} \odot r_t) ) \\ h_t = (1-z_t)\odot \tilde h_t + z_t"
        r" \odot h_{t-1}",
        "z[t] = σ(W_z x[t] + U_z h[t-1])" "\n"
        "r[t] = σ(W_r x[t] + U_r h[t-1])" "\n"
        "h_tilde[t] = tanh(W_h x[t] + U_h (h[t-1] ⊙ r[t]))" "\n"
        "h[t] = (1-z[t]) ⊙ h_tilde[t] + z[t] ⊙ h[t-1]",
    ),
    "rows, z untimed": Written(
        r"\[z = \sigma (x_t U^z + s_{t-1} W^z )\]" "\n"
        r"\[r = \sigma(x_t U^r + s_{t-1} W^r )\]" "\n"
        r"Cell value $h$: \[h = \tanh (x_t U^h + (s_{t-1} \odot r) W^h)\]" "\n"
        r"hidden value $s_t$: \[s_t = (1-z)\odot h + z \odot s_{t-1}\]",
        "z[t] = σ(x[t] U_z + s[t-1] W_z)" "\n"
        "r[t] = σ(x[t] U_r + s[t-1] W_r)" "\n"
        "h[t] = tanh(x[t] U_h + (s[t-1] ⊙ r[t]) W_h)" "\n"
        "s[t] = (1-z[t]) ⊙ h[t] + z[t] ⊙ s[t-1]",
    ),
    "single backslash": Written(
        "$$ i_t=\\sigma(W_{ii}x_t+b_{ii}+W_{hi}h_{t-1}+b_{hi}) \\"
        r" f_t=\sigma(W_{if}x_t+b_{if}+W_{hf}h_{t-1}+b_{hf}) \ h_t = i_t \odot f_t$$",
        "i[t] = σ(W_ii x[t] + b_ii + W_hi h[t-1] + b_hi)" "\n"
        "f[t] = σ(W_if x[t] + b_if + W_hf h[t-1] + b_hf)" "\n"
        "h[t] = i[t] ⊙ f[t]",
    ),
    "x(t) style": Written(
        r"\mathbf{h}(t) = \sigma\left( \mathbf{W}_{ih} \mathbf{x}(t) + \mathbf{b}_{ih} +"
        r" \mathbf{w}_{hh} \circ \mathbf{h}(t-1) + \mathbf{b}_{hh} \right)",
        "h[t] = σ(W_ih x[t] + b_ih + w_hh ⊙ h[t-1] + b_hh)",
    ),
    "compphysics": Written(
        r"$$ \mathbf{f}^{(t)} = \sigma(W_f \mathbf{x}^{(t)} + U_f \mathbf{h}^{(t-1)} +"
        r" \mathbf{b}_f) $$ where \( W \) and \( U \) are the weights." "\n"
        r"$$\mathbf{\tilde{c}} ^{(t)} = \tanh(W_c \mathbf{x}^{(t)} + U_c \mathbf{h}^{(t-1)} +"
        r" \mathbf{b}_c ),$$" "\n"
        r"again the $W$s are weights. $$\mathbf{h}^{(t)} = \mathbf{f}^{(t)} \odot"
        r" \mathbf{\tilde{c}}^{(t)}$$",
        "f[t] = σ(W_f x[t] + U_f h[t-1] + b_f)" "\n"
        "c_tilde[t] = tanh(W_c x[t] + U_c h[t-1] + b_c)" "\n"
        "h[t] = f[t] ⊙ c_tilde[t]",
    ),
    "theano underset note": Written(
        r"\begin{equation}" "\n"
        r"i_t = \sigma(W_i x_t + U_i h_{t-1} + b_i)" "\n"
        r"\end{equation}" "\n"
        r"\begin{equation}" "\n"
        r"\widetilde{C_t} = \tanh(W_c x_t + U_c h_{t-1} + b_c)" "\n"
        r"\end{equation}" "\n"
        r"\begin{equation}" "\n"
        r"C_t = i_t * \widetilde{C_t} + f_t * C_{t-1}" "\n"
        r"\end{equation}" "\n"
        r"\begin{equation}" "\n"
        r"f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)" "\n"
        r"\end{equation}" "\n"
        r"\begin{equation}" "\n"
        r"o_t = \sigma(W_o x_t + U_o h_{t-1} + V_o C_t + b_o)" "\n"
        r"\end{equation}" "\n"
        r"\begin{equation}" "\n"
        "h_t = o_t * tanh(C_t)" "\n"
        r"\end{equation}",
        "i[t]=σ(W_i x[t] + U_i h[t-1] + b_i)" "\n"
        "C_tilde[t]=tanh(W_c x[t] + U_c h[t-1] + b_c)" "\n"
        "C[t] = i[t] ⊙ C_tilde[t] + f[t] ⊙ C[t-1]" "\n"
        "f[t]=σ(W_f x[t] + U_f h[t-1] + b_f)" "\n"
        "o[t] = σ(W_o x[t] + U_o h[t-1] + V_o C[t] + b_o)" "\n"
        "h[t] = o[t] ⊙ tanh(C[t])",
    ),
    "gates text prose": Written(
        r"$$ \begin{align} \text{Gates:}\\ & o_t=\sigma(W_os_{t-1}+U_ox_t+b_o)\\ &"
        r" i_t=\sigma(W_is_{t-1}+U_ix_t+b_i)\\ \text{States:}\\ & \tilde{s_t}=\sigma(W(o_t\odot"
        r" s_{t-1})+Ux_t+b)\\ & s_t=(1-i_t)\odot s_{t-1}+i_t \odot \tilde{s_t} \end{align} $$",
        "o[t]=σ(W_o s[t-1] + U_o x[t] + b_o)" "\n"
        "i[t]=σ(W_i s[t-1] + U_i x[t] + b_i)" "\n"
        "s_tilde[t]=σ(W (o[t]⊙s[t-1]) + U x[t] + b)" "\n"
        "s[t] = (1-i[t])⊙s[t-1]+i[t]⊙s_tilde[t]",
    ),
    "underbrace": Written(
        r"s_t=\sigma(W(\underbrace{o_t\odot s_{t-1}}_{{h_{t-1}}})+Ux_t+b) \\ o_t = \sigma(V x_t)",
        "s[t] = σ(W (o[t]⊙s[t-1]) + U x[t] + b)" "\n"
        "o[t] = σ(V x[t])",
    ),
    "bahdanau": Written(
        r"e_{ti} = v_a^T \tanh(W_a h_i + U_a s_{t-1} + b_a) \\ \alpha_{ti} ="
        r" \frac{\exp(e_{ti})}{\sum_{j=1}^{T_x} \exp(e_{tj})} \\ c_t = \sum_{i=1}^{T_x}"
        r" \alpha_{ti} h_i \\ s_t = \tanh(W s_{t-1} + C c_t)",
        "e[t,i] = v_aᵀ tanh(W_a h[i] + U_a s[t-1] + b_a)" "\n"
        "α[t,i] = exp(e[t,i]) / (Σ[j=1..T_x] exp(e[t,j]))" "\n"
        "c[t] = Σ[i=1..T_x] α[t,i] h[i]" "\n"
        "s[t] = tanh(W s[t-1] + C c[t])",
        {"inputs": "h"},
    ),
    "bahdanau i rec": Written(
        r"e_{ij} = v_a^\top \tanh\left(W_a s_{i-1} + U_a h_j\right), \alpha_{ij} ="
        r" \frac{\exp(e_{ij})}{\sum_{k=1}^{T_x} \exp(e_{ik})}, c_i = \sum_{j=1}^{T_x} \alpha_{ij}"
        r" h_j, s_i = \tanh(W s_{i-1} + C c_i)",
        "e[i,j] = v_aᵀ tanh(W_a s[i-1] + U_a h[j])" "\n"
        "α[i,j] = exp(e[i,j]) / (Σ[k=1..T_x] exp(e[i,k]))" "\n"
        "c[i] = Σ[j=1..T_x] α[i,j] h[j]" "\n"
        "s[i] = tanh(W s[i-1] + C c[i])",
        {"inputs": "h"},
    ),
    "exp without backslash": Written(
        r"\begin{align} \alpha_{t,j} &= \frac{exp(e_{t,j})}{\sum_{k=1}^{T}{exp(e_{t,k})}} \\"
        r" c_{t} &= \sum_{j=1}^{T}\alpha_{t,j}h_j \end{align}",
        "α[t,j] = exp(e[t,j]) / (Σ[k=1..T] exp(e[t,k]))" "\n"
        "c[t] = Σ[j=1..T] α[t,j] h[j]",
        {"inputs": "h"},
    ),
    "mathrm T": Written(
        r"e_{i,j} = s_{i}^\mathrm{T} h_{j}",
        "e[i,j] = s[i]ᵀ h[j]",
        {"inputs": "h, s"},
    ),
    "luong": Written(
        r"a_{t,s} = \frac{\exp(h_t^\top W_a \bar{h}_s)}{\sum_{s'} \exp(h_t^\top W_a"
        r" \bar{h}_{s'})} \\ c_t = \sum_s a_{t,s} \bar{h}_s \\ \tilde{h}_t = \tanh(W_c [c_t; h_t])",
        "a[t,s] = exp(h[t]ᵀ W_a h_bar[s]) / (Σ[s'] exp(h[t]ᵀ W_a h_bar[s']))" "\n"
        "c[t] = Σ[s] a[t,s] h_bar[s]" "\n"
        "h_tilde[t] = tanh(W_c [c[t]; h[t]])",
        {"inputs": "h, h_bar"},
    ),
    "attention Y": Written(
        r"Y = \mathrm{softmax}\left(\frac{QK^{\top}}{\sqrt{d_k}}\right)V where Q: N\times d_k, K:"
        r" M\times d_k, V: M\times D",
        "Y = softmax(Q Kᵀ / sqrt(d_k)) V where Q: N×d_k, K: M×d_k, V: M×D",
        {"inputs": "Q, K, V"},
    ),
}  # fmt: skip
