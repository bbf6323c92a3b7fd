"""The model: carried states, truncated gradients, and which cells it takes."""

from pathlib import Path

import pytest
import torch

from chalkgrad.language.source import EquationError
from chalkgrad.tasks.errors import TaskError
from chalkgrad.tasks.language_model.config import Config
from chalkgrad.tasks.language_model.data import Streams
from chalkgrad.tasks.language_model.model import Net, detach, evaluate, nats, net
from chalkgrad.tasks.tokens import Characters

TEXT = "the quick brown fox jumps over the lazy dog and then sleeps in the sun. " * 2


def recurrent(cell: str, tokens: int, *, hidden: int, layers: int = 1) -> Net:
    return net(Config(hidden=hidden, layers=layers), cell, tokens)


@pytest.fixture
def model() -> Net:
    torch.manual_seed(0)
    return recurrent("lstm", len(Characters.of(TEXT)), hidden=6, layers=2).double()


def test_logits_have_an_entry_per_character(model: Net) -> None:
    ids = torch.zeros(3, 5, dtype=torch.long)
    logits, states = model(ids)
    assert logits.shape == (3, 5, len(Characters.of(TEXT)))
    assert len(states) == 2
    assert all(value.shape == (3, 6) for state in states for value in state)


@pytest.mark.parametrize("size", [1, 5, 13])
def test_the_loss_over_chunks_is_that_of_one_long_pass(model: Net, size: int) -> None:
    streams = Streams.of(TEXT, Characters.of(TEXT), batch=2)
    logits, _ = model(streams.inputs)
    whole = nats(logits, streams.targets).item() * streams.targets.numel()
    loss = evaluate(model, streams.chunks(size))
    assert loss.tokens == streams.targets.numel()
    assert loss.nats == pytest.approx(whole, rel=1e-12)


def test_forgetting_the_state_between_chunks_would_be_seen(model: Net) -> None:
    streams = Streams.of(TEXT, Characters.of(TEXT), batch=2)
    forgetful = sum(evaluate(model, [chunk]).nats for chunk in streams.chunks(5))
    assert forgetful != pytest.approx(evaluate(model, streams.chunks(5)).nats, rel=1e-6)


def test_no_gradient_passes_a_detached_state(model: Net) -> None:
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
    streams = Streams.of(TEXT, Characters.of(TEXT), batch=2)
    model = recurrent(cell, len(Characters.of(TEXT)), hidden=5, layers=2).double()
    logits, _ = model(streams.inputs)
    whole = nats(logits, streams.targets)
    loss = evaluate(model, streams.chunks(7))
    assert loss.mean == pytest.approx(whole.item(), rel=1e-12)
    whole.backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters()
    )


def test_a_file_of_equations_is_a_cell(tmp_path: Path) -> None:
    (tmp_path / "mine.chalk").write_text("# mine\ns[t] = tanh(x[t] A + s[t-1] B)\n")
    names = [name for name, _ in recurrent(str(tmp_path / "mine.chalk"), 5, hidden=3).body.named_parameters()]
    assert names == ["layers.0.A", "layers.0.B"]


OTHERS = {
    "mlp": {"model": "mlp", "context": 4, "layers": 2},
    "a wider embedding": {"model": "mlp", "context": 3, "embedding": 11},
    "transformer": {"model": "transformer", "context": 9, "layers": 2, "heads": 2},
    "one that sees itself alone": {"model": "transformer", "context": 1},
    "tied": {"tied": True, "layers": 2},
    "a narrower embedding": {"embedding": 3},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("size", [1, 4, 16])
def test_chunks_of_every_model_add_up(name: str, size: int) -> None:
    torch.manual_seed(0)
    streams = Streams.of(TEXT, Characters.of(TEXT), batch=2)
    model = net(Config(hidden=8, **OTHERS[name]), "gru", len(Characters.of(TEXT))).double()
    logits, _ = model(streams.inputs)
    whole = nats(logits, streams.targets)
    assert evaluate(model, streams.chunks(size)).mean == pytest.approx(whole.item(), rel=1e-12)
    whole.backward()
    idle = {n.split(".")[-1] for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # What sees itself alone has nothing to weigh.
    assert idle == ({"W_Q", "W_K"} if name == "one that sees itself alone" else set())


@pytest.mark.parametrize("name", OTHERS)
def test_no_model_sees_what_it_is_to_predict(name: str) -> None:
    torch.manual_seed(0)
    model = net(Config(hidden=8, **OTHERS[name]), "gru", 9).double()
    ids = torch.randint(0, 9, (2, 14))
    later = torch.cat([ids[:, :8], (ids[:, 8:] + 1) % 9], 1)
    torch.testing.assert_close(model(ids)[0][:, :8], model(later)[0][:, :8], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("model", "context"), [("mlp", 3), ("transformer", 3)])
def test_as_far_as_the_context_goes_and_no_further(model: str, context: int) -> None:
    torch.manual_seed(0)
    made = net(Config(hidden=8, model=model, context=context), "gru", 9).double()
    ids = torch.randint(0, 9, (1, 12))
    for back in range(6):
        other = ids.clone()
        other[0, 9 - back] = (ids[0, 9 - back] + 1) % 9
        changed = not torch.equal(made(ids)[0][0, 9], made(other)[0][0, 9])
        assert changed == (back < context), back


def test_tied_weights_are_one_parameter_that_learns_from_both_sides() -> None:
    tied = net(Config(hidden=8, tied=True), "gru", 9)
    assert tied.readout.weight is tied.embedding.weight
    with pytest.raises(TaskError, match="as wide as hidden: 5 is not 8"):
        net(Config(hidden=8, tied=True, embedding=5), "gru", 9)


def test_dropout_is_drawn_in_training_and_not_when_measured() -> None:
    torch.manual_seed(0)
    streams = Streams.of(TEXT, Characters.of(TEXT), batch=2)
    for model in ("recurrent", "mlp", "transformer"):
        dropped = net(Config(hidden=8, model=model, dropout=0.5, layers=2), "gru", len(Characters.of(TEXT)))
        ids = streams.inputs
        assert not torch.equal(dropped(ids)[0], dropped(ids)[0])
        assert evaluate(dropped, streams.chunks(5)) == evaluate(dropped, streams.chunks(5))
        assert dropped.training


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
        recurrent(cell, 9, hidden=6)


@pytest.mark.parametrize("cell", ["lsmt", "h[t] = tanh(x[t] W + ", "nowhere.chalk"])
def test_equations_that_cannot_be_read_are_reported_as_such(cell: str) -> None:
    with pytest.raises(EquationError):
        recurrent(cell, 9, hidden=6)
