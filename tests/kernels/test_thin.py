"""A few rows of a few steps are multiplied with weights as they lie, whichever way they lie."""

import pytest
import torch

import chalkgrad

PAGES = {
    "rows": "h[t] = tanh(x[t] W_x + h[t-1] W_h + b)",
    "columns": "h[t] = tanh(W_x x[t] + W_h h[t-1] + b)",
    "guarded": "h[t] = tanh(x[t] W_x + h[t-1] W_h + h[t-2] W_2 + b)",
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (2, 3), (3, 16), (3, 17), (4, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_the_same_on_either_side_of_the_border(
    page: str, batch: int, steps: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    nets = [chalkgrad.layer(PAGES[page], x=5, h=37, dtype=dtype, backend=b) for b in ("c", "eager")]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(batch, steps, 5, dtype=dtype)
    results: list[list[torch.Tensor]] = []
    for net in nets:
        given = x.clone().requires_grad_()
        y = net(given)[0]
        results.append([y, *torch.autograd.grad(y.square().sum(), [given, *net.parameters()])])
    within = 1e-12 if dtype is torch.float64 else 2e-5
    torch.testing.assert_close(*results, rtol=within, atol=within)
