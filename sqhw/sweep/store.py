"""The folder of a sweep: points that are written whole or not at all, and failures.

A point is a folder ``points/ADDRESS``, made elsewhere and renamed into place. Several sweeps, also
at the same time, share the points of a folder.
"""

import errno
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text, is_file, is_folder, make_folder
from sqhw.errors import SqhwError
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_JSON_BYTES
from sqhw.files.plain import field_of, located, parse_json
from sqhw.sweep.point import Point
from sqhw.sweep.versions import check_versions

#: File that marks a folder of a sweep, and the version of the form of such folders.
MARK, FORM = "sweep.json", 1
#: Files of a point: itself with its figures, the whole result of the step, the network.
POINT, RESULT, NETWORK = "point.json", "result.json", "network.safetensors"
#: Age of a half-written point of another machine that is removed (unit: s).
STALE_SECONDS = 7 * 86400


@dataclass(frozen=True)
class Store:
    """The folder of a sweep.

    Parameters
    ----------
    root : Path
    """

    root: Path

    @classmethod
    def create(cls, root: Path, versions: Mapping[str, str]) -> "Store":
        """Make the folder, or take the one that is there.

        Raises
        ------
        SqhwError
            If it has other files, or its points are of other versions.
        """
        root = root.absolute()
        mark = root / MARK
        if is_file(mark):
            cls.at(root).check(versions)
        else:
            if root.exists() and (not is_folder(root) or any(root.iterdir())):
                raise SqhwError(f"{root} has files and is no folder of a sweep; name another")
            make_folder(root)
            record = {"form": FORM, "versions": dict(versions)}
            atomic_write_text(mark, json.dumps(record, indent=1) + "\n")
        store = cls(root)
        for folder in (store.points, store.failed, store.unfinished, root / "specs"):
            make_folder(folder)
        store._sweep_up()
        return store

    @classmethod
    def at(cls, root: Path) -> "Store":
        """Return the store in a folder.

        Raises
        ------
        SqhwError
            If it holds no sweep, or one of another form.
        """
        store = cls(root)
        found = store._mark().get("form")
        if found != FORM:
            raise SqhwError(
                f"{root / MARK}: form {found}, this version reads form {FORM}; name another folder"
            )
        return store

    def _mark(self) -> dict[str, Any]:
        return _read(self.root / MARK)

    def check(self, versions: Mapping[str, str]) -> None:
        """Check that the points are of these versions.

        Raises
        ------
        SqhwError
            Naming what differs.
        """
        with located(self.root / MARK):
            found = field_of(self._mark(), "versions", dict)
        try:
            check_versions(found, versions, f"{self.root}")
        except SqhwError as error:
            raise SqhwError(f"{error}; name another folder with --out") from None

    @property
    def points(self) -> Path:
        """Folder of the points."""
        return self.root / "points"

    @property
    def failed(self) -> Path:
        """Folder of the failures."""
        return self.root / "failures"

    @property
    def unfinished(self) -> Path:
        """Folder of the points that are being computed."""
        return self.root / "unfinished"

    def has(self, address: str) -> bool:
        """Return whether a point is there; another folder of its name is none."""
        return is_file(self.points / address / POINT)

    def figures(self, address: str) -> dict[str, Any]:
        """Return the figures of a point that is there."""
        path = self.points / address / POINT
        with located(path):
            return field_of(_read(path), "figures", dict)

    def failure(self, address: str) -> str | None:
        """Return the error of a point that failed, or None."""
        path = self.failed / f"{address}.json"
        return str(_read(path).get("error")) if is_file(path) else None

    def begin(self) -> Path:
        """Make a folder for a point that is being computed."""
        name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(8)}"
        return make_folder(self.unfinished / name)

    def finish(
        self, folder: Path, point: Point, figures: Mapping[str, Any], result: Mapping[str, Any]
    ) -> None:
        """Write the files of a point into its folder and rename the folder into place.

        Raises
        ------
        SqhwError
            If something cannot be written; nothing is left behind.
        """
        record = point.to_dict() | {"command": point.command, "figures": dict(figures)}
        atomic_write_text(folder / RESULT, json.dumps(result))
        atomic_write_text(folder / POINT, json.dumps(record, indent=1) + "\n")
        target = self.points / point.address
        try:
            folder.rename(target)
        except OSError as error:
            # Another worker may have been faster with the same point.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not self.has(point.address):
                raise SqhwError(f"{target} has files, but no {POINT}; remove that folder") from None
        self.forgive(point.address)

    def fail(self, point: Point, error: str, trace: str) -> None:
        """Write the error of a point."""
        record = point.to_dict() | {"command": point.command, "error": error, "trace": trace}
        path = self.failed / f"{point.address}.json"
        atomic_write_text(path, json.dumps(record, indent=1) + "\n")

    def forgive(self, address: str) -> None:
        """Remove the error of a point, if there is one."""
        (self.failed / f"{address}.json").unlink(missing_ok=True)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the points that are there, in the order of their addresses, with their address.

        Raises
        ------
        SqhwError
            If a file is damaged; the message names it.
        """
        yield from self._records(self.points, f"/{POINT}")

    def failures(self) -> Iterator[dict[str, Any]]:
        """Yield the points that failed, with their address and error."""
        yield from self._records(self.failed, ".json")

    def _records(self, folder: Path, end: str) -> Iterator[dict[str, Any]]:
        names = sorted(path.name for path in folder.iterdir()) if is_folder(folder) else []
        for name in names:
            address = name.removesuffix(".json")
            if not name.startswith("."):  # of a file that is being written
                yield _read(Path(f"{folder}/{address}{end}")) | {"address": address}

    def _sweep_up(self) -> None:
        """Remove what processes that have died left half-written."""
        for folder in self.unfinished.iterdir():
            host, _, rest = folder.name.rpartition(".")[0].rpartition(".")
            if host == socket.gethostname() and rest.isdigit():
                dead = not _is_alive(int(rest))
            else:
                try:
                    dead = folder.stat().st_mtime < time.time() - STALE_SECONDS
                except OSError:
                    continue
            if dead:
                shutil.rmtree(folder, ignore_errors=True)


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return is_file(folder / MARK)


def _is_alive(process: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not.

    In a container whose first process waits for no other, such ones stay for ever.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # a system without /proc
        return True
    return state not in ("Z", "X")


def _read(path: Path) -> dict[str, Any]:
    with located(path):
        value = parse_json(read_text(path, MAX_JSON_BYTES))
        if not isinstance(value, dict):
            raise SqhwError("must be an object of JSON")
        return value
