"""How a data set is named, and the reader of each name."""

from collections.abc import Callable
from pathlib import Path

from sqhw.data.dataset import Dataset
from sqhw.data.form import ImageForm
from sqhw.errors import SqhwError, unknown_name

SPECS = ("digits", "mnist:DIR", "cifar10:DIR", "folder:DIR", "npz:FILE")
#: Meaning of the name after a kind of data, and an example.
PLACES = {
    "mnist": ("directory of its files", "mnist:/data/mnist"),
    "cifar10": ("directory of its files", "cifar10:/data/cifar10"),
    "folder": ("directory of its pictures", "folder:/data/pictures"),
    "npz": ("file of its arrays", "npz:/data/arrays.npz"),
}
#: Kinds of a user's own data, which are brought into the form that a network takes.
OWN = ("folder", "npz")


def load_dataset(
    spec: str, form: ImageForm | None = None, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Load a data set by its name.

    Parameters
    ----------
    spec : str
        ``digits`` (8x8 handwritten digits that come with scikit-learn), ``mnist:DIR`` (the four
        MNIST files in directory DIR, compressed or not), ``cifar10:DIR`` (the six binary files of
        CIFAR-10 in directory DIR), ``folder:DIR`` (pictures in class folders) or ``npz:FILE``
        (arrays of images and labels).
    form : ImageForm, optional
        The form of images of ``folder`` and ``npz``; the others have one of their own.
    progress : callable, optional
        Called with the pictures of ``folder`` that are read and their number.

    Returns
    -------
    Dataset
        Always the same split for the same data.

    Raises
    ------
    SqhwError
        If the name is unknown, or a file is missing or broken; the message names the file.
    """
    # A data set is imported when it is asked for: scikit-learn takes a second.
    kind, place = _parts(spec)
    form = form or ImageForm()
    if kind == "folder":
        from sqhw.data.image_folder import load_image_folder, silent

        return load_image_folder(place, form, progress or silent)
    if kind == "npz":
        from sqhw.data.arrays import load_arrays

        return load_arrays(place, form)
    if form.size is not None:
        raise SqhwError(
            f"--image-size is for the pictures of folder:DIR; images of {kind} have a size of "
            "their own"
        )
    if kind == "digits":
        from sqhw.data.digits import load_digits

        return load_digits()
    if kind == "mnist":
        from sqhw.data.idx import load_mnist

        return load_mnist(place)
    from sqhw.data.cifar import load_cifar10

    return load_cifar10(place)


def dataset_files(spec: str) -> list[Path]:
    """Return the files that `load_dataset` reads, without a look at what is in them.

    Raises
    ------
    SqhwError
        If the name is unknown, or a file is missing; the message names the file.
    """
    kind, place = _parts(spec)
    if kind == "digits":
        return []
    if kind == "mnist":
        from sqhw.data.idx import mnist_files

        return mnist_files(place)
    if kind == "folder":
        from sqhw.data.class_folders import class_folders

        return [picture.path for picture in class_folders(place).pictures]
    if kind == "npz":
        from sqhw.data.folder import data_file

        return [data_file(place)]
    from sqhw.data.cifar import cifar10_files

    return cifar10_files(place)


def kind_of(spec: str) -> str:
    """Return the kind of a data set, for example ``mnist`` of ``mnist:DIR``.

    Raises
    ------
    SqhwError
        If the name is unknown, or lacks what it must name.
    """
    return _parts(spec)[0]


def _parts(spec: str) -> tuple[str, str]:
    """Return the kind of a data set and its directory or file, empty of ``digits``."""
    kind, colon, place = spec.partition(":")
    if spec == "digits":
        return kind, ""
    if not colon or kind not in PLACES:
        raise unknown_name("data set", spec, SPECS)
    if not place:
        what, example = PLACES[kind]
        raise SqhwError(f"data set '{kind}:' lacks the {what}; write for example {example}")
    return kind, place
