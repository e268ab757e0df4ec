"""The form into which the images of a user's own data are brought."""

import re
from dataclasses import dataclass

from sqhw.errors import SqhwError, shown

#: Largest height and width that images are resized to (unit: pixel).
MAX_SIDE = 4096
#: Largest value of a pixel of 8 bits.
LARGEST_BYTE = 255
#: Longest text of one number a channel.
MAX_VALUES_CHARS = 1000
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?(e-?[0-9]{1,2})?")

Shape = tuple[int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """Shape and range of images as a network takes them.

    Parameters
    ----------
    shape : tuple of int (channels, height, width), optional
        Shape of an image; by default that of the data.
    size : tuple of int (height, width), optional
        Size that images of different sizes are resized to; without it they must be of one size.
    input_max : int, 1 to 255, optional
        Largest pixel value; by default 255.
    """

    shape: Shape | None = None
    size: Size | None = None
    input_max: int | None = None

    @property
    def largest(self) -> int:
        """Largest pixel value."""
        return LARGEST_BYTE if self.input_max is None else self.input_max


def parse_size(text: str) -> Size:
    """Return the height and width of a text such as ``32x48``.

    Raises
    ------
    SqhwError
        If it does not read so, or a side is not 1 to `MAX_SIDE`.
    """
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise SqhwError(
            f"image size {shown(text)} must read HxW, height and width of 1 to {MAX_SIDE} pixels, "
            "for example 32x32"
        )
    return size


def parse_values(text: str) -> tuple[float, ...]:
    """Return the numbers of a text such as ``0.485,0.456,0.406``: one, or one a channel.

    Raises
    ------
    SqhwError
        If it does not read so, or a number is not finite.
    """
    parts = text.split(",") if len(text) <= MAX_VALUES_CHARS else []
    if not parts or not all(_NUMBER.fullmatch(part) for part in parts):
        raise SqhwError(
            f"{shown(text)} must be a number, or one for each channel with commas, for example "
            "0.485,0.456,0.406"
        )
    return tuple(float(part) for part in parts)
