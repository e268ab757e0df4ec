"""Operators with weights, windows or two operands."""

from typing import Any

import numpy as np

from sqhw.frontends.neutral import (
    Add,
    Affine,
    AveragePooling,
    Concatenation,
    Constant,
    Convolution,
    Flatten,
    Linear,
    MaxPooling,
    Quantization,
    Refused,
    Tensor,
)
from sqhw.frontends.tflite.building import Building, whole_numbers
from sqhw.frontends.tflite.flatbuffer import Table
from sqhw.frontends.tflite.layout import Padding, Shape, same_padding
from sqhw.frontends.tflite.model import FileOperator, FileTensor

SAME, VALID = 0, 1
#: Types of weights beside integer activations: symmetric ones, of 8 bits.
WEIGHT_TYPES = ("INT8",)
BIAS_BITS, WEIGHT_BITS = 32, 8

# Numbers of the fields of options in the schema.
_CONV = {"padding": 0, "right": 1, "down": 2, "activation": 3, "wide": 4, "high": 5}
_DEPTHWISE = {"padding": 0, "right": 1, "down": 2, "activation": 4, "wide": 5, "high": 6}
_POOL = {"padding": 0, "right": 1, "down": 2, "width": 3, "height": 4, "activation": 5}
_FULL = {"activation": 0, "format": 1, "keep": 2}
_JOIN = {"axis": 0, "activation": 1}
_ACTIVATION = 0  # of ADD, MUL and SUB


def convolution(building: Building, operator: FileOperator) -> None:
    """Add a CONV_2D."""
    _convolution(building, operator, _CONV, depthwise=False)


def depthwise(building: Building, operator: FileOperator) -> None:
    """Add a DEPTHWISE_CONV_2D; its weights have the output channels in the last axis."""
    _convolution(building, operator, _DEPTHWISE, depthwise=True)


def _convolution(
    building: Building, operator: FileOperator, fields: dict[str, int], *, depthwise: bool
) -> None:
    options = _options(operator)
    source = building.source(operator)
    shape = building.tensors[source].shape
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    weight = _weight(building, operator, order)
    channels = weight.values.shape[1]
    if depthwise and channels != 1:
        raise Refused(f"has weights of shape {weight.values.shape}")
    if shape[0] % channels or (depthwise and weight.values.shape[0] % shape[0]):
        raise Refused(f"has weights for {channels} channels, its input has {shape[0]}")
    stride, dilation = _pair(options, fields, "down", "right"), (1, 1)
    if "high" in fields:
        dilation = _pair(options, fields, "high", "wide")
    kernel = weight.values.shape[2], weight.values.shape[3]
    building.finish(
        operator,
        Convolution(
            name=operator.name,
            inputs=(source,),
            output=operator.name,
            weight=weight,
            bias=_bias(building, operator),
            stride=stride,
            padding=_padding(options, fields, shape, kernel, stride, dilation),
            dilation=dilation,
            groups=shape[0] // channels,
        ),
        options.integer(fields["activation"], "b"),
    )


def fully_connected(building: Building, operator: FileOperator) -> None:
    """Add a FULLY_CONNECTED: of a vector, of a map as one, or at every position of a map."""
    options = _options(operator)
    if options.integer(_FULL["format"], "b"):
        raise Refused("has shuffled weights", "convert the model without that optimisation")
    source = building.source(operator)
    shape = building.tensors[source].shape
    if options.integer(_FULL["keep"], "?") and shape[1:] != (1, 1):
        weight = _weight(building, operator, (0, 1))
        spread = Constant(
            weight.name, weight.values.reshape(*weight.values.shape, 1, 1), weight.quantization
        )
        made: Any = Convolution(
            name=operator.name,
            inputs=(source,),
            output=operator.name,
            weight=spread,
            bias=_bias(building, operator),
        )
    else:
        if shape[1:] != (1, 1):
            source = flattened(building, operator, source)
        made = Linear(
            name=operator.name,
            inputs=(source,),
            output=operator.name,
            weight=_weight(building, operator, (0, 1)),
            bias=_bias(building, operator),
        )
    building.finish(operator, made, options.integer(_FULL["activation"], "b"))


def flattened(building: Building, operator: FileOperator, source: str) -> str:
    """Add a Flatten of a map, and return the vector."""
    channels, height, width = building.tensors[source].shape
    name = f"{operator.name}_flatten"
    building.operators.append(Flatten(name=name, inputs=(source,), output=name, channels_last=True))
    grid = building.tensors[source].quantization
    building.tensors[name] = Tensor((channels * height * width, 1, 1), grid)
    return name


def pool(building: Building, operator: FileOperator) -> None:
    """Add an AVERAGE_POOL_2D, which does not count padding, or a MAX_POOL_2D."""
    options = _options(operator)
    source = building.source(operator)
    shape = building.tensors[source].shape
    kernel = _pair(options, _POOL, "height", "width", default=0)
    stride = _pair(options, _POOL, "down", "right", default=0)
    kind = AveragePooling if operator.kind == "AVERAGE_POOL_2D" else MaxPooling
    made = kind(
        name=operator.name,
        inputs=(source,),
        output=operator.name,
        kernel=kernel,
        stride=stride,
        padding=_padding(options, _POOL, shape, kernel, stride, (1, 1)),
    )
    building.finish(operator, made, options.integer(_POOL["activation"], "b"))


def mean(building: Building, operator: FileOperator) -> None:
    """Add a MEAN over height and width."""
    source = building.source(operator)
    rank = len(building.model.tensors[operator.inputs[0]].shape)
    axes = whole_numbers(building.constant(operator, 1), "axes").reshape(-1)
    if {int(axis) % rank for axis in axes} != set(range(1, rank - 1)):
        raise Refused(f"is over axes {axes.tolist()[:rank]}", "take the mean of height and width")
    _, height, width = building.tensors[source].shape
    building.finish(
        operator,
        AveragePooling(
            name=operator.name, inputs=(source,), output=operator.name, kernel=(height, width)
        ),
    )


def concatenation(building: Building, operator: FileOperator) -> None:
    """Add a CONCATENATION of channels, which have one scale and zero point."""
    options = _options(operator)
    sources = tuple(building.source(operator, place) for place in range(len(operator.inputs)))
    rank = len(building.model.tensors[operator.outputs[0]].shape)
    axis = options.integer(_JOIN["axis"], "i")
    if axis % rank != rank - 1:
        raise Refused(f"joins tensors along axis {axis}", "join channels, the last axis")
    if len(sources) == 1:
        building.shown[operator.outputs[0]] = sources[0]
        return
    made = Concatenation(name=operator.name, inputs=sources, output=operator.name)
    building.finish(operator, made, options.integer(_JOIN["activation"], "b"))


def add(building: Building, operator: FileOperator) -> None:
    """Add an ADD of two tensors of one shape, or of a tensor and constants."""
    options = _options(operator)
    if any(_is_constant(building, operator, place) for place in (0, 1)):
        scaled(building, operator)
        return
    sources = building.source(operator), building.source(operator, 1)
    if building.tensors[sources[0]].shape != building.tensors[sources[1]].shape:
        shapes = " and ".join(str(building.tensors[source].shape) for source in sources)
        raise Refused(f"adds tensors of different shapes, {shapes}", "make them of one shape")
    made = Add(name=operator.name, inputs=sources, output=operator.name)
    building.finish(operator, made, options.integer(_ACTIVATION, "b"))


def scaled(building: Building, operator: FileOperator) -> None:
    """Add a MUL, SUB or ADD with constants, one for all or one a channel."""
    options = _options(operator)
    first = _is_constant(building, operator, 0)
    if first == _is_constant(building, operator, 1):
        raise Refused("does not combine a tensor with constants", "the engine adds maps only")
    constant = building.constant(operator, 0 if first else 1)
    source = building.source(operator, 1 if first else 0)
    assert constant is not None
    if building.tensors[source].quantization is not None:
        raise Refused(
            "combines integers with constants",
            "fold them into the layer before it, or quantize without this layer",
        )
    values = building.real(constant).values.astype(np.float64)
    if values.ndim and values.size not in (1, values.shape[-1]):
        raise Refused(f"has constants of shape {values.shape}", "use one number a channel")
    flat = values.reshape(-1, 1, 1)
    one, none = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    sign = -1.0 if operator.kind == "SUB" else 1.0
    scale, shift = (flat, none) if operator.kind == "MUL" else (one, sign * flat)
    if operator.kind == "SUB" and first:
        scale, shift = -one, flat
    made = Affine(
        name=operator.name,
        inputs=(source,),
        output=operator.name,
        scale=Constant(constant.name, scale),
        shift=Constant(constant.name, shift),
    )
    building.finish(operator, made, options.integer(_ACTIVATION, "b"))


def _is_constant(building: Building, operator: FileOperator, place: int) -> bool:
    tensor = building.constant(operator, place)
    return tensor is not None and tensor.data is not None


def _options(operator: FileOperator) -> Table:
    if operator.options is None:
        raise Refused("has no options", "the file is damaged, or was made by another program")
    return operator.options


def _pair(
    options: Table, fields: dict[str, int], down: str, right: str, default: int = 1
) -> tuple[int, int]:
    """Return two numbers of options; strides have no default in the schema."""
    pair = options.integer(fields[down], "i", default), options.integer(fields[right], "i", default)
    if min(pair) < 1:
        raise Refused(f"has a window, stride or dilation of {pair}")
    return pair


def _padding(
    options: Table,
    fields: dict[str, int],
    shape: Shape,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Padding:
    """Return the zeros (top, bottom, left, right) of SAME or VALID."""
    if options.integer(fields["padding"], "b") != SAME:
        return 0, 0, 0, 0
    (top, bottom), (left, right) = (
        same_padding(*sizes) for sizes in zip(shape[1:], kernel, stride, dilation, strict=True)
    )
    return top, bottom, left, right


def _weight(building: Building, operator: FileOperator, order: tuple[int, ...]) -> Constant:
    """Return the weights, output channels first.

    Parameters
    ----------
    building : Building
    operator : FileOperator
    order : tuple of int
        Axes of the file's weights in the order of the result.
    """
    tensor = building.constant(operator, 1)
    if tensor is None or tensor.data is None or tensor.flaw:
        kind = "" if tensor is None else f" of type {tensor.type}"
        raise Refused(
            f"has weights{kind} that are not read: {tensor.flaw}"
            if tensor and tensor.flaw
            else f"has weights{kind} that no constant in the file gives",
            "convert the model to float32, or to int8",
        )
    if tensor.data.ndim != len(order) or min(tensor.shape) < 1:
        raise Refused(f"has weights of shape {tensor.shape}")
    source = building.tensors[building.source(operator)]
    if source.quantization is None:
        found = building.real(tensor)
        return Constant(found.name, found.values.transpose(order))
    _check_integers(tensor)
    axis = order.index(tensor.axis) if len(tensor.scale) > 1 else None
    if axis not in (None, 0):
        raise Refused(f"has scales of weights along axis {tensor.axis}", "one an output channel")
    scale, zero_point = tensor.scale, tensor.zero_point
    if axis is None:
        scale, zero_point = scale.reshape(()), zero_point.reshape(())
    grid = Quantization(scale.astype(np.float64), zero_point, WEIGHT_BITS, True, axis=axis)
    return Constant(tensor.name, tensor.data.transpose(order), grid)


def _check_integers(tensor: FileTensor) -> None:
    if tensor.type not in WEIGHT_TYPES:
        raise Refused(
            f"has weights of type {tensor.type} beside integer activations",
            "quantize the model to int8 with symmetric weights",
        )
    if not len(tensor.scale) or tensor.zero_point.any():
        raise Refused(
            "has weights with a zero point, or without a scale",
            "quantize the weights symmetrically, as int8 conversion does",
        )


def _bias(building: Building, operator: FileOperator) -> Constant | None:
    tensor = building.constant(operator, 2)
    if tensor is None:
        return None
    if tensor.data is None or tensor.flaw or tensor.data.ndim != 1:
        raise Refused("has biases that no constant vector gives")
    source = building.tensors[building.source(operator)]
    if source.quantization is None:
        return building.real(tensor)
    if tensor.type != "INT32" or not len(tensor.scale):
        raise Refused(
            f"has biases of type {tensor.type} beside integer activations", "quantize to int8"
        )
    several = len(tensor.scale) > 1
    grid = Quantization(
        tensor.scale.astype(np.float64).reshape(-1 if several else ()),
        tensor.zero_point.reshape(-1 if several else ()),
        BIAS_BITS,
        True,
        axis=0 if several else None,
    )
    return Constant(tensor.name, tensor.data, grid)
