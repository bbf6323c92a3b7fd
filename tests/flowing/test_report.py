"""The page that a record writes: one file that shows what was measured, in a real browser too."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.browser import CHROMIUM, Page, browser

import chalkgrad
from chalkgrad.flowing.record import Record
from chalkgrad.flowing.report import page
from chalkgrad.flowing.sampled import BAD, END, TOP, ZERO, packed, sampled

T, B, D, H = 12, 3, 2, 4


@pytest.fixture(scope="module")
def record() -> Record:
    torch.manual_seed(0)
    net = chalkgrad.layer("lstm", D=D, H=H)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with chalkgrad.flow(net, optimizer) as record:
        for k in range(8):
            x = torch.randn(B, T, D)
            loss = net(x)[0][:, -1].square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            record.note(loss=loss)
            if k % 4 == 0:
                record.look(net, x)
    return record


def held(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="record">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def decoded(state: dict[str, Any], path: str) -> torch.Tensor:
    codes = torch.frombuffer(bytearray(base64.b64decode(state["tables"][path])), dtype=torch.uint16).double()
    low, high = state["span"]
    return torch.where(codes <= TOP, 10 ** (low + (high - low) * codes / TOP), 0.0).view(-1, state["columns"])


def test_the_page_holds_what_was_measured(record: Record) -> None:
    data = held(page(record, "seen"))
    assert [s["name"] for s in data["states"]] == ["c", "h"]
    for state in data["states"]:
        for path, table in {"": record.norm[state["name"]], **record.paths[state["name"]]}.items():
            torch.testing.assert_close(decoded(state, path), table.double(), rtol=1e-3, atol=0)
            want = table[-2:].double().mean(0)
            late = torch.tensor([x or 0 for x in state["late"][path]]).double()
            torch.testing.assert_close(late, want, rtol=1e-3, atol=0)
    assert [s["name"] for s in data["scalars"]] == ["gradient", "loss"]
    torch.testing.assert_close(
        torch.tensor(data["scalars"][1]["values"]), record.scalars["loss"], rtol=1e-3, atol=0
    )


def test_words_equations_and_numbers_are_there_without_a_script(record: Record) -> None:
    text = page(record, "seen").partition("<script")[0]
    for f in record.verdict().findings:
        assert f"<p>{f.words[0].upper()}{f.words[1:]}.</p>" in text
        assert all(a.code.replace('"', "&quot;") in text for a in f.advice)
    assert "c[t] = f[t] ⊙ c[t-1] + i[t] ⊙ g[t]" in text
    assert re.search(r"^∂c\[t\] += ", text, re.MULTILINE)
    assert f"<td>{record.norm['h'][-2:, -1].mean():.3g}</td>" in text
    assert "{{" not in text


def test_a_page_needs_nothing_else_and_no_text_ends_its_script(record: Record) -> None:
    hostile = Record()
    hostile._watch("</script><b>.")({"h": torch.ones(1, 3)}, {"h": {"<i>[t+1]": torch.ones(1, 3)}})
    text = page(hostile, "</title> & </script>")
    assert text.count("</script>") == 2
    assert "<b>" not in text
    assert "<title>&lt;/title&gt; &amp; &lt;/script&gt;</title>" in text
    assert list(held(text)["states"][0]["tables"]) == ["", "<i>[t+1]"]
    for address in re.findall(r"https?://[^\"'\s]+", page(record, "")):
        assert address == "http://www.w3.org/2000/svg"  # a name, which nobody fetches


def test_a_long_record_of_many_states_stays_small() -> None:
    long = Record()
    paths = [f"{n}[t+1]" for n in "ifgo"]
    noise = torch.rand(500, generator=torch.Generator().manual_seed(0))
    for layer in ("low.", "high."):
        see = long._watch(layer)
        for _ in range(900):
            see({"c": noise[None], "h": noise[None]}, {s: dict.fromkeys(paths, noise[None]) for s in "ch"})
    text = page(long, "long")
    assert len(text.encode()) < 1_500_000
    assert held(text)["states"][0]["tall"] > 1


def test_a_sample_tells_zero_ended_and_no_number_apart() -> None:
    table = torch.tensor([[1.0, 0.0, 4.0, 2.0], [1.0, float("inf"), float("nan"), float("nan")]])
    assert sampled(table, 1, 4).means.tolist() == [[1.0, float("inf"), 4.0, 2.0]]
    codes = torch.frombuffer(
        bytearray(base64.b64decode(packed(sampled(table, 2, 4), 0.0, 1.0))), dtype=torch.uint16
    )
    assert codes.tolist()[:2] == [0, ZERO]
    assert codes.tolist()[4:] == [0, BAD, END, END]


def test_a_report_replaces_what_is_there_and_says_where_it_cannot(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "flow.html"
    path.write_text("old")
    assert record.report(path) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(chalkgrad.EquationError, match="cannot be written"):
        record.report(tmp_path / "nowhere" / "flow.html")
    with pytest.raises(ValueError, match="no backward pass was seen"):
        Record().report(path)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_all_of_it_asks_nobody_and_complains_of_nothing(
    tab: Page, record: Record, tmp_path: Path, width: int, dark: bool
) -> None:
    tab.requests.clear()
    path = record.report(tmp_path / "flow.html")
    tab.open(path, width=width, dark=dark)
    assert tab.complaints == []
    assert [r for r in tab.requests if not r.startswith("data:")] == [path.resolve().as_uri()]
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask("[...document.querySelectorAll('.plot')].every(p => p.querySelector('svg, image'))")
    assert tab.ask("document.querySelectorAll('.heat image').length") == 2
    paper = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 23, 26)") is dark


def test_the_slider_chooses_the_training_step(tab: Page, record: Record, tmp_path: Path) -> None:
    tab.open(record.report(tmp_path / "flow.html"))
    line = "document.querySelector('[data-paths] path.s0:not(.dot)').getAttribute('d')"
    before = tab.ask(line)
    assert tab.ask("document.getElementById('at').textContent") == "7–8"
    slide = "const s = document.getElementById('step'); s.value = 2; s.dispatchEvent(new Event('input'))"
    tab.ask(f"(() => {{ {slide}; }})()")
    assert tab.ask("document.getElementById('at').textContent") == "3 of 8"
    assert not tab.ask("document.getElementById('mean').checked")
    assert tab.ask(line) != before


def test_gates_states_and_gradient_stand_over_one_time_and_go_with_the_slider(
    tab: Page, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    nets = torch.nn.ModuleDict(
        {"low": chalkgrad.layer("lstm", D=D, H=1), "plain": chalkgrad.layer("rnn", D=D, H=H)}
    )
    with chalkgrad.flow(nets) as few:
        for step in (0, 50, 100, 400):
            few.at(step)
            x = torch.randn(B, T, D)
            sum(net(x)[0][:, -1].square().sum() for net in nets.values()).backward()  # pyright: ignore
            few.look(nets["low"], x)
            with torch.no_grad():
                nets["low"].b_f += 1  # pyright: ignore
    assert few.steps == [0, 50, 100, 400]
    with pytest.raises(ValueError, match="400 cannot come after 400"):
        few.at(400)
    tab.open(few.report(tmp_path / "flow.html"))
    assert tab.complaints == []
    figure = "document.querySelector('[data-through]')"
    words = tab.ask(f"[...{figure}.querySelectorAll('text')].map(t => t.textContent).join('|')")
    assert all(f"gate {n}: mean" in words for n in "ifo")
    assert "state c, ±" in words
    assert (
        tab.ask(f"{figure}.querySelectorAll('svg svg path').length") == 3
    )  # ∂c, ∂h, and beside them the RNN's ∂h
    shown = []
    for k in (0, 2, 3):
        slide = (
            f"const s = document.getElementById('step'); s.value = {k}; s.dispatchEvent(new Event('input'))"
        )
        tab.ask(f"(() => {{ {slide}; }})()")
        lines = tab.ask(f"[...{figure}.querySelectorAll('path')].map(p => p.getAttribute('d'))")
        shown.append(
            (
                tab.ask("document.getElementById('at').textContent"),
                tab.ask(f"{figure}.querySelector('.readout').textContent"),
                lines,
            )
        )
    assert [s[0] for s in shown] == ["0 of 400", "100 of 400", "400 of 400"]
    assert [s[1] for s in shown] == [f"at training step {k}" for k in (0, 100, 400)]
    assert all(a != b for a, b in zip(shown[0][2], shown[2][2], strict=True))
    ends = {round(float(line.rpartition("L")[2].split()[0])) for line in shown[0][2]}
    assert len(ends) == 1  # the last step of each is at one place
