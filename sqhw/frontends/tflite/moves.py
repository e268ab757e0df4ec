"""Operators that change no number but its place or its grid."""

from sqhw.frontends.neutral import Flatten, Operator, Pad, Quantize, Refused, Tensor, Unflatten
from sqhw.frontends.tflite.building import Building, whole_numbers
from sqhw.frontends.tflite.layers import flattened
from sqhw.frontends.tflite.layout import image_shape
from sqhw.frontends.tflite.model import FileOperator


def reshape(building: Building, operator: FileOperator) -> None:
    """Add a RESHAPE, SQUEEZE or EXPAND_DIMS: all keep the order of values in memory."""
    source = building.source(operator)
    (at,) = operator.outputs
    before, after = building.tensors[source].shape, image_shape(building.model.tensors[at])
    if before == after:
        building.shown[at] = source
        return
    if before[0] * before[1] * before[2] != after[0] * after[1] * after[2]:
        raise Refused(f"makes {after} of {before}, (channels, height, width)")
    grid = building.tensors[source].quantization
    made: Operator
    if after[1:] == (1, 1):
        made = Flatten(
            name=operator.name, inputs=(source,), output=operator.name, channels_last=True
        )
    else:
        if before[1:] != (1, 1):
            source = flattened(building, operator, source)
        made = Unflatten(
            name=operator.name,
            inputs=(source,),
            output=operator.name,
            shape=after,
            channels_last=True,
        )
    building.operators.append(made)
    building.tensors[operator.name] = Tensor(after, grid)
    building.shown[at] = operator.name


def pad(building: Building, operator: FileOperator) -> None:
    """Add a PAD with zeros."""
    source = building.source(operator)
    rank = len(building.model.tensors[operator.inputs[0]].shape)
    widths = whole_numbers(building.constant(operator, 1), "a padding")
    if widths.shape != (rank, 2) or rank != 4 or widths.min() < 0 or widths[0].any():
        raise Refused(f"has a padding of shape {widths.shape} for a tensor of {rank} dimensions")
    (top, bottom), (left, right), channels = ((int(a), int(b)) for a, b in widths[1:])
    building.finish(
        operator,
        Pad(
            name=operator.name,
            inputs=(source,),
            output=operator.name,
            padding=(top, bottom, left, right),
            channels=channels,
        ),
    )


def quantize(building: Building, operator: FileOperator) -> None:
    """Add a QUANTIZE, of real numbers or from one grid to another."""
    source = building.source(operator)
    building.finish(operator, Quantize(name=operator.name, inputs=(source,), output=operator.name))


def dequantize(building: Building, operator: FileOperator) -> None:
    """Let a DEQUANTIZE stand for what it reads: constants as they are, or a tensor of integers."""
    at = operator.inputs[0]
    (made,) = operator.outputs
    tensor = building.model.tensors[at]
    if tensor.data is not None:
        building.fold(made, building.real(tensor).values)
        return
    building.shown[made] = building.source(operator)
    building.note(
        "DEQUANTIZE is left out: the integers that it reads, times their scale, are its output"
    )
