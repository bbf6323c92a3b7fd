"""The pages of documentation tell the truth: their Python runs, and prints what stands below it."""

import doctest
import io
import re
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PEERS = ("keras",)
"""What a block may need that is not installed everywhere."""

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def told(text: str) -> list[tuple[str, str | None]]:
    """Every python block, padded to its own line, and the text block right below it, if there is one."""
    found: list[tuple[str, str | None]] = []
    after = -1
    for match in BLOCK.finditer(text):
        between = text[after : match.start()].strip() if found else "-"
        if match[1] == "python":
            found.append(("\n" * (text[: match.start()].count("\n") + 1) + match[2], None))
            after = match.end()
        elif match[1] == "text" and not between:
            found[-1] = (found[-1][0], match[2])
    return found


def test_a_text_block_belongs_to_the_python_block_right_above_it() -> None:
    page = "```python\nx\n```\n\n```text\n1\n```\nand\n```text\n2\n```\n```python\ny\n```\n"
    assert [(code.strip(), output) for code, output in told(page)] == [("x", "1\n"), ("y", None)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_is_what_its_code_prints(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    for code, expected in told(page.read_text(encoding="utf-8")):
        if any(f"import {n}\n" in code and find_spec(n) is None for n in PEERS):
            continue
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), namespace)
        if expected is not None:
            same = doctest.OutputChecker().check_output(expected, printed.getvalue(), doctest.ELLIPSIS)
            assert same, f"{page.name} shows\n{expected}\nand its code prints\n{printed.getvalue()}"
