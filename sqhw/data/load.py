"""How a data set is named, and the reader of each name."""

from pathlib import Path

from sqhw.data.dataset import Dataset
from sqhw.errors import SqhwError, unknown_name

SPECS = ("digits", "mnist:DIR", "cifar10:DIR")


def load_dataset(spec: str) -> Dataset:
    """Load a data set by its name.

    Parameters
    ----------
    spec : str
        ``digits`` (8x8 handwritten digits that come with scikit-learn), ``mnist:DIR`` (the four
        MNIST files in directory DIR, compressed or not) or ``cifar10:DIR`` (the six binary files
        of CIFAR-10 in directory DIR).

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
    kind, directory = _parts(spec)
    if kind == "digits":
        from sqhw.data.digits import load_digits

        return load_digits()
    if kind == "mnist":
        from sqhw.data.idx import load_mnist

        return load_mnist(directory)
    from sqhw.data.cifar import load_cifar10

    return load_cifar10(directory)


def dataset_files(spec: str) -> list[Path]:
    """Return the files that `load_dataset` reads, without a look at what is in them.

    Raises
    ------
    SqhwError
        If the name is unknown, or a file is missing; the message names the file.
    """
    kind, directory = _parts(spec)
    if kind == "digits":
        return []
    if kind == "mnist":
        from sqhw.data.idx import mnist_files

        return mnist_files(directory)
    from sqhw.data.cifar import cifar10_files

    return cifar10_files(directory)


def _parts(spec: str) -> tuple[str, str]:
    """Return the kind of a data set and its directory, empty of ``digits``."""
    kind, colon, directory = spec.partition(":")
    if spec == "digits":
        return kind, ""
    if not colon or kind not in ("mnist", "cifar10"):
        raise unknown_name("data set", spec, SPECS)
    if not directory:
        raise SqhwError(
            f"data set '{kind}:' lacks the directory of its files; "
            f"write for example {kind}:/data/{kind}"
        )
    return kind, directory
