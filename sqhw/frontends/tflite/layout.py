"""From channels last, as files have them, to (channels, height, width)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Quantization, Refused
from sqhw.frontends.tflite.model import FileTensor

Shape = tuple[int, int, int]
Padding = tuple[int, int, int, int]
#: Integers of activations, by the name of the type: width and sign.
INTEGERS = {"INT8": (8, True), "UINT8": (8, False)}


def image_shape(tensor: FileTensor) -> Shape:
    """Return (channels, height, width) of a tensor of one image.

    (1, height, width, channels) is a map, (1, length, channels) one of height 1, (1, n) a vector.

    Raises
    ------
    Refused
        If it has another number of dimensions, more than one image, or a size that is left open.
    """
    if tensor.open_axes:
        axis = tensor.open_axes[0]
        raise Refused(
            f"has a size that the file leaves open (axis {axis} of {tensor.shape})",
            "convert the model with a fixed input shape",
        )
    if len(tensor.shape) not in (2, 3, 4) or min(tensor.shape) < 1:
        raise Refused(f"has a tensor of shape {tensor.shape}; maps and vectors of images are read")
    if tensor.shape[0] != 1:
        raise Refused(
            f"has a tensor of {tensor.shape[0]} images", "convert the model for a batch of 1"
        )
    channels = tensor.shape[-1]
    size = (1, *tensor.shape[1:-1])[-2:] if len(tensor.shape) > 2 else (1, 1)
    return channels, size[0], size[1]


def activation_grid(tensor: FileTensor) -> Quantization | None:
    """Return the quantization of an activation, or nothing of real numbers.

    Raises
    ------
    Refused
        If it is of another type, or quantized in another way.
    """
    if tensor.flaw:
        raise Refused(f"has a tensor that is not read: {tensor.flaw}")
    if tensor.type == "FLOAT32":
        return None
    if tensor.type not in INTEGERS:
        raise Refused(
            f"has activations of type {tensor.type}",
            "convert the model to float32, or to int8 (full integer quantization)",
        )
    if len(tensor.scale) != 1:
        raise Refused(
            f"has activations with {len(tensor.scale)} scales",
            "quantize activations with one scale a tensor",
        )
    bits, signed = INTEGERS[tensor.type]
    lowest = -(1 << (bits - 1)) if signed else 0
    zero_point = int(tensor.zero_point[0])
    if not (tensor.scale[0] > 0 and lowest <= zero_point < lowest + (1 << bits)):
        raise Refused(f"has activations of scale {tensor.scale[0]} and zero point {zero_point}")
    return Quantization(
        np.float64(tensor.scale[0]),  # type: ignore[arg-type]
        np.int64(zero_point),  # type: ignore[arg-type]
        bits,
        signed,
        rounding="half_away",
    )


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the zeros before and after that padding SAME has; the odd one is after."""
    count = -(-size // stride)
    total = max(0, (count - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def real_values(tensor: FileTensor) -> npt.NDArray[Any]:
    """Return the real numbers of a constant, those of integers by their scale.

    Raises
    ------
    Refused
        If its type is not read.
    """
    data = tensor.data
    if data is None or tensor.flaw:
        raise Refused(f"has a constant that is not read: {tensor.flaw or f'type {tensor.type}'}")
    if tensor.type in ("FLOAT32", "FLOAT16"):
        return data.astype(np.float32, copy=False)
    if tensor.type == "BFLOAT16":
        return (data.astype(np.uint32) << 16).view(np.float32)
    if tensor.type in INTEGERS and len(tensor.scale):
        spread = [1] * data.ndim
        spread[tensor.axis] = len(tensor.scale)
        scale, zero_point = tensor.scale.reshape(spread), tensor.zero_point.reshape(spread)
        found: npt.NDArray[Any] = (data.astype(np.int64) - zero_point) * scale.astype(np.float64)
        return found.astype(np.float32)
    raise Refused(
        f"has constants of type {tensor.type}", "convert the model to float32, or to int8"
    )
