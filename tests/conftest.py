"""Hypothesis: the same examples in every run; `make explore` draws others.

Tests with the mark ``evidence`` run with the option ``--evidence`` only, see `make evidence`.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# One thread a process: `make test` has a process on each core, and more threads would wait for each
# other. It is set before torch is imported, and holds for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The benchmarks are tested but not installed. They come last, after the installed packages.
sys.path.append(str(Path(__file__).parents[1]))

settings.register_profile("fixed", deadline=None, derandomize=True, max_examples=40)
settings.register_profile("evidence", deadline=None, derandomize=True, max_examples=300)
settings.register_profile("explore", deadline=None, max_examples=20)
settings.load_profile("fixed")


def pytest_addoption(parser):
    """Add the number of random networks that an engine runs, and the choice of long tests."""
    parser.addoption("--networks", type=int, default=5, help="random networks an engine")
    parser.addoption("--evidence", action="store_true", help="run what only `make evidence` runs")


def pytest_collection_modifyitems(config, items):
    """Leave out the tests that `make evidence` runs, and count them as deselected."""
    if config.getoption("--evidence"):
        return
    later = [item for item in items if item.get_closest_marker("evidence")]
    config.hook.pytest_deselected(items=later)
    items[:] = [item for item in items if not item.get_closest_marker("evidence")]


@pytest.fixture
def most_networks(request) -> int:
    """Return the number of random networks that an engine runs."""
    return request.config.getoption("--networks")
