"""Checks that a data set suits a network, in one wording for all steps and trainings."""

from sqhw.data.dataset import Dataset
from sqhw.errors import SqhwError


def check_shape(network: str, expected: tuple[int, int, int], data: Dataset) -> None:
    """Check that a data set's images have the shape that a network takes.

    Parameters
    ----------
    network : str
        Name of the network.
    expected : tuple of int (channels, height, width)
    data : Dataset

    Raises
    ------
    SqhwError
        If they do not; the message has both shapes.
    """
    shape = data.image_shape
    if shape != tuple(expected):
        raise SqhwError(
            f"network {network!r} takes images of shape {tuple(expected)}, data set "
            f"{data.name!r} has {shape}"
        )


def check_classes(network: str, outputs: int, data: Dataset) -> None:
    """Check that a network has an output for each class of a data set, and no others.

    Parameters
    ----------
    network : str
        Name of the network.
    outputs : int
        Number of its outputs.
    data : Dataset

    Raises
    ------
    SqhwError
        If it does not; the message has both numbers.
    """
    if outputs != data.classes:
        raise SqhwError(
            f"network {network!r} has {outputs} outputs, data set {data.name!r} has "
            f"{data.classes} classes; take the data that the network was trained on"
        )
