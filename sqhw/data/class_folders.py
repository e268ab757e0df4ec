"""The pictures in a user's folder, by part and class; no file is opened here."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqhw.data.folder import data_folder
from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_PICTURES

TRAIN, VALIDATION, TEST = "train", "validation", "test"
#: Names of a folder of class folders, and the part that it is.
PARTS = {TRAIN: TRAIN, "val": VALIDATION, "valid": VALIDATION, VALIDATION: VALIDATION, TEST: TEST}
#: Suffixes of files that are pictures.
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".webp")
#: Files that operating systems leave in folders.
SYSTEM_FILES = ("Thumbs.db", "desktop.ini")
LAYOUTS = "CLASS/*.png, or train/CLASS/*.png and the same in val and test"


@dataclass(frozen=True)
class Picture:
    """One picture's file, and the number of its class."""

    path: Path
    label: int


@dataclass(frozen=True)
class ClassFolders:
    """Pictures in class folders.

    Parameters
    ----------
    folder : Path
    classes : tuple of str
        Names of the class folders, sorted.
    parts : dict of str to tuple of Picture
        Pictures of each part that the folder has, ``train`` first, sorted by class and file name.
    """

    folder: Path
    classes: tuple[str, ...]
    parts: Mapping[str, tuple[Picture, ...]]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures of all parts."""
        return tuple(picture for part in self.parts.values() for picture in part)


def class_folders(directory: str | os.PathLike[str]) -> ClassFolders:
    """Return the pictures in a folder of class folders, or in its folders train, val and test.

    Names that begin with a point are left out.

    Raises
    ------
    SqhwError
        If there is no such folder or fewer than two classes, a class has no pictures, a file is
        none, parts have different classes, or there are more than `MAX_PICTURES`.
    """
    folder = data_folder(directory, LAYOUTS)
    folders = _part_folders(folder)
    found = {part: _classes(place) for part, place in folders.items()}
    names = tuple(found[TRAIN])
    if len(names) < 2:
        only = f"one class, {shown(names[0])}" if names else "no class folders"
        raise SqhwError(
            f"data set directory {folders[TRAIN]} has {only}; it must hold two classes or more as "
            f"{LAYOUTS}"
        )
    for part, classes in found.items():
        _check_same(names, classes, folders[TRAIN], folders[part])
    parts = {
        part: tuple(
            Picture(path, label)
            for label, place in enumerate(classes.values())
            for path in _pictures(place, folder)
        )
        for part, classes in found.items()
    }
    listing = ClassFolders(folder, names, parts)
    if (count := len(listing.pictures)) > MAX_PICTURES:
        raise SqhwError(f"{folder} holds {count:,} pictures, at most {MAX_PICTURES:,} are read")
    return listing


def _part_folders(folder: Path) -> dict[str, Path]:
    """Return the folder of each part; the folder itself if it is not divided."""
    folders = [entry.name for entry in _entries(folder) if _is_folder(entry)]
    if TRAIN not in folders or not set(folders) <= set(PARTS):
        return {TRAIN: folder}
    found: dict[str, Path] = {}
    for name, part in PARTS.items():
        if name in folders:
            if part in found:
                raise SqhwError(
                    f"{folder} has {found[part].name} and {name}, which are two names of one part; "
                    "keep one of the folders"
                )
            found[part] = folder / name
    return found


def _classes(folder: Path) -> dict[str, Path]:
    """Return the class folders in a folder by name, in order."""
    classes = {}
    for entry in _entries(folder):
        if _is_folder(entry):
            classes[entry.name] = Path(entry.path)
        elif _suffix(entry.name) in SUFFIXES:
            raise SqhwError(
                f"{entry.path} lies in no class folder; {folder} must hold its pictures as "
                f"{LAYOUTS}"
            )
    return classes


def _pictures(folder: Path, top: Path) -> list[Path]:
    """Return the pictures of a class in order of their names."""
    found = []
    for entry in _entries(folder):
        if _is_folder(entry):
            raise SqhwError(
                f"class folder {folder} has a folder {shown(entry.name)}; {top} must hold its "
                f"pictures as {LAYOUTS}"
            )
        if entry.name in SYSTEM_FILES:
            continue
        if _suffix(entry.name) not in SUFFIXES:
            raise SqhwError(
                f"{entry.path} is no picture by its name, which must end in one of "
                f"{', '.join(SUFFIXES)}; convert or remove it"
            )
        found.append(Path(entry.path))
    if not found:
        raise SqhwError(f"class folder {folder} has no pictures; add some or remove the folder")
    return found


def _check_same(names: Iterable[str], classes: Iterable[str], train: Path, other: Path) -> None:
    lacking, unknown = sorted(set(names) - set(classes)), sorted(set(classes) - set(names))
    if lacking:
        raise SqhwError(
            f"{other} lacks class {shown(lacking[0])} of {train}; both must have the same classes"
        )
    if unknown:
        raise SqhwError(
            f"{other} has class {shown(unknown[0])}, which {train} lacks; both must have the same "
            "classes"
        )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder in order of the names, without hidden names."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise SqhwError(f"{folder}: cannot be read ({error.strerror or error})") from None
    return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # such as a link to itself
        raise SqhwError(f"{entry.path}: cannot be read ({error.strerror or error})") from None


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()
