"""What every test shares: one thread, fixed seeds, and Hypothesis without a clock."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# A deadline would test the machine. Continuous integration draws the same examples every time.
settings.register_profile("develop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "develop")

torch.set_num_threads(1)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of random numbers, the same in every test."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def pinned(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Called with a file's name in tests/golden and a text: that is what the file has to hold."""

    def hold(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return hold


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is said now into tests/golden, to be read"
    )
