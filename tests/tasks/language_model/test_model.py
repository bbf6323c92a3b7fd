"""The model: carried states, truncated gradients, and which cells it takes."""

import pytest
import torch

from chalkgrad.tasks.language_model.data import Streams, Vocabulary
from chalkgrad.tasks.language_model.model import LanguageModel, detach, evaluate, nats

TEXT = "the quick brown fox jumps over the lazy dog and then sleeps in the sun. " * 2


@pytest.fixture
def model() -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel("lstm", len(Vocabulary.of(TEXT)), hidden=6, layers=2).double()


def test_logits_have_an_entry_per_character(model: LanguageModel) -> None:
    ids = torch.zeros(3, 5, dtype=torch.long)
    logits, states = model(ids)
    assert logits.shape == (3, 5, len(Vocabulary.of(TEXT)))
    assert len(states) == 2
    assert all(value.shape == (3, 6) for state in states for value in state)


@pytest.mark.parametrize("size", [1, 5, 13])
def test_the_loss_over_chunks_is_that_of_one_long_pass(model: LanguageModel, size: int) -> None:
    streams = Streams.of(TEXT, Vocabulary.of(TEXT), batch=2)
    logits, _ = model(streams.inputs)
    whole = nats(logits, streams.targets).item() * streams.targets.numel()
    loss = evaluate(model, streams.chunks(size))
    assert loss.characters == streams.targets.numel()
    assert loss.nats == pytest.approx(whole, rel=1e-12)


def test_forgetting_the_state_between_chunks_would_be_seen(model: LanguageModel) -> None:
    streams = Streams.of(TEXT, Vocabulary.of(TEXT), batch=2)
    forgetful = sum(evaluate(model, [chunk]).nats for chunk in streams.chunks(5))
    assert forgetful != pytest.approx(evaluate(model, streams.chunks(5)).nats, rel=1e-6)


def test_no_gradient_passes_a_detached_state(model: LanguageModel) -> None:
    first, second = (torch.randint(0, 9, (2, 4)) for _ in range(2))
    _, states = model(first)
    assert all(value.requires_grad for state in states for value in state)
    model(second, detach(states))[0].sum().backward()
    truncated = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    with torch.no_grad():
        _, fixed = model(first)
    model(second, fixed)[0].sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, truncated[name]), name
