import os
import stat

import pytest

from sqhw import atomic
from sqhw.errors import SqhwError


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "file"
    atomic.atomic_write_bytes(path, b"one")
    atomic.atomic_write_text(str(path), "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        atomic.atomic_write_bytes(tmp_path / "data", b"")
        atomic.atomic_write_text(tmp_path / "program", "", mode=0o777)
    finally:
        os.umask(old)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("data", "program")]
    assert modes == [0o640, 0o750]


def test_missing_directory(tmp_path):
    with pytest.raises(SqhwError) as error:
        atomic.atomic_write_bytes(tmp_path / "no" / "file", b"")
    assert str(error.value) == (
        f"cannot write {tmp_path}/no/file: directory {tmp_path}/no does not exist"
    )


def test_target_is_a_directory(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(SqhwError) as error:
        atomic.atomic_write_bytes(tmp_path / "file", b"x")
    assert str(error.value) == f"cannot write {tmp_path}/file: Is a directory"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(self, data):
        raise OSError(28, "No space left on device")

    class Full:
        def __init__(self, handle, mode):
            os.close(handle)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            return None

        write = full

    monkeypatch.setattr(atomic.os, "fdopen", Full)
    with pytest.raises(SqhwError) as error:
        atomic.atomic_write_bytes(path, b"new")
    assert str(error.value) == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_where_a_file_will_go_is_checked_before_the_work(tmp_path):
    assert atomic.writable(tmp_path / "a" / "b" / "file") == tmp_path / "a" / "b" / "file"
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(SqhwError, match=r"a: it is a folder; name a file$"):
        atomic.writable(tmp_path / "a")
    (tmp_path / "plain").touch()
    with pytest.raises(SqhwError, match=r"^cannot make folder "):
        atomic.writable(tmp_path / "plain" / "file")
