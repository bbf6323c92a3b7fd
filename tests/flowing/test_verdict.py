"""The verdict on layers that are known to vanish, explode, be cut, be stuck, or be well."""

from typing import Any

import pytest
import torch
from torch import Tensor

import chalkgrad
from chalkgrad.flowing.measures import gates, memory_length, saturation, singular_values
from chalkgrad.flowing.record import Record
from chalkgrad.flowing.verdict import verdict

T, B, D, H = 40, 4, 3, 8


def trained(net: chalkgrad.Layer, last: bool = True, **asked: Any) -> Record:
    torch.manual_seed(1)
    with chalkgrad.flow(net) as record:
        for _ in range(4):
            y, _ = net(torch.randn(B, T, D), **asked)
            (y[:, -1] if last else y).square().sum().backward()
    return record


def turning(scale: float) -> chalkgrad.Layer:
    """A recurrence whose weights turn a vector and scale it; h stays so small that tanh hardly matters."""
    torch.manual_seed(0)
    net = chalkgrad.layer("rnn", D=D, H=H, init={"W_x": 1e-7, "b": 0.0})
    with torch.no_grad():
        net.W_h.copy_(scale * torch.nn.init.orthogonal_(torch.empty(H, H)))
    return net


def test_weights_under_one_make_the_gradient_vanish_at_that_rate() -> None:
    found = verdict(trained(turning(0.7)))
    assert found.kind == "vanishing"
    assert "keeps 0.70 of its norm a step back" in str(found)
    assert "after 13 of 40 steps" in str(found)  # 0.7¹³ = 0.0097


def test_weights_over_one_make_it_explode() -> None:
    found = verdict(trained(turning(1.3)))
    assert found.kind == "exploding"
    assert "1.30 times as large with every step back" in str(found)
    assert "clip_grad_norm_" in str(found)


def test_weights_that_only_turn_are_healthy() -> None:
    assert verdict(trained(turning(1.0))).kind == "healthy"


def test_the_forget_gate_decides_what_a_cell_keeps() -> None:
    torch.manual_seed(0)
    nets = [chalkgrad.layer("lstm", D=D, H=H, init={"b_f": bias}) for bias in (-1.0, 4.0)]
    assert [verdict(trained(net)).kind for net in nets] == ["vanishing", "healthy"]


@pytest.mark.parametrize("last", [True, False])
def test_truncation_is_found_with_its_length(last: bool) -> None:
    found = verdict(trained(turning(1.0), last=last, truncate=8))
    assert found.kind == "truncated"
    assert "from more than 7 steps later" in str(found)


def test_what_becomes_too_small_for_its_numbers_vanishes_and_is_not_cut() -> None:
    record = trained(turning(1e-3))
    assert not record.norm["h"][0, 0]
    assert verdict(record).kind == "vanishing"


def test_gates_that_are_stuck_are_named() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=D, H=H, init={"b_f": 9.0, "b_i": -9.0})
    measured = saturation(gates(net, torch.randn(B, T, D)))
    said = str(verdict(trained(net), measured))
    assert "f is open (over 0.95) in 100 % of its values" in said
    assert "i is shut (under 0.05) in 100 % of its values" in said
    assert "gate o" not in said


@pytest.mark.parametrize(("forget", "kind"), [(9.0, "healthy"), (-9.0, "vanishing")])
def test_a_gate_that_stands_still_is_a_fault_only_where_the_gradient_vanishes(
    forget: float, kind: str
) -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=D, H=H, init={"b_f": forget})
    found = verdict(trained(net), saturation(gates(net, torch.randn(B, T, D))))
    assert [f.kind for f in found.findings] == [kind, "saturated"]
    fault = kind == "vanishing"
    assert ("no fault" in found.findings[1].words) is not fault
    assert [a.code for a in found.findings[1].advice] == ['init={"b_f": 0.0}, or smaller weights'] * fault


def written(states: dict[str, tuple[Tensor, dict[str, Tensor]]]) -> Record:
    """A record of one backward pass with these norms, as a whole and by path."""
    record = Record()
    record._watch("")(
        {state: whole[None] ** 2 for state, (whole, _) in states.items()},
        {state: {path: part[None] ** 2 for path, part in of.items()} for state, (_, of) in states.items()},
    )
    return record


def before_the_last(value: float, last: float = 0.0) -> Tensor:
    return torch.tensor([value] * (T - 1) + [last])


def test_paths_that_cancel_do_not_explode() -> None:
    came = {"i[t+1]": before_the_last(1.2), "g[t+1]": before_the_last(1.0), "y[t]": before_the_last(0, 1.0)}
    found = verdict(written({"h": (torch.ones(T), came)}))
    assert str(found).startswith("healthy: the gradient of h keeps 1.00 of its norm a step back")


@pytest.mark.parametrize("times", [1e-4, 1e4])
def test_what_another_state_gives_is_not_growth_of_its_own(times: float) -> None:
    """h is read by the loss once, and has what comes from c all the other time: more, or less, but no more
    of it the further back.
    """
    c = (torch.ones(T), {"c[t+1]": before_the_last(1.0), "h[t]": before_the_last(0, 1.0)})
    h = (before_the_last(times, 1.0), {"i[t+1]": before_the_last(times), "loss": before_the_last(0, 1.0)})
    assert verdict(written({"c": c, "h": h})).kind == "healthy"


@pytest.mark.parametrize(("scale", "kind"), [(0.7, "vanishing"), (1.0, "healthy"), (1.3, "exploding")])
@pytest.mark.parametrize("last", [True, False])
def test_states_that_hand_their_gradient_to_each_other_are_judged_together(
    scale: float, kind: str, last: bool
) -> None:
    page = "a[t] = s b[t-1] + x[t] U\nb[t] = s a[t-1] + x[t] V\ny[t] = a[t] + b[t]\nwhere s: scalar"
    net = chalkgrad.layer(page, x=D, a=H, init={"s": scale})
    found = verdict(trained(net, last=last))
    assert found.kind == kind
    assert ("gradient of a and b together is 1.30 times as large" in str(found)) is (kind == "exploding")


def test_the_cell_of_shut_gates_hands_its_gradient_on_whole_however_loud_it_is_in_what_they_hide() -> None:
    torch.manual_seed(0)
    start = {"W_xo": torch.tensor([[0.0], [40.0]]), "b_o": -20.0, "b_i": -3.0, "b_f": 9.0, "W_hg": 300.0}
    net = chalkgrad.layer("lstm", D=2, H=1, init={**start, **{f"W_h{gate}": 0.0 for gate in "ifo"}})
    x = torch.randn(B, T, 2)
    x[:, :, 1] = before_the_last(0, 1.0)  # the output gate opens at the end alone
    with chalkgrad.flow(net) as record:
        net(x)[0][:, -1].sum().backward()
    assert record.norm["h"][0, 1:-2].min() > 2 * record.norm["h"][0, -1]
    assert verdict(record).kind == "healthy"


def test_one_sequence_by_itself_is_a_batch_of_one() -> None:
    net = chalkgrad.layer("lstm", D=D, H=H)
    x = torch.randn(T, D)
    assert {n: v.shape for n, v in gates(net, x).items()} == dict.fromkeys("ifo", (1, T, H))
    with pytest.raises(chalkgrad.EquationError, match="has 1 axis"):
        gates(net, x[0])


def test_where_it_first_is_no_number_is_said() -> None:
    record = Record()
    see = record._watch("")
    rows = torch.ones(3, 1, 5)
    rows[1:, 0, :3] = float("inf")
    for row in rows:
        see({"h": row}, {"h": {"h[t+1]": row}})
    found = verdict(record)
    assert found.kind == "not finite"
    assert "since training step 2, at t = 2 first" in str(found)


def test_a_record_that_saw_nothing_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="no backward pass was seen"):
        verdict(Record())


def test_clipping_is_advised_at_the_measured_percentile() -> None:
    net = turning(1.3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with chalkgrad.flow(net, optimizer) as record:
        for k in range(8):
            optimizer.zero_grad()
            y, _ = net(torch.randn(B, T, D))
            (y[:, -1].square().sum() * (k + 1)).backward()
            optimizer.step()
    sizes = record.scalars["gradient"]
    assert len(sizes) == 8
    assert f"{float(sizes.quantile(0.9)):.3g}" in str(verdict(record))
    assert not record.updates["W_h"].any()  # a rate of nothing moves nothing


def test_updates_are_told_in_parts_of_the_weights() -> None:
    net = turning(0.9)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with chalkgrad.flow(net, optimizer) as record:
        net(torch.randn(B, T, D))[0].sum().backward()
        was = net.W_h.detach().clone()
        optimizer.step()
    (ratio,) = record.updates["W_h"]
    torch.testing.assert_close(ratio, (net.W_h.detach() - was).norm() / was.norm())
    optimizer.step()  # nobody looks any more
    assert len(record.updates["W_h"]) == 1


def test_singular_values_are_those_of_the_jacobian() -> None:
    torch.manual_seed(0)
    net = chalkgrad.layer("rnn", D=D, H=H, dtype=torch.float64)
    x = torch.randn(9, D, dtype=torch.float64)

    def last(h: Tensor, t: int) -> Tensor:
        for u in x[t + 1 :]:
            h = torch.tanh(u @ net.W_x + h @ net.W_h + net.b)
        return h

    states = net(x)[0].detach()
    for t, found in zip((0, 5), singular_values(net, x, [0, 5]), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda h, t=t: last(h, t), states[t])
        torch.testing.assert_close(found, torch.linalg.svdvals(jacobian))


@pytest.mark.parametrize(("steps", "of", "says"), [([8], "", "no step 8"), ([0], "c", "`c` is no state")])
def test_singular_values_of_what_is_not_there_are_refused(steps: list[int], of: str, says: str) -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    with pytest.raises(chalkgrad.EquationError, match=says):
        singular_values(net, torch.randn(9, D), steps, of=of)


def test_memory_ends_where_a_hundredth_is_left() -> None:
    assert memory_length(torch.tensor([0.001, 0.02, 0.5, 1.0])) == 3
    assert memory_length(torch.ones(5)) is None


def test_a_verdict_has_its_worst_first() -> None:
    found = verdict(trained(turning(0.7)), saturation({"f": torch.ones(4)}))
    assert [f.kind for f in found.findings] == ["vanishing", "saturated"]


def test_the_two_directions_are_judged_apart() -> None:
    page = (
        "h[t] = f h[t-1] + x[t] W\ng[t] = b g[t+1] + x[t] V\ny[t] = h[t] + g[t]\nwhere f: scalar, b: scalar"
    )
    net = chalkgrad.layer(page, x=D, h=H, init={"f": 0.99, "b": 0.5})
    with chalkgrad.flow(net) as record:
        net(torch.randn(B, T, D))[0].sum().backward()
    found = verdict(record).findings
    assert [f.kind for f in found] == ["vanishing"]
    assert found[0].words.startswith("the gradient of g keeps 0.50 of its norm a step on")


def test_a_gradient_that_never_leaves_its_step_is_cut_off() -> None:
    found = verdict(trained(turning(1.0), last=False, truncate=1))
    assert str(found).startswith("truncated: nothing comes back to h from another step")


def test_a_state_that_no_loss_needs_is_said_to_have_no_gradient() -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    with chalkgrad.flow(net) as record:
        (net(torch.randn(B, T, D))[0] * 0).sum().backward()
    assert str(verdict(record)) == "vanishing: no gradient comes to h at all: the loss does not need it"


def test_one_step_hands_nothing_on_and_is_well() -> None:
    net = chalkgrad.layer("rnn", D=D, H=H)
    with chalkgrad.flow(net) as record:
        net(torch.randn(B, 1, D))[0].sum().backward()
    assert str(verdict(record)) == "healthy: sequences of one step hand no gradient on"


@pytest.mark.parametrize(("scale", "says"), [(0.99, "keeps 0.99"), (1.02, "grows to 1.02")])
def test_what_is_well_is_said_with_its_numbers(scale: float, says: str) -> None:
    found = verdict(trained(turning(scale)))
    kept = f"{scale ** (T - 1):.2g}"
    assert (
        str(found)
        == f"healthy: the gradient of h {says} of its norm a step back, {kept} of it over all 40 steps"
    )
