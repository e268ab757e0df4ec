"""The simulator's machine code is compiled once, and again where it is not kept or damaged."""

import os
import subprocess
import sys

import pytest

from sqhw.sim import kernels, machine_code
from sqhw.sim.machine_code import MachineCode, compiled


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Return the compilations so far; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, found = b"", []

    def once(shape, target):
        nonlocal code
        code = code or compiled(shape, target)
        found.append(shape)
        return code

    monkeypatch.setattr(machine_code, "compiled", once)
    return found


def test_a_second_start_compiles_nothing_and_damage_is_noticed(calls, tmp_path):
    for _ in range(2):
        assert MachineCode(kernels.SHAPE).address("sqhw_run")
    assert len(calls) == 1
    (path,) = (tmp_path / "sqhw" / "sim").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):
        assert MachineCode(kernels.SHAPE).address("sqhw_run")
    assert len(calls) == 2


def test_where_the_cache_cannot_be_nothing_is_kept(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    path = machine_code._kept(("a key",))
    machine_code._save(path, b"code")
    assert machine_code._load(path) is None


def test_without_a_home_there_is_no_file(monkeypatch):
    def missing():
        raise RuntimeError

    monkeypatch.setattr(machine_code, "cache_home", missing)
    assert machine_code._kept(("a key",)) is None


THREADS_FIRST = """
import numpy as np
from strategies import random_images, random_network
from sqhw.sim.simulator import Simulator
network = random_network(5)
images = random_images(network, 0, 400)
found = Simulator(network, threads=8).logits(images, batch=400)
np.testing.assert_array_equal(found, Simulator(network, threads=1).logits(images))
"""


def test_threads_that_come_first_load_the_code_once():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", THREADS_FIRST]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr
