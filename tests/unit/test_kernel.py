"""Kernels and generators where no cache can be written: no home, a read-only package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sqhw.environment.kernel import kernel
from sqhw.environment.wasm_cache import VARIABLE, wasm_cache

NO_CACHE = """
import numba.core.caching as caching
caching.FunctionCache._impl_class._locator_classes = []
caching.CacheImpl._locator_classes = []
from sqhw.environment.kernel import kernel
@kernel(nogil=True)
def twice(x):
    return 2 * x
assert twice(4) == 8
"""


def test_a_kernel_without_a_cache_is_compiled():
    found = subprocess.run([sys.executable, "-c", NO_CACHE], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_a_kernel_computes():
    assert kernel()(lambda x: 2 * x)(4) == 8


@pytest.mark.parametrize("variables", [{"HOME": "/dev/null"}, {VARIABLE: "/dev/null/cache"}])
def test_without_a_home_programs_get_a_folder_that_is_removed(monkeypatch, variables):
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with wasm_cache():
        folder = Path(os.environ[VARIABLE])
        assert folder.is_dir()
    assert os.environ.get(VARIABLE) == variables.get(VARIABLE)
    assert not folder.exists()


def test_the_user_s_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with wasm_cache():
        assert os.environ[VARIABLE] == str(tmp_path)
