"""Where programs in WebAssembly keep their machine code: the user's cache, else a new folder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from sqhw.environment.user_cache import VARIABLE, cache_home


@contextmanager
def wasm_cache() -> Iterator[None]:
    """Let programs that are started meanwhile have a cache that can be written.

    Without one (no home folder, or one that is read-only) wasmtime does not start. The folder in
    its place is removed afterwards, so the next call compiles again.
    """
    if _usable():
        yield
        return
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="sqhw-cache-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def _usable() -> bool:
    """Whether a file can be made in wasmtime's folder of the user's cache."""
    try:
        folder = cache_home() / "wasmtime"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):  # the latter if there is no home
        return False
