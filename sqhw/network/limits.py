"""Limits on the size of a network, far above the largest that an engine can run.

An engine has at most 2**23 activations and maps of 1,023x1,023. Without these limits a few bytes of
a file, such as a padding of 20,000, would make the simulator allocate terabytes.
"""

from collections.abc import Mapping
from math import prod

from sqhw.errors import SqhwError
from sqhw.files.input_limits import MAX_NAME_CHARS

MAX_LAYERS = 4096
MAX_CHANNELS = 1 << 16
#: Largest height and width of a map.
MAX_SIDE = (1 << 16) - 1
#: Largest padding on one side.
MAX_PADDING = 1023
#: Largest number of values of a map with its padding, of values of all maps, and of products
#: of an image.
MAX_MAP = 1 << 24
MAX_MAPS = 1 << 27
MAX_PRODUCTS = 1 << 40
#: Largest number of values of all maps of the images that are computed together, 32 bits each.
WORKING_VALUES = 1 << 30

Shape = tuple[int, int, int]


class Extent:
    """Sums of the maps and products of a network, while its layers are checked one by one.

    Parameters
    ----------
    name : str
        Name of the network.
    layers : int
        Number of its layers.

    Raises
    ------
    SqhwError
        If it has too many layers.
    """

    def __init__(self, name: str, layers: int) -> None:
        self.values = self.products = 0
        if layers > MAX_LAYERS:
            raise SqhwError(f"network {name!r} has {layers:,} layers, at most {MAX_LAYERS:,}")

    def add_map(
        self, where: str, shape: Shape, padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    ) -> None:
        """Add a map.

        Parameters
        ----------
        where : str
            Name of the layer, for errors.
        shape : tuple of int (channels, height, width)
            Numbers of any size.
        padding : tuple of int (top, bottom, left, right)
            Zeros on each side, 0 or more.

        Raises
        ------
        SqhwError
            If it exceeds a limit; the message names the layer, the number and the limit.
        """
        if max(padding) > MAX_PADDING:
            raise SqhwError(f"{where}: padding must be 0 to {MAX_PADDING}, not {padding}")
        channels, height, width = shape
        if channels > MAX_CHANNELS:
            raise SqhwError(f"{where}: {channels:,} channels, at most {MAX_CHANNELS:,}")
        top, bottom, left, right = padding
        padded = channels, height + top + bottom, width + left + right
        if max(padded[1:]) > MAX_SIDE:
            raise SqhwError(f"{where}: a map of {padded[1]}x{padded[2]}, at most {MAX_SIDE:,} each")
        if prod(padded) > MAX_MAP:
            raise SqhwError(
                f"{where}: a map of {channels}x{padded[1]}x{padded[2]} has {prod(padded):,} values "
                f"with its padding, at most {MAX_MAP:,}"
            )
        self.values += prod(padded)
        if self.values > MAX_MAPS:
            raise SqhwError(f"{where}: the maps up to here have more than {MAX_MAPS:,} values")

    def add_products(self, where: str, products: int) -> None:
        """Add the products, or comparisons, of a layer.

        Raises
        ------
        SqhwError
            If they become too many.
        """
        self.products += products
        if self.products > MAX_PRODUCTS:
            raise SqhwError(f"{where}: more than {MAX_PRODUCTS:,} products an image up to here")


def check_name(what: str, name: str) -> None:
    """Refuse a name that is too long to be one.

    Raises
    ------
    SqhwError
    """
    if len(name) > MAX_NAME_CHARS:
        raise SqhwError(f"{what} {name[:40]!r}...: a name of {len(name):,} characters")


def images_at_once(shapes: Mapping[str, Shape], most: int) -> int:
    """Return how many images to compute together, 1 to `most`, so that memory stays bounded.

    Parameters
    ----------
    shapes : mapping of str to (channels, height, width)
        Shapes of every tensor of a network.
    most : int
    """
    return max(1, min(most, WORKING_VALUES // max(1, sum(map(prod, shapes.values())))))
