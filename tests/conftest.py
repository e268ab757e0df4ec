"""Hypothesis: the same examples in every run; `make explore` draws others."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The benchmarks are tested but not installed. They come last, after the installed packages.
sys.path.append(str(Path(__file__).parents[1]))

settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=20)
settings.load_profile("fixed")


def pytest_addoption(parser):
    """Add the number of random networks that an engine runs in a simulator of RTL."""
    parser.addoption("--networks", type=int, default=8, help="random networks an engine")


@pytest.fixture
def most_networks(request) -> int:
    """Return the number of random networks that an engine runs."""
    return request.config.getoption("--networks")
