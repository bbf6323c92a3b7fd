"""Pages that end in their loss, as the notes write them: squared error, cross-entropy, log-likelihood."""

RECURRENCE = "h[t] = tanh(x[t] W + h[t-1] U + b)\n"

R3 = (
    "h[t] = τ(a[t])\na[t] = W h[t-1] + U x[t] + b\no[t] = V h[t] + c\ny'[t] = softmax(o[t])\n"
    "J[t] = -Σ[j] y[t,j] log(y'[t,j])\nwhere τ = tanh, U: p×d, W: p×p, V: q×p, b: p, c: q"
)
"""R3 with the cross-entropy of its output (B2, B3)."""

LOSSES: dict[str, str] = {
    "cross-entropy": R3,
    "cross-entropy in rows": RECURRENCE + "y[t] = softmax(h[t] V)\nL = -Σ[t] d[t] log(y[t])ᵀ",
    "log-likelihood": RECURRENCE + "o[t] = h[t] V\nJ[t] = -Σ[j] d[t,j] logsoftmax[j](o[t,j])",
    "log-likelihood as a product": RECURRENCE + "o[t] = h[t] V\nJ[t] = -d[t] logsoftmax(o[t])ᵀ",
    "log of the likelihood": RECURRENCE
    + "o[t] = h[t] V\np[t] = softmax(o[t])\nJ[t] = -log(Σ[j] d[t,j] p[t,j])",
    "squared error": RECURRENCE + "y[t] = h[t] V + c\nL = Σ[t] Σ[j] (y[t,j] - d[t,j])^2 / T",
    "mean squared error": RECURRENCE + "y[t] = h[t] V + c\nL[t] = mean((y[t] - d[t])^2)",
    "error at the end": (
        "S[k] = X[k] w_x + S[k-1] w_rec\nL = (S[K] - d)^2 where X[k]: scalar, S[k]: scalar, d: input scalar"
    ),
    "without a recurrence": "y = softmax(W x + b)\nJ = -Σ[j] d[j] log(y[j])\nwhere x: input, d: input",
    "mean without a recurrence": "L = mean((x W + b - d)^2)\nwhere x: input, d: input",
}
