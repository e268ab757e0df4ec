"""A user's own pictures in class folders."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import __version__ as pillow

from sqhw.data.class_folders import ClassFolders, Picture, class_folders
from sqhw.data.dataset import Dataset, Split
from sqhw.data.form import LARGEST_BYTE, ImageForm, Size
from sqhw.data.parts import divided
from sqhw.data.picture import MODE_OF, decoded, is_grey, pixels_of, read_picture
from sqhw.data.picture_cache import cache_file, load_cached, save_cached
from sqhw.errors import SqhwError, printable
from sqhw.files.input_limits import MAX_DATA_BYTES
from sqhw.files.plain import located

#: Version of the way from a file to pixels, a part of the digest of cached images.
VERSION = 1

#: Called with the pictures that are read, and the number of all.
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def load_image_folder(
    directory: str | os.PathLike[str], form: ImageForm, progress: Progress = silent
) -> Dataset:
    """Load pictures from class folders, in the channels and the size that are wanted.

    Parameters
    ----------
    directory : path
        A folder of class folders, or of the folders ``train``, ``val`` (or ``valid`` or
        ``validation``) and ``test`` that hold them; see `divided` for those that are missing.
    form : ImageForm
    progress : callable

    Returns
    -------
    Dataset
        Pixels are 0 to 255.

    Raises
    ------
    SqhwError
        If a folder or picture is not as it must be, which is named, or `form` cannot be had.
    """
    listing = class_folders(directory)
    name = listing.folder.resolve().name or str(listing.folder.resolve())
    _check_form(listing.folder, form)
    images = _images(listing, form, progress)
    parts, start = {}, 0
    for part, pictures in listing.parts.items():
        labels = np.array([picture.label for picture in pictures], np.int64)
        parts[part] = Split(images[start : start + len(labels)], labels)
        start += len(labels)
    return divided(
        str(listing.folder),
        parts,
        name=printable(f"folder {name}"),
        input_max=LARGEST_BYTE,
        class_names=tuple(map(printable, listing.classes)),
    )


def _check_form(folder: Path, form: ImageForm) -> None:
    if form.largest != LARGEST_BYTE:
        raise SqhwError(
            f"pictures in {folder} have pixels of 0 to {LARGEST_BYTE}, and 0 to {form.largest} are "
            "wanted; take a network that was trained on pictures, or write such numbers as npz:FILE"
        )
    if form.shape and form.shape[0] not in MODE_OF:
        raise SqhwError(
            f"pictures in {folder} give 1 channel or 3, and images of shape {form.shape} are "
            "wanted; write such images as npz:FILE"
        )
    if form.shape and form.size and form.shape[1:] != form.size:
        raise SqhwError(
            f"the image size {_by(form.size)} is not that of the network, which takes "
            f"{_by(form.shape[1:])}"
        )


def _images(listing: ClassFolders, form: ImageForm, progress: Progress) -> npt.NDArray[np.uint8]:
    """Return all pictures in order, from the cache if none of them has changed."""
    pictures = listing.pictures
    cached = cache_file(listing.folder, repr((form.shape, form.size)))
    sources = _Sources(listing.folder, form)
    if cached is not None and cached.exists():
        for picture in pictures:
            sources.add(picture, _read(picture))
        images = load_cached(cached, sources.digest())
        if images is not None and len(images) == len(pictures):
            return images
        sources = _Sources(listing.folder, form)
    decoder = _Decoder(len(pictures), form)
    for done, picture in enumerate(pictures):
        progress(done, len(pictures))
        data = _read(picture)
        sources.add(picture, data)
        decoder.add(picture, data)
    progress(len(pictures), len(pictures))
    images = decoder.images()
    if cached is not None:
        save_cached(cached, sources.digest(), images)
    return images


class _Sources:
    """Digest of the files that images are made from, and of how they are made."""

    def __init__(self, folder: Path, form: ImageForm) -> None:
        self._folder = folder
        self._sha = hashlib.sha256(repr((VERSION, pillow, form.shape, form.size)).encode())

    def add(self, picture: Picture, data: bytes) -> None:
        """Take in the next file."""
        name = hashlib.sha256(os.fsencode(picture.path.relative_to(self._folder))).digest()
        self._sha.update(name + hashlib.sha256(data).digest())

    def digest(self) -> str:
        """Return the digest in hex digits."""
        return self._sha.hexdigest()


class _Decoder:
    """Pictures decoded one after the other into one array."""

    def __init__(self, count: int, form: ImageForm) -> None:
        self._count, self._form = count, form
        self._array: npt.NDArray[np.uint8] | None = None
        self._first: tuple[Path, Size] | None = None
        self._done, self._grey = 0, True

    def add(self, picture: Picture, data: bytes) -> None:
        """Decode the next picture."""
        with located(picture.path, " "):
            image = decoded(data)
        self._grey = self._grey and is_grey(data)
        size = (image.height, image.width)
        self._check_size(picture.path, size)
        channels = self._form.shape[0] if self._form.shape else max(MODE_OF)
        if self._array is None:
            wanted = self._form.shape[1:] if self._form.shape else self._form.size or size
            shape = (self._count, channels, *wanted)
            if (needed := int(np.prod(shape, dtype=object))) > MAX_DATA_BYTES:
                raise SqhwError(
                    f"{self._count:,} pictures of shape {shape[1:]} are {needed:,} bytes, at most "
                    f"{MAX_DATA_BYTES:,} are read; take fewer pictures or a smaller size"
                )
            self._array = np.empty(shape, np.uint8)
        self._array[self._done] = pixels_of(image, channels, self._array.shape[2:])
        self._done += 1

    def images(self) -> npt.NDArray[np.uint8]:
        """Return all images; of one channel if that is open and all pictures are grey."""
        assert self._array is not None
        if self._form.shape is None and self._grey:
            return np.ascontiguousarray(self._array[:, :1])
        return self._array

    def _check_size(self, path: Path, size: Size) -> None:
        if self._first is None:
            self._first = (path, size)
        first, usual = self._first
        if size != usual and self._form.size is None:
            option = f"--image-size {_by(self._form.shape[1:])}" if self._form.shape else "size"
            raise SqhwError(
                f"{path} has {_by(size)} pixels and {first} has {_by(usual)}; resize them all with "
                f"{option}, which keeps no aspect ratio, or cut them to one size"
            )


def _read(picture: Picture) -> bytes:
    with located(picture.path):
        return read_picture(picture.path)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
