"""Seals bind measured figures to what they were measured on.

A file of measurements holds its figures, the digests of what was measured, and a seal: the SHA-256
of both together. Nothing but the code that has just measured writes a seal, and every reader checks
it, so a digest that is changed without its measurement, or the other way round, is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text
from sqhw.errors import SqhwError

KEY = "seal"
#: Last line of a sealed text by the file's suffix, as a comment.
LINES = {".md": "<!-- seal: {} -->", ".csv": "# seal: {}"}


def write_sealed(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record that has just been measured, with its seal, as JSON.

    Parameters
    ----------
    path : path
        Its folder must exist.
    record : mapping
        Figures, and what they were measured on.
    """
    plain = {key: value for key, value in record.items() if key != KEY}
    text = json.dumps(plain | {KEY: _of_record(plain)}, indent=1)
    atomic_write_text(path, text + "\n")


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the record in a file, without its seal.

    Raises
    ------
    SqhwError
        If the record is not the one that was sealed.
    """
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found = record.pop(KEY, None)
    _check(path, found, _of_record(record))
    return record


def write_sealed_text(path: Path, text: str) -> None:
    """Write a table that has just been measured; its last line is the seal.

    Parameters
    ----------
    path : path
        ``.md`` or ``.csv``; its folder must exist.
    text : str
        Figures, and what they were measured on; ends with a newline.
    """
    atomic_write_text(path, text + LINES[path.suffix].format(_of_text(text)) + "\n")


def read_sealed_text(path: Path) -> str:
    """Return the text in a file, without the line of its seal.

    Raises
    ------
    SqhwError
        If the text is not the one that was sealed.
    """
    before, after = LINES[path.suffix].split("{}")
    *lines, last = path.read_text(encoding="utf-8").splitlines(keepends=True)
    text, last = "".join(lines), last.rstrip("\n")
    is_seal = last.startswith(before) and last.endswith(after)
    found = last.removeprefix(before).removesuffix(after) if is_seal else None
    _check(path, found, _of_text(text))
    return text


def _of_record(record: Mapping[str, Any]) -> str:
    return _of_text(json.dumps(record, sort_keys=True, separators=(",", ":")))


def _of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check(path: Path, found: object, expected: str) -> None:
    if found != expected:
        problem = "has no seal" if found is None else "is not as it was sealed"
        raise SqhwError(
            f"{path.name} in {path.parent} {problem}: figures, or the digest of what they were "
            "measured on, were changed by hand; restore the file or measure it again"
        )
