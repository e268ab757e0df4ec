"""Reading untrusted files: regular files of a bounded size, and what a file of another kind is."""

import gzip
import io
import os
import stat
import zlib
from pathlib import Path

from sqhw.errors import SqhwError

GZIP_MAGIC = b"\x1f\x8b"
#: Bytes at the start of a file from which `recognised` tells its kind.
START = 512
CHUNK = 1 << 20  # bytes that are unpacked at a time

#: Advice for a network in a file of another kind.
WAY_IN = "load it into its torch.nn.Module and pass that to sqhw.compress.import_module"
_ELSEWHERE = f"which sqhw does not read; {WAY_IN}"
_STATE_DICT = "or save its state dict with safetensors.torch.save_file for `sqhw import NAME`"
_TORCH = f"a PyTorch file, a pickle that is never opened here; {WAY_IN}, {_STATE_DICT}"
#: Kinds of files by their first bytes.
_MAGICS = (
    (b"\x89HDF\r\n\x1a\n", f"a Keras or HDF5 file, {_ELSEWHERE}"),
    (b"\x93NUMPY", "a NumPy array (.npy), not a network"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program or a library"),
    (b"GGUF", f"a GGUF file, {_ELSEWHERE}"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ\0", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (GZIP_MAGIC, "a gzip file; unpack it first"),
)
#: Kinds of zip archives by their first member.
_MEMBERS = (
    (b"data.pkl", _TORCH),
    (b".npy", "NumPy arrays (.npz), not a network; save them as safetensors"),
    (b"metadata.json", f"a Keras file, {_ELSEWHERE}"),
    (b"config.json", f"a Keras file, {_ELSEWHERE}"),
)
_ONNX = "an ONNX file; `sqhw import FILE` makes a network of it"
_TFLITE = "a TensorFlow Lite file; `sqhw import FILE` makes a network of it"


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the content of a regular file.

    Parameters
    ----------
    path : path
    limit : int
        The most that is read (unit: byte), see `sqhw.files.input_limits`.

    Raises
    ------
    SqhwError
        If there is no such file, it is no regular file, too large or cannot be read. The message
        does not name the file.
    """
    check_file(path, limit)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(error) from None
    if len(data) > limit:  # of a file system that tells no sizes
        raise _too_large(len(data), limit)
    return data


def read_text(path: str | os.PathLike[str], limit: int) -> str:
    """Return the content of a regular file as text.

    Raises
    ------
    SqhwError
        As `read_bytes`; or if it is not UTF-8.
    """
    data = read_bytes(path, limit)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = recognised(Path(path), data[:START])
        problem = f"byte {error.start} is not UTF-8"
        raise SqhwError(f"this is {what}" if what else f"not a text file: {problem}") from None


def check_file(path: str | os.PathLike[str], limit: int) -> int:
    """Check that there is a regular file of at most `limit` bytes, and return its size.

    Raises
    ------
    SqhwError
        As `read_bytes`, which a file that is a pipe or a device would never come back from.
    """
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        raise SqhwError("no such file") from None
    except ValueError:
        raise SqhwError("no such file: its name has a zero byte") from None
    except OSError as error:
        raise _unreadable(error) from None
    if stat.S_ISDIR(found.st_mode):
        raise SqhwError("this is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise SqhwError("not a regular file")
    if found.st_size > limit:
        raise _too_large(found.st_size, limit)
    return found.st_size


def folder_at(path: str | os.PathLike[str]) -> Path | None:
    """Return the folder of that name, a leading ``~`` replaced, or None if there is none."""
    try:
        folder = Path(path).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a long name, an unknown user, a zero byte
        return None


def gunzip(data: bytes, limit: int) -> bytes:
    """Return the first `limit` bytes that a gzip file holds, or all if they are fewer.

    Parameters
    ----------
    data : bytes
        The whole file.
    limit : int
        Nothing beyond is unpacked, whatever the file would give (unit: byte).

    Raises
    ------
    SqhwError
        If it is damaged; the checksum at its end counts if the end is reached.
    """
    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while len(content) < limit and (part := file.read(min(CHUNK, limit - len(content)))):
                content += part
    except (EOFError, OSError, zlib.error) as error:
        raise SqhwError(f"is a broken gzip file: {error}") from None
    return bytes(content)


def recognised(path: Path, start: bytes) -> str | None:
    """Return what a file of another kind is, and the way in if there is one.

    Parameters
    ----------
    path : Path
        For its suffix.
    start : bytes
        The first `START` bytes of it, or all. They are looked at and never loaded.

    Returns
    -------
    str or None
        Name of the kind, to be put after "this is"; None for an unknown kind.
    """
    if start.startswith(b"PK\x03\x04"):
        name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
        return next((what for end, what in _MEMBERS if name.endswith(end)), "a zip archive")
    for magic, what in _MAGICS:
        if start.startswith(magic):
            return what
    if is_tflite(start):
        return _TFLITE
    if start[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"a pickle, which is never opened here; if it is a network, {WAY_IN}, {_STATE_DICT}"
    return _ONNX if is_onnx(path, start) else None


def is_tflite(start: bytes) -> bool:
    """Whether a file begins as a TensorFlow Lite file does."""
    return start[4:8] == b"TFL3"


def is_onnx(path: Path, start: bytes) -> bool:
    """Whether a file has the suffix of ONNX, or begins as an ONNX file does."""
    # Protobuf: field 1, the version of the format, then the producer, the graph or the operators.
    known = start[:1] == b"\x08" and start[1:2] < b"\x20" and start[2:3] in b"\x12\x1a\x3a\x42"
    return bool(start) and (path.suffix == ".onnx" or (known and len(start) > 3))


def _unreadable(error: OSError) -> SqhwError:
    return SqhwError(f"cannot be read ({error.strerror or error})")


def _too_large(size: int, limit: int) -> SqhwError:
    return SqhwError(f"is too large: {size:,} bytes, at most {limit:,} are read")
