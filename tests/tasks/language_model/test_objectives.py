"""Learning from both sides: what is hidden, what is seen, what is asked for."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from chalkgrad.tasks.language_model.config import Config
from chalkgrad.tasks.language_model.objectives import Sighted, Windows, hidden, two_sided


def test_of_the_hidden_tokens_most_are_masked_and_the_rest_as_the_paper_says() -> None:
    ids = torch.full((200, 100), 7)
    shown = hidden(ids, first=2, tokens=50, random=torch.Generator().manual_seed(0))
    assert torch.equal(shown.right, ids)
    assert torch.equal(shown.ids[~shown.asked], ids[~shown.asked])
    asked = shown.ids[shown.asked]
    assert shown.asked.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert (asked == 1).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (asked == 7).float().mean().item() == pytest.approx(0.1 + 0.1 / 48, abs=0.02)
    assert asked[(asked != 1)].min() >= 2


def test_one_token_at_least_is_asked_for() -> None:
    for seed in range(20):
        assert hidden(torch.tensor([[5, 6]]), 2, 9, torch.Generator().manual_seed(seed)).asked.any()


def test_a_transformer_without_a_mask_sees_both_sides_and_knows_left_from_right() -> None:
    torch.manual_seed(0)
    net = Sighted(8, heads=2, layers=2)
    values = torch.randn(1, 6, 8)
    for place in (0, 5):
        changed = values.clone()
        changed[:, place] = torch.randn(8)
        assert not torch.allclose(net(values)[:, 2], net(changed)[:, 2])
    mirrored = net(values.flip(1)).flip(1)
    assert not torch.allclose(net(values), mirrored, atol=1e-3)


@pytest.mark.parametrize("objective", ["masked", "bidirectional"])
def test_the_loss_is_that_of_what_is_asked_for(objective: str) -> None:
    torch.manual_seed(0)
    config = Config(objective=objective, hidden=6, batch=3, truncate=5, cell="gru")
    model = two_sided(config, "gru", 12)
    ids = torch.randint(2, 12, (100,))
    run = Windows(config, model, ids, ids[:20], first=2)
    batch = run.batch()
    loss = run.loss(batch)
    logits = model(batch.ids)
    if objective == "masked":
        expected = [cross_entropy(logits[b, t], batch.right[b, t]) for b, t in batch.asked.nonzero().tolist()]
    else:
        expected = [cross_entropy(logits[0, b, t], batch.ids[b, t + 1]) for b in range(3) for t in range(4)]
        expected += [cross_entropy(logits[1, b, t + 1], batch.ids[b, t]) for b in range(3) for t in range(4)]
    assert loss.items == len(expected)
    assert loss.total.item() == pytest.approx(torch.stack(expected).sum().item(), rel=1e-5)


def test_neither_direction_sees_the_token_that_it_predicts() -> None:
    torch.manual_seed(0)
    model = two_sided(Config(objective="bidirectional", hidden=6, cell="lstm"), "lstm", 12).eval()
    ids = torch.randint(2, 12, (1, 7))
    changed = ids.clone()
    changed[0, 3] = (changed[0, 3] - 1) % 10 + 2
    onward, reverse = model(ids) - model(changed)
    assert onward[0, :3].abs().max() == 0  # logits at 2 are for the token at 3
    assert reverse[0, 4:].abs().max() == 0
    assert onward[0, 3:].abs().max() > 0
    assert reverse[0, :4].abs().max() > 0
