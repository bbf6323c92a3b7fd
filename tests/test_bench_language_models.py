"""The comparison of language models: sizes, peers, rows and the page; nothing here asks who is best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from bench import language_models as compared
from bench.language_models import BESIDE, NETS, Row, TorchLSTM, page, rows_in, width
from typer.testing import CliRunner

from chalkgrad.tasks.language_model.data import plays, read
from chalkgrad.tasks.language_model.model import net
from chalkgrad.zoo import torchs_page

ROW = Row("plays", "lstm", "width 9", 1000, 2.5, 1.7329, 10**6, 1234.5, 2.0, "a machine", "2026-01-01")


@pytest.mark.parametrize("name", NETS)
def test_nets_are_as_nearly_of_one_size_as_their_width_allows(name: str) -> None:
    fitted = width(NETS[name], 60, 60_000)
    size = sum(p.numel() for p in net(fitted, fitted.cell, 60).parameters())
    assert size == pytest.approx(60_000, rel=0.1)
    if fitted.model == "transformer":
        assert fitted.hidden % fitted.heads == 0


def test_torchs_lstm_begins_as_ours_does() -> None:
    torch.manual_seed(0)
    ours = net(replace(BESIDE, hidden=6), torchs_page("lstm"), 9).body.double()
    with torch.no_grad():
        for p in ours.parameters():
            p.copy_(torch.randn_like(p))
    theirs = TorchLSTM(ours.get_submodule("layers"), 6).double()
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    a, states = ours(x[:, :4])
    b, torchs = theirs(x[:, :4])
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours(x[:, 4:], states)[0], theirs(x[:, 4:], torchs)[0])


def test_the_page_has_the_best_model_first_and_names_it() -> None:
    rows = [
        ROW,
        replace(ROW, model="gru", bits=2.25),
        replace(ROW, model="ours", nats=1.75),
        replace(ROW, text="all", model="ngram", bits=2.0),
    ]
    said = page(rows)
    assert "**GRU won**, with 2.250 bits a character; LSTM came second with 2.500." in said
    assert said.index("| GRU | 2.250") < said.index("| LSTM | 2.500")
    assert "**n-gram, modified Kneser-Ney won**, with 2.000 bits a character." in said
    assert "Beside torch.nn.LSTM" not in said
    both = page([*rows, replace(ROW, model="torch.nn.LSTM", nats=1.7625)])
    assert "the losses differ by 0.0125 nats" in both


def test_a_row_is_measured_once_and_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text(read(plays()[:1])[:30_000])
    monkeypatch.setattr(compared, "plays", lambda: [tmp_path / "text.txt"])
    monkeypatch.setattr(compared, "PARAMETERS", 3000)
    monkeypatch.setattr(compared, "ORDERS", range(1, 4))
    app = typer.Typer()
    app.command()(compared.run)
    rows, out = tmp_path / "rows.jsonl", tmp_path / "page.md"
    fast = ("--minutes", "0", "--steps", "3", "--threads", "1", "--rows", str(rows), "--out", str(out))
    for name in ("ngram", "rnn", "ours", "torch.nn.LSTM"):
        result = CliRunner().invoke(app, [*fast, "--only", name])
        assert result.exit_code == 0, result.output
    first = rows_in(rows)
    assert [r.model for r in first] == ["ngram", "rnn", "ours", "torch.nn.LSTM"]
    assert all(r.bits == pytest.approx(r.nats / 0.6931471805599453) for r in first)
    assert first[2].nats == pytest.approx(first[3].nats, abs=1e-4)
    assert "RNN" in out.read_text()
    again = CliRunner().invoke(app, [*fast, "--only", "rnn"])
    assert again.exit_code == 0
    assert rows_in(rows) == first
