"""What the notes say of convolutions, counting, unrolled networks and gradients through time, in numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.pages import PAGES
from torch import Tensor, nn
from torch.autograd.functional import jacobian

import chalkgrad
from layers_of_pages import F64, float64, normal

# --- convolution ---------------------------------------------------------------------------------------


def test_c7_the_worked_example_is_12() -> None:
    kernel = torch.tensor([[0.0, 1, 2], [2, 2, 0], [0, 1, 2]])
    net = chalkgrad.layer(PAGES["C3"].text, f=(3, 3), init={"f": kernel})
    corner = torch.tensor([[3.0, 3, 2], [0, 0, 1], [3, 1, 2]])
    assert net(corner).tolist() == [[12.0]]
    # Wherever the corner stands in a picture.
    picture = torch.zeros(5, 6)
    picture[1:4, 2:5] = corner
    assert net(picture)[1, 2].item() == 12


@pytest.mark.parametrize(("M", "N", "P", "Q"), [(5, 5, 3, 3), (7, 4, 2, 4), (3, 3, 3, 3), (6, 9, 1, 5)])
def test_c8_an_output_is_as_large_as_its_input_less_the_kernel_plus_one(
    M: int, N: int, P: int, Q: int
) -> None:
    net = chalkgrad.layer("conv2d", w=(2, 1, P, Q))
    assert net(torch.zeros(1, 1, M, N)).shape == (1, 2, M - P + 1, N - Q + 1)


def test_c9_the_derivation_prints_both_gradients_of_a_convolution() -> None:
    from_one = chalkgrad.derive("h[i] = Σ[j=1..k] V[j] x[i+j-1] where x: input")
    assert str(from_one) == "∂x[n] = Σ[j] ∂h[n-j+1] V[j]\n∂V[j] = Σ[i] ∂h[i] x[i+j-1]"
    from_zero = chalkgrad.derive("h[i] = Σ[j] V[j] x[i+j] where x: input")
    assert str(from_zero) == "∂x[n] = Σ[j] ∂h[n-j] V[j]\n∂V[j] = Σ[i] ∂h[i] x[i+j]"


def test_c9_the_gradients_of_a_convolution_are_the_notes_sums() -> None:
    net = float64("y[i] = Σ[j=1..k] w[j] x[i+j-1] where x: input", k=3)
    x = normal(8).requires_grad_()
    δ = normal(6, seed=1)
    net(x).backward(δ)
    w = net.w.detach()
    to_kernel = [sum(δ[j] * x.detach()[i + j] for j in range(6)) for i in range(3)]
    to_input = [sum(δ[n - j] * w[j] for j in range(3) if 0 <= n - j < 6) for n in range(8)]
    torch.testing.assert_close(net.w.grad, torch.stack(to_kernel))
    torch.testing.assert_close(x.grad, torch.stack(to_input))


def test_c9_differencing_a_convolution_is_convolving_with_the_difference() -> None:
    net = float64(PAGES["C5"].text, f=4)

    def difference(g: Tensor) -> Tensor:
        return torch.diff(nn.functional.pad(g, (1, 1)))

    g = normal(9)
    torch.testing.assert_close(difference(net(g)), net(difference(g)), rtol=1e-12, atol=1e-12)


def test_c5_a_convolution_may_turn_either_side_round() -> None:
    f, g = normal(3), normal(5, seed=1)
    one = chalkgrad.layer(PAGES["C5"].text, f=3, dtype=F64, init={"f": f})
    other = chalkgrad.layer(PAGES["C5"].text, f=5, dtype=F64, init={"f": g})
    torch.testing.assert_close(one(g), other(f))
    np.testing.assert_allclose(one(g).detach(), np.convolve(f, g), rtol=1e-12)


def test_c5_without_zeros_outside_a_turned_kernel_gives_the_part_where_all_of_it_fits() -> None:
    f, g = normal(3), normal(7, seed=1)
    for text in ("y[i] = Σ[p] f[p] g[i-p] where g: input", "y[i] = Σ[p] f[-p] g[i+p] where g: input"):
        net = chalkgrad.layer(text, f=3, dtype=F64, init={"f": f})
        np.testing.assert_allclose(net(g).detach(), np.convolve(f, g, "valid"), rtol=1e-12)


def test_c5_learning_absorbs_the_turn_of_the_kernel() -> None:
    turned = float64("y[i] = Σ[p] f[p] g[i-p] where g: input", f=3)
    net = float64("y[i] = Σ[p] f[p] g[i+p] where g: input", f=3, seed=1)
    x = normal(10, 12)
    target = turned(x).detach()
    optimiser = torch.optim.LBFGS(
        net.parameters(), tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = (net(x) - target).square().mean()
        value.backward()
        return value

    for _ in range(3):
        optimiser.step(loss)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(net.f, turned.f.flip(0), rtol=0, atol=1e-6)


# --- the scalar recurrence of the exercise -------------------------------------------------------------


def bits(examples: int, steps: int) -> tuple[Tensor, Tensor]:
    """Sequences of bits, and how many of each are one."""
    X = torch.tensor(np.around(np.random.RandomState(1).rand(examples, steps)))
    return X, X.sum(1)


def by_hand(X: Tensor, S: Tensor, grad_out: Tensor, w_rec: float) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The note's own backward pass: from the last state to the first, one step at a time."""
    grad = torch.zeros_like(S)
    grad[:, -1] = grad_out
    for k in range(X.shape[1], 0, -1):
        grad[:, k - 1] = grad[:, k] * w_rec
    return ((grad[:, 1:] * X).mean(0).sum(), (grad[:, 1:] * S[:, :-1]).mean(0).sum()), grad


@pytest.mark.parametrize("w", [(1.2, 1.2), (1.0, 1.0), (-0.5, 2.0), (0.3, 0.0)])
def test_r6_gradients_are_those_of_the_backward_pass_by_hand(w: tuple[float, float]) -> None:
    X, target = bits(20, 10)
    net = chalkgrad.layer(PAGES["R6"].text, dtype=F64, init={"w_x": w[0], "w_rec": w[1]})
    start = torch.zeros(20, dtype=F64, requires_grad=True)
    S, state = net(X, start)
    (S[:, -1] - target).square().mean().backward()
    states = torch.cat([start[:, None], S], 1).detach()
    (w_x, w_rec), grad = by_hand(X, states, 2 * (state.S.detach() - target), w[1])
    torch.testing.assert_close(net.w_x.grad, w_x)
    torch.testing.assert_close(net.w_rec.grad, w_rec)
    torch.testing.assert_close(start.grad, grad[:, 0] / 20)


def test_r6_gradients_at_the_published_point() -> None:
    X, target = bits(20, 10)
    net = chalkgrad.layer(PAGES["R6"].text, dtype=F64, init={"w_x": 1.2, "w_rec": 1.2})
    (net(X)[0][:, -1] - target).square().mean().backward()
    assert net.w_x.grad.item() == pytest.approx(274.5954, abs=1e-4)
    assert net.w_rec.grad.item() == pytest.approx(1593.2428, abs=1e-4)


def test_r6_learns_to_count() -> None:
    X, target = bits(20, 10)
    net = chalkgrad.layer(PAGES["R6"].text, dtype=F64, init={"w_x": -1.5, "w_rec": 2.0})
    optimiser = torch.optim.Rprop(net.parameters(), lr=1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        (net(X)[0][:, -1] - target).square().mean().backward()
        optimiser.step()
    assert net.w_x.item() == pytest.approx(1, abs=2e-3)
    assert net.w_rec.item() == pytest.approx(1, abs=1e-3)


# --- an RNN and the network it unrolls to --------------------------------------------------------------


def test_r7_without_its_recurrent_matrix_an_rnn_is_a_perceptron_at_every_step() -> None:
    rnn = float64(PAGES["R2"].text, X=3, H=4, O=2)
    with torch.no_grad():
        rnn.W_H_1.zero_()
    mlp = float64("O = H W_2 + b_2\nH = σ(X W_1 + b_1)\nwhere X: input D, H: H", D=3, H=4, O=2)
    mlp.load_state_dict(
        {name.replace("W_X_1", "W_1"): p for name, p in rnn.named_parameters() if name != "W_H_1"}
    )
    X = normal(2, 5, 3)
    torch.testing.assert_close(rnn(X)[0], torch.stack([mlp(step) for step in X.unbind(1)], 1))


def test_r7_unrolled_an_rnn_is_a_deep_perceptron_with_tied_weights() -> None:
    rnn = float64("rnn", D=3, H=4)
    deep = float64(
        "h_1 = tanh(x_1 W_x + b)\nh_2 = tanh(x_2 W_x + h_1 W_h + b)\nh_3 = tanh(x_3 W_x + h_2 W_h + b)\n"
        "where x_1: input D, x_2: input D, x_3: input D, h_1: H, h_2: H, h_3: H",
        D=3,
        H=4,
    )
    deep.load_state_dict(rnn.state_dict())
    x = normal(2, 3, 3)
    steps, (last,) = rnn(x)
    top = deep(*x.unbind(1))
    torch.testing.assert_close(top, last)
    for net, value in ((rnn, steps[:, -1]), (deep, top)):
        value.square().sum().backward()
        assert all(p.grad is not None for p in net.parameters())
    for name, p in rnn.named_parameters():
        torch.testing.assert_close(deep.get_parameter(name).grad, p.grad, msg=name)


# --- back-propagation through time ---------------------------------------------------------------------


def test_b1_a_gradient_is_the_sum_over_every_path_through_time() -> None:
    net = float64("h[t] = tanh(w_x x[t] + w_h h[t-1]) where x[t]: scalar, h[t]: scalar")
    x = normal(6)
    h, _ = net(x)
    w, values = net.w_h.item(), [0.0, *h.tolist()]
    slope = [1 - v * v for v in values]
    for t in range(1, 7):
        (found,) = torch.autograd.grad(h[t - 1], net.w_h, retain_graph=True)
        paths = [
            math.prod(slope[j] * w for j in range(i + 1, t + 1)) * slope[i] * values[i - 1]
            for i in range(1, t + 1)
        ]
        assert found.item() == pytest.approx(math.fsum(paths), rel=1e-11)


def test_b2_softmax_with_cross_entropy_has_the_gradient_prediction_less_target() -> None:
    net = chalkgrad.layer("p = softmax(o)\nJ = -Σ[k] y[k] log(p[k])\nwhere o: input, y: input")
    o = normal(3, 4).requires_grad_()
    target = nn.functional.one_hot(torch.tensor([2, 0, 3]), 4).to(F64)
    net(o=o, y=target).sum().backward()
    torch.testing.assert_close(o.grad, o.softmax(1).detach() - target)
    # A target that does not sum to one weighs the prediction by its sum.
    o.grad = None
    net(o=o, y=3 * target).sum().backward()
    torch.testing.assert_close(o.grad, 3 * (o.softmax(1).detach() - target))


def test_b3_the_gradient_by_a_state_is_what_comes_from_its_output_and_from_the_next_state() -> None:
    net = float64("o[t] = V h[t] + c\nh[t] = tanh(W h[t-1] + U x[t] + b)", x=3, h=4, o=2)
    x, start = normal(5, 3).requires_grad_(), normal(4, seed=1).requires_grad_()
    o, _ = net(x, start)
    δ = normal(5, 2, seed=2)
    o.backward(δ)
    W, U, V = net.W.detach(), net.U.detach(), net.V.detach()
    h = [start.detach()]
    for step in x.detach():
        h.append(torch.tanh(W @ h[-1] + U @ step + net.b.detach()))
    by_state = V.T @ δ[-1]
    by_input = [U.T @ ((1 - h[-1] ** 2) * by_state)]
    for t in range(4, 0, -1):
        by_state = V.T @ δ[t - 1] + W.T @ ((1 - h[t + 1] ** 2) * by_state)
        by_input.insert(0, U.T @ ((1 - h[t] ** 2) * by_state))
    torch.testing.assert_close(x.grad, torch.stack(by_input))
    torch.testing.assert_close(start.grad, W.T @ ((1 - h[1] ** 2) * by_state))


def test_b4_the_jacobian_between_states_is_a_product_of_matrices_and_slopes() -> None:
    net = float64("h[t] = tanh(W h[t-1] + U x[t] + b)", x=3, h=4)
    x, start = normal(6, 3), normal(4, seed=1)
    # The notes lay a Jacobian out the other way round: row by what is derived by, column by what is derived.
    whole = jacobian(lambda h: net(x, h)[1].h, start).T
    product, h = torch.eye(4, dtype=F64), start
    for step in x:
        _, (h,) = net(step[None], h)
        product = product @ (net.W.T @ torch.diag(1 - h**2))
    torch.testing.assert_close(whole, product)


def test_b5_losses_can_be_equations_too() -> None:
    y, t = normal(3, 4), normal(3, 4, seed=1)
    squared = chalkgrad.layer("L = mean((y - t)^2)\nwhere y: input, t: input")
    torch.testing.assert_close(squared(y=y, t=t), (y - t).square().mean(1))
    likelihood = chalkgrad.layer("L = -Σ[k] t[k] s[k]\ns = logsoftmax(y)\nwhere y: input, t: input")
    label = torch.tensor([1, 3, 0])
    torch.testing.assert_close(
        likelihood(y=y, t=nn.functional.one_hot(label, 4).to(F64)),
        nn.functional.cross_entropy(y, label, reduction="none"),
    )


def test_b6_a_state_at_a_cut_has_gradient_from_its_own_output_only() -> None:
    net = float64("rnn", D=3, H=4)
    x = normal(2, 2, 3).requires_grad_()
    first, state = net(x[:, :1])
    second, _ = net(x[:, 1:], type(state)(state.h.detach()))
    δ = normal(2, 2, 4, seed=1)
    (torch.cat([first, second], 1) * δ).sum().backward()
    h = torch.cat([first, second], 1).detach()
    # No ∂a[t+1] W_hᵀ: the recursion of B3 without its second term.
    by_a = δ * (1 - h**2)
    torch.testing.assert_close(x.grad, by_a @ net.W_x.detach().T)
    before = torch.cat([torch.zeros(2, 1, 4, dtype=F64), h[:, :1]], 1)
    torch.testing.assert_close(net.W_h.grad, torch.einsum("btj,btk->jk", before, by_a))


def test_b7_with_open_forget_and_shut_input_gates_the_cell_passes_unchanged() -> None:
    # σ(800) is one and σ(-800) zero to the last bit.
    net = chalkgrad.layer("lstm", D=3, H=4, dtype=F64, init={"b_f": 800.0, "b_i": -800.0})
    x = normal(20, 3)
    _, state = net(x)
    state = state._replace(h=normal(4, seed=1))
    found = jacobian(lambda c: net(x, state._replace(c=c))[1].c, normal(4, seed=2))
    assert torch.equal(found, torch.eye(4, dtype=F64))
