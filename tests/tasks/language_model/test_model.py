"""The model: carried states, truncated gradients, and which cells it takes."""

from pathlib import Path

import pytest
import torch

from chalkgrad.language.source import EquationError
from chalkgrad.tasks.errors import TaskError
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


@pytest.mark.parametrize(
    "cell",
    [
        "rnn",
        "lstm",
        "lstm_peephole",
        "gru",
        "gru_after",
        "h[t] = tanh(x[t] W + h[t-1] U + b)",
        "c[t] = tanh(W u[t] + U c[t-1] + V c[t-2] + b)",
        "h[t] = tanh(W [h[t-1]; x[t]] + b)",
        "h[t] = tanh(x[t] W + h[t-1] U)\ny[t] = h[t] V where W: D×H, V: H×D",
    ],
)
def test_every_recurrence_is_a_language_model_whose_chunks_add_up(cell: str) -> None:
    torch.manual_seed(0)
    streams = Streams.of(TEXT, Vocabulary.of(TEXT), batch=2)
    model = LanguageModel(cell, len(Vocabulary.of(TEXT)), hidden=5, layers=2).double()
    logits, _ = model(streams.inputs)
    whole = nats(logits, streams.targets)
    loss = evaluate(model, streams.chunks(7))
    assert loss.mean == pytest.approx(whole.item(), rel=1e-12)
    whole.backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters()
    )


def test_a_file_of_equations_is_a_cell_and_the_model_keeps_its_text(tmp_path: Path) -> None:
    text = "# mine\ns[t] = tanh(x[t] A + s[t-1] B)\n"
    (tmp_path / "mine.chalk").write_text(text)
    assert LanguageModel(str(tmp_path / "mine.chalk"), 5, hidden=3).equations == text


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("mlp", "no recurrence"),
        ("conv1d", "no recurrence"),
        ("h[t] = tanh(x[t] W + u[t] V + h[t-1] U)", "inputs x, u"),
        ("h[t] = tanh(x[t] W + h[t-1] U)\ny[t] = h[t] V\nz[t] = h[t] Q", "outputs y, z"),
        ("h[t] = tanh(x[t] W + h[t+1] U)", "reads ahead"),
        ("h[t] = tanh(x[t] W + h[t-1] U)\ng[t] = tanh(x[t] V + g[t+1] Q)\ny[t] = h[t] ⊙ g[t]", "reads ahead"),
        ("h[t] = tanh(x[t] W + x[t+1] V + h[t-1] U)", "an output of 6 numbers for each step"),
    ],
)
def test_a_cell_that_is_no_language_model_is_refused_with_the_reason(cell: str, says: str) -> None:
    with pytest.raises(TaskError, match=says):
        LanguageModel(cell, 9, hidden=6)


@pytest.mark.parametrize("cell", ["lsmt", "h[t] = tanh(x[t] W + ", "nowhere.chalk"])
def test_equations_that_cannot_be_read_are_reported_as_such(cell: str) -> None:
    with pytest.raises(EquationError):
        LanguageModel(cell, 9, hidden=6)
