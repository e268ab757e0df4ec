"""One picture from an untrusted file, as grey or RGB pixels of 8 bits."""

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from sqhw.data.form import Size
from sqhw.data.netpbm import check_netpbm
from sqhw.errors import LONGEST, SqhwError
from sqhw.files.input_file import read_bytes
from sqhw.files.input_limits import MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS

#: Formats that are read, whatever the suffix of the file: no others of Pillow's are tried.
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP")
#: Modes of Pillow that have one value a pixel, or three, or more with an alpha channel.
GREY_MODES = ("1", "L", "LA")
MODES = (*GREY_MODES, "P", "PA", "RGB", "RGBA")
#: Modes of Pillow by the channels of a network.
MODE_OF = {1: "L", 3: "RGB"}
#: Filter of resizing: the mean under a triangle, as wide as a new pixel where a picture shrinks.
FILTER = Image.Resampling.BILINEAR


def read_picture(path: Path) -> bytes:
    """Return the bytes of a picture's file.

    Raises
    ------
    SqhwError
        If it cannot be read or is too large. The message does not name the file.
    """
    return read_bytes(path, MAX_PICTURE_BYTES)


def decoded(data: bytes) -> Image.Image:
    """Return a picture of mode ``L`` or ``RGB``, upright by its EXIF orientation.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    SqhwError
        If it is of no format of `FORMATS`, damaged, too large, animated, has transparent pixels, or
        more than 8 bits a value. The message does not name the file.
    """
    check_netpbm(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about oddities of files; bombs are refused here
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_header(picture)
                picture.verify()  # the checksums; the picture cannot be used any more
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                return _plain(upright)
        except SqhwError:
            raise
        except Image.DecompressionBombError:
            raise SqhwError(f"has more than {MAX_PICTURE_PIXELS:,} pixels") from None
        except UnidentifiedImageError:
            raise SqhwError(
                f"is damaged, or no picture; formats are {', '.join(FORMATS)}"
            ) from None
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder meets in a damaged file
            reason = str(error).splitlines()[0][:LONGEST] if str(error) else type(error).__name__
            raise SqhwError(f"is a damaged picture ({reason})") from None


def is_grey(data: bytes) -> bool:
    """Return whether a picture, which `decoded` takes, has one value a pixel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return picture.mode in GREY_MODES


def pixels_of(picture: Image.Image, channels: int, size: Size) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture in a number of channels, resized if its size is another.

    Grey is ITU-R BT.601's luma, ``0.299 R + 0.587 G + 0.114 B``.

    Parameters
    ----------
    picture : Image
        From `decoded`.
    channels : {1, 3}
    size : tuple of int (height, width)

    Returns
    -------
    ndarray of uint8, shape (channels, height, width)
    """
    height, width = size
    picture = picture.convert(MODE_OF[channels])
    if picture.size != (width, height):
        picture = picture.resize((width, height), FILTER)
    pixels = np.asarray(picture, np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check_header(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:
        raise SqhwError(
            f"has {height} x {width} pixels, at most {MAX_PICTURE_PIXELS:,} are decoded"
        )
    if width * height == 0:
        raise SqhwError("has no pixels")
    if picture.mode not in MODES:
        raise SqhwError(
            f"has pixels of kind {picture.mode!r}; write it with 8 bits a value, as grey or RGB"
        )
    # A JPEG file may have previews as further frames: the first is the picture.
    if picture.format in ("PNG", "WEBP") and getattr(picture, "n_frames", 1) > 1:
        raise SqhwError("is animated; write one of its pictures")


def _plain(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        if picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            raise SqhwError(
                "has transparent pixels, whose colour is open; write it without transparency"
            )
    return picture.convert("L" if picture.mode in GREY_MODES else "RGB")
