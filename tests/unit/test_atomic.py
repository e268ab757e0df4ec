import os
import socket
import stat
from pathlib import Path

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


def socket_at(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


def link_at(path):
    (path.parent / "target").write_bytes(b"old")
    path.symlink_to("target")


NOT_REGULAR = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a socket": socket_at,
    "a symbolic link": link_at,
    "a symbolic link ": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", NOT_REGULAR)
@pytest.mark.parametrize("write", [lambda p: atomic.atomic_write_bytes(p, b"x"), atomic.writable])
def test_only_regular_files_are_replaced(tmp_path, kind, write):
    path = tmp_path / "file"
    NOT_REGULAR[kind](path)
    before, mode = sorted(tmp_path.iterdir()), path.lstat().st_mode
    with pytest.raises(SqhwError) as error:
        write(path)
    assert str(error.value) == (
        f"cannot write {path}: it is {kind.strip()}, and only regular files are replaced; name "
        "another file"
    )
    assert sorted(tmp_path.iterdir()) == before
    assert path.lstat().st_mode == mode
    if kind == "a symbolic link":
        assert path.read_bytes() == b"old"


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
@pytest.mark.parametrize("write", [lambda p: atomic.atomic_write_bytes(p, b"x"), atomic.writable])
def test_a_device_is_not_replaced(tmp_path, monkeypatch, write, kind):
    """Not tried on a real one: a superuser whose test fails would lose it."""
    path = tmp_path / "device"
    path.write_bytes(b"old")
    plain = Path.lstat

    def lstat(self):
        found = plain(self)
        return os.stat_result((kind | 0o666, *found[1:])) if self == path else found

    monkeypatch.setattr(Path, "lstat", lstat)
    with pytest.raises(SqhwError, match=r"^cannot write .*: it is a device, and only regular"):
        write(path)
    assert path.read_bytes() == b"old"


LONG = "é" * 128  # 256 bytes, one more than a name may have


def test_a_name_too_long_is_one_sentence(tmp_path):
    for write in (lambda path: atomic.atomic_write_bytes(path, b"x"), atomic.writable):
        with pytest.raises(SqhwError, match=r"^cannot write .*: File name too long$"):
            write(tmp_path / LONG)
    with pytest.raises(SqhwError, match=r"^cannot make folder .*: File name too long$"):
        atomic.writable(tmp_path / LONG / "file")
    with pytest.raises(SqhwError, match=r"^cannot make folder .*: a name has 255 bytes at most$"):
        atomic.writable(tmp_path / "new" / LONG / "file")
    with pytest.raises(SqhwError, match=r"^cannot write .*: a name has 255 bytes at most$"):
        atomic.writable(tmp_path / "new" / LONG)
    with pytest.raises(SqhwError, match=r"^cannot make folder .*: File name too long$"):
        atomic.make_folder(tmp_path / LONG)
    assert not list(tmp_path.iterdir())


def test_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"old")
    with pytest.raises(SqhwError, match=r"^cannot write .*: directory .*/plain does not exist$"):
        atomic.atomic_write_bytes(tmp_path / "plain" / "file", b"x")
    for path in ("plain/file", "plain/new/file"):
        with pytest.raises(SqhwError, match=r"^cannot make folder .*: Not a directory$|plain is"):
            atomic.writable(tmp_path / path)
    assert (tmp_path / "plain").read_bytes() == b"old"


def test_an_input_is_not_an_output(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(b"old")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "real").mkdir()
    monkeypatch.chdir(tmp_path)
    for spelling in ("source", "./source", tmp_path / "hard", "folder/source", "real/../source"):
        with pytest.raises(SqhwError, match=r"^cannot write .*: that is the same file as .*source"):
            atomic.writable(spelling, [tmp_path / "other", source])
    with pytest.raises(SqhwError, match="the same file"):  # of files that are not there yet
        atomic.writable("new", [tmp_path / "folder" / "new"])
    assert atomic.writable("new", [source]) is not None


def test_no_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, "access", lambda path, mode: False)
    with pytest.raises(SqhwError) as error:
        atomic.writable(tmp_path / "new" / "file")
    assert str(error.value) == (
        f"cannot write to {tmp_path}/new: no permission to write to {tmp_path}"
    )


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc")
def test_a_file_system_that_takes_no_file_is_refused_before_the_work():
    """Permissions alone do not tell: for the superuser, they allow writing everywhere."""
    with pytest.raises(SqhwError, match=r"^cannot write to /proc: .* /proc( \(.*\))?$"):
        atomic.writable("/proc/net.safetensors")


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
    assert not list(tmp_path.iterdir())  # nothing is made before there is something to write


def test_a_file_name_that_is_no_utf_8_can_be_cited(tmp_path):
    atomic.atomic_write_text(tmp_path / "file", "wrote \udcff")
    assert (tmp_path / "file").read_text() == "wrote \\udcff"
