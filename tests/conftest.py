"""What every test shares: one thread, fixed seeds, and Hypothesis without a clock."""

import os

import pytest
import torch
from hypothesis import settings

# A deadline would test the machine. Continuous integration draws the same examples every time.
settings.register_profile("develop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "develop")

torch.set_num_threads(1)


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of random numbers, the same in every test."""
    return torch.Generator().manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is said now into tests/golden, to be read"
    )
