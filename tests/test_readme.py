"""Every ```python block of the README runs, top to bottom, as one program."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SKIP = "<!-- not run -->"


def blocks(text: str) -> list[str]:
    """The python blocks of a page, each padded with blank lines so that errors name the page's own lines."""
    found: list[str] = []
    for match in BLOCK.finditer(text):
        before = text[: match.start()]
        if match[1] == "python" and not before.rstrip().endswith(SKIP):
            found.append("\n" * (before.count("\n") + 1) + match[2])
    return found


def test_blocks_are_the_python_ones_that_are_not_marked() -> None:
    page = f"a\n```python\nx = 1\n```\n{SKIP}\n```python\nboom\n```\n```sh\nls\n```\n```python\ny = x\n```\n"
    assert [block.strip() for block in blocks(page)] == ["x = 1", "y = x"]
    assert blocks(page)[0].count("\n") == 3


def test_every_python_block_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = README.read_text(encoding="utf-8")
    found = blocks(text)
    assert found or not text.strip(), "the README shows no Python that could be tested"
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in found:
        exec(compile(block, str(README), "exec"), namespace)
