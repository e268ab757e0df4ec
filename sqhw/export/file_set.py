"""Files that belong together in a folder: written before their manifest, which has their digests.

Each file is replaced whole, but many files are not replaced at once. A manifest that is written
after all others tells the old set from the new one, and a mixture of both from either. Every reader
of the set refuses a file of another digest.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqhw.atomic import (
    NAME_BYTES,
    atomic_write_bytes,
    check_replaceable,
    is_file,
    is_folder,
    make_folder,
)
from sqhw.errors import SqhwError
from sqhw.export.manifest import COMMANDS, FILES, check_manifest, read_manifest, write_manifest
from sqhw.files.digest import sha256_of
from sqhw.files.input_limits import MAX_HEX_BYTES
from sqhw.machine.config import EngineConfig

#: Field of the manifest with the SHA-256, in hex digits, by file name.
DIGESTS = "files"
#: Suffixes of the files of all sets and of their manifests.
SUFFIXES = (".hex", ".json", ".v")


def write_set(
    folder: Path,
    kind: str,
    engine: EngineConfig,
    contents: Mapping[str, bytes],
    facts: Mapping[str, Any],
    own: Callable[[str], object],
    kept: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write files, remove those of the earlier set, then write the manifest; return the paths.

    All files are read back at the end. If two processes write to one folder at a time, at least one
    of them fails where their files are mixed.

    Parameters
    ----------
    folder : path
        Made if missing.
    kind : str
        Kind of the set, see `sqhw.export.manifest.FILES`.
    engine : EngineConfig
        Engine that the files are for.
    contents : mapping of str to bytes
        Content by file name.
    facts : mapping
        Other content of the manifest; must be plain data.
    own : callable
        Function that tells whether a file of a name could be of such a set. Such files of the
        earlier set that are not of this one are removed.
    kept : mapping of str to str, optional
        Digests of files of the earlier set that stay in this one, by file name.

    Raises
    ------
    SqhwError
        If the folder cannot be written to, or something other than a regular file has one of the
        names, or another file that no manifest in the folder lists; nothing is then changed. Also
        if another process wrote to the folder meanwhile.
    """
    make_folder(folder)
    earlier = _earlier(folder, kind)
    old = [
        path
        for path in _entries(folder)
        if path.name in earlier and own(path.name) and path.name not in contents
    ]
    if earlier or not is_file(folder / FILES[kind]):  # a damaged manifest is that of files of ours
        _check_known(folder, contents)
    for path in [*(folder / name for name in contents), *old, folder / FILES[kind]]:
        check_replaceable(path)
    for name, data in contents.items():
        atomic_write_bytes(folder / name, data)
    for path in old:
        _remove(path)
    digests = {**(kept or {}), **digests_of(contents)}
    manifest = write_manifest(folder, kind, engine, {**facts, DIGESTS: digests})
    _check_written(folder, kind, engine, digests)
    return [*(folder / name for name in contents), manifest]


def digests_of(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of contents, in hex digits, by file name."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def check_set(folder: Path, kind: str, manifest: Mapping[str, Any]) -> None:
    """Check that the files in a folder are those that its manifest was written for.

    Parameters
    ----------
    folder : path
    kind : str
        Kind of the set, see `sqhw.export.manifest.FILES`.
    manifest : mapping
        Manifest, as `sqhw.export.manifest.check_manifest` returns it.

    Raises
    ------
    SqhwError
        If a file is missing or has another digest, or the manifest has none; the message names
        the first such file, or the manifest.
    """
    source, again = folder / FILES[kind], f"write them anew with `{COMMANDS[kind]}`"
    digests = manifest.get(DIGESTS)
    if not isinstance(digests, dict) or not digests:
        raise SqhwError(f"{source} has no digests of the files it is for; {again}")
    for name, digest in digests.items():
        path = folder / name
        if path.parent != folder or not is_file(path):
            named = folder / name[:NAME_BYTES]
            raise SqhwError(f"{named} is missing, which {source} was written for; {again}")
        if file_digest(path) != digest:
            raise SqhwError(
                f"{path} is not the file that {source} was written for: writing was interrupted, "
                f"or the file was changed or copied here; {again}"
            )


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Check that no file of a set is changed or replaced while the context lasts.

    Parameters
    ----------
    folder : path

    Raises
    ------
    SqhwError
        If a file is; the message names the first one. It replaces any other error, because the
        changed file may be its reason.
    """
    before = _states(folder)
    try:
        yield
    except SqhwError:
        _check_states(folder, before)
        raise
    _check_states(folder, before)


def _check_states(folder: Path, before: Mapping[str, tuple[int, ...]]) -> None:
    after = _states(folder)
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            raise SqhwError(
                f"{folder / name} was changed, by another process, while the files in {folder} "
                "were in use; run this command again when that one has ended"
            )


def _states(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return a value that changes with each file of a set, by name; none for a missing folder."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.iterdir()) if is_folder(folder) else []:
        if path.suffix in SUFFIXES:
            with suppress(FileNotFoundError):
                state = path.lstat()
                found[path.name] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return found


def _earlier(folder: Path, kind: str) -> frozenset[str]:
    """Return the names of the files of the present set: none if its manifest is damaged."""
    try:
        digests = read_manifest(folder, kind).get(DIGESTS)
    except SqhwError:
        return frozenset()
    return frozenset(digests) if isinstance(digests, dict) else frozenset()


def _check_known(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Check that no file would be replaced that no manifest lists; one of the same content may."""
    known = frozenset[str]().union(*(_earlier(folder, kind) for kind in FILES))
    for name, data in contents.items():
        path = folder / name
        if name in known or not is_file(path):
            continue
        if (
            path.stat().st_size != len(data)
            or file_digest(path) != hashlib.sha256(data).hexdigest()
        ):
            raise SqhwError(
                f"{path} would be replaced, and no manifest of sqhw in {folder} lists it; move it, "
                "or name another folder"
            )


def _check_written(
    folder: Path, kind: str, engine: EngineConfig, digests: Mapping[str, str]
) -> None:
    """Check that a set is in the folder after it was written."""
    try:
        manifest = check_manifest(folder, kind, engine)
        check_set(folder, kind, manifest)
    except SqhwError as error:
        raise SqhwError(f"another process wrote to {folder} meanwhile: {error}") from None
    if manifest[DIGESTS] != digests:
        raise SqhwError(
            f"another process wrote other files to {folder} meanwhile; write them anew with "
            f"`{COMMANDS[kind]}`, or name another folder with --out"
        )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file of a set, in hex digits; see `sqhw.files.digest.sha256_of`."""
    return sha256_of(path, MAX_HEX_BYTES)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SqhwError(f"cannot read folder {folder}: {error.strerror or error}") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SqhwError(f"cannot remove {path}: {error.strerror or error}") from None
