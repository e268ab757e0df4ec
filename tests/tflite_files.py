"""Small TensorFlow Lite files, made by the flatbuffers builder of the `tflite` package."""

import flatbuffers
import numpy as np
import tflite
from tflite import BuiltinOperator, TensorType

TYPES = {
    np.dtype(np.float32): TensorType.FLOAT32,
    np.dtype(np.float16): TensorType.FLOAT16,
    np.dtype(np.int8): TensorType.INT8,
    np.dtype(np.uint8): TensorType.UINT8,
    np.dtype(np.int16): TensorType.INT16,
    np.dtype(np.int32): TensorType.INT32,
}
SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3


class TfliteFile:
    """A file with one graph, tensor by tensor and operator by operator."""

    def __init__(self):
        self.tensors, self.operators, self.buffers = [], [], [b""]

    def tensor(self, shape, dtype=np.int8, *, values=None, scale=(), zero_point=(), **more):
        """Add a tensor and return its number; `values` make it a constant."""
        place = 0
        if values is not None:
            values = np.asarray(values)
            shape, dtype = values.shape, values.dtype
            place = len(self.buffers)
            self.buffers.append(np.ascontiguousarray(values).tobytes())
        grid = (np.atleast_1d(scale), np.atleast_1d(zero_point), more.pop("axis", 0))
        self.tensors.append((tuple(shape), TYPES[np.dtype(dtype)], place, grid, more))
        return len(self.tensors) - 1

    def constant(self, values, **grid):
        """Add a constant and return its number."""
        return self.tensor((), values=values, **grid)

    def operator(self, kind, inputs, output, table=None, **fields):
        """Add an operator with options of a table of the schema, and return the output."""
        self.operators.append((kind, inputs, output, table, fields))
        return output

    def written(self, inputs, outputs, version=3):
        """Return the bytes of the file."""
        b = flatbuffers.Builder(1024)
        kinds = sorted({kind for kind, *_ in self.operators})
        buffers = [self._table(b, "Buffer", {"Data": _bytes(b, data)}) for data in self.buffers]
        tensors = [self._tensor(b, number, *one) for number, one in enumerate(self.tensors)]
        codes = [self._code(b, kind) for kind in kinds]
        operators = [self._operator(b, kinds, *one) for one in self.operators]
        graph = {
            "Tensors": _offsets(b, tensors),
            "Inputs": _numbers(b, inputs),
            "Outputs": _numbers(b, outputs),
            "Operators": _offsets(b, operators),
        }
        graph = self._table(b, "SubGraph", graph)
        model = {
            "Version": version,
            "OperatorCodes": _offsets(b, codes),
            "Subgraphs": _offsets(b, [graph]),
            "Buffers": _offsets(b, buffers),
        }
        b.Finish(self._table(b, "Model", model), b"TFL3")
        return bytes(b.Output())

    def _code(self, b, kind):
        number = getattr(BuiltinOperator, kind)
        fields = {"DeprecatedBuiltinCode": min(number, 127), "BuiltinCode": number}
        return self._table(b, "OperatorCode", fields)

    def _operator(self, b, kinds, kind, inputs, output, table, fields):
        found = {"OpcodeIndex": kinds.index(kind)}
        found |= {"Inputs": _numbers(b, inputs), "Outputs": _numbers(b, [output])}
        if table:
            found["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, table)
            found["BuiltinOptions"] = self._table(b, table, fields)
        return self._table(b, "Operator", found)

    def _tensor(self, b, number, shape, kind, place, grid, more):
        scale, zero_point, axis = grid
        fields = {"Shape": _numbers(b, shape), "Type": kind, "Buffer": place}
        fields["Name"] = b.CreateString(f"tensor_{number}")
        if len(scale):
            quantization = {
                "Scale": _numbers(b, np.asarray(scale, np.float32)),
                "ZeroPoint": _numbers(b, np.asarray(zero_point, np.int64)),
                "QuantizedDimension": axis,
            }
            fields["Quantization"] = self._table(b, "QuantizationParameters", quantization)
        if "signature" in more:
            fields["ShapeSignature"] = _numbers(b, more["signature"])
        return self._table(b, "Tensor", fields)

    @staticmethod
    def _table(b, name, fields):
        getattr(tflite, f"{name}Start")(b)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{name}Add{field}")(b, value)
        return getattr(tflite, f"{name}End")(b)


def _bytes(b, data):
    return b.CreateByteVector(data) if data else None


def _numbers(b, numbers):
    values = np.asarray(numbers)
    if values.dtype == np.int64 and not isinstance(numbers, np.ndarray):
        values = values.astype(np.int32)
    return b.CreateNumpyVector(values if values.size else values.astype(np.int32))


def _offsets(b, offsets):
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def conv_options(padding=SAME, stride=1, activation=NONE):
    """Return the table and the fields of a convolution's options."""
    return "Conv2DOptions", {
        "Padding": padding,
        "StrideW": stride,
        "StrideH": stride,
        "FusedActivationFunction": activation,
    }


def float_cnn(rng, *, channels=3, size=9):
    """Return a float file: strided SAME convolution, depthwise, pools, linear layer, softmax."""
    file = TfliteFile()
    image = file.tensor((1, size, size, channels), np.float32)
    small = -(-size // 2)
    weight = rng.normal(size=(4, 3, 3, channels)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    a = file.tensor((1, small, small, 4), np.float32)
    table, fields = conv_options(SAME, 2, RELU)
    file.operator(
        "CONV_2D", [image, file.constant(weight), file.constant(bias)], a, table, **fields
    )
    depthwise = rng.normal(size=(1, 3, 3, 8)).astype(np.float32)
    c = file.tensor((1, small - 2, small - 2, 8), np.float32)
    fields = {"Padding": VALID, "StrideW": 1, "StrideH": 1, "DepthMultiplier": 2}
    inputs = [a, file.constant(depthwise), file.constant(np.zeros(8, np.float32))]
    file.operator("DEPTHWISE_CONV_2D", inputs, c, "DepthwiseConv2DOptions", **fields)
    side = small - 2
    flat = file.tensor((1, side * side * 8), np.float32)
    shape = file.constant(np.array([-1, side * side * 8], np.int32))
    file.operator("RESHAPE", [c, shape], flat, "ReshapeOptions")
    full = rng.normal(size=(5, side * side * 8)).astype(np.float32)
    scores = file.tensor((1, 5), np.float32)
    file.operator(
        "FULLY_CONNECTED", [flat, file.constant(full), -1], scores, "FullyConnectedOptions"
    )
    output = file.tensor((1, 5), np.float32)
    file.operator("SOFTMAX", [scores], output, "SoftmaxOptions", Beta=1.0)
    return file.written([image], [output])


class Int8Builder:
    """A file of 8-bit layers with random weights, layer by layer."""

    def __init__(self, rng, shape, zero_point, dtype=np.int8):
        self.rng, self.file = rng, TfliteFile()
        self.image = self.activation(shape, 0.5, zero_point, dtype)

    def activation(self, shape, scale, zero_point, dtype=np.int8):
        """Add a tensor of activations; what is known about it is remembered by its number."""
        at = self.file.tensor(shape, dtype, scale=scale, zero_point=zero_point)
        self.grids = {**getattr(self, "grids", {}), at: (tuple(shape), scale)}
        return at

    def weights(self, shape, axis, per_channel=True):
        """Return the number of random weights, and their scales."""
        count = shape[axis] if per_channel else 1
        scale = self.rng.uniform(0.002, 0.02, count).astype(np.float32)
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        at = self.file.constant(values, scale=scale, zero_point=np.zeros(count, int), axis=axis)
        return at, scale

    def conv(self, x, outputs, kernel, *, zero_point=-128, depthwise=False, **options):
        """Add a convolution, a depthwise one with `outputs` in all."""
        (_, height, width, channels), scale = self.grids[x]
        shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, channels)
        weight, scales = self.weights(shape, 3 if depthwise else 0)
        table, fields = conv_options(**options)
        step = fields["StrideH"]
        size = [height, width]
        if fields["Padding"] == VALID:
            size = [own - tap + 1 for own, tap in zip(size, kernel, strict=True)]
        size = [-(-own // step) for own in size]
        bias = self.rng.integers(-2000, 2000, outputs).astype(np.int32)
        bias = self.file.constant(bias, scale=scale * scales, zero_point=np.zeros(outputs, int))
        spread = 60.0 * np.sqrt(np.prod(kernel) * (1 if depthwise else channels)) * 60
        y = self.activation((1, *size, outputs), scale * scales.mean() * spread / 60, zero_point)
        kind = "CONV_2D"
        if depthwise:
            kind, table = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
            fields |= {"DepthMultiplier": outputs // channels}
        return self.file.operator(kind, [x, weight, bias], y, table, **fields)

    def add(self, a, b, zero_point=-128, activation=RELU):
        """Add an addition."""
        (shape, first), (_, second) = self.grids[a], self.grids[b]
        y = self.activation(shape, 0.9 * (first + second), zero_point)
        return self.file.operator(
            "ADD", [a, b], y, "AddOptions", FusedActivationFunction=activation
        )

    def pool(self, kind, x, zero_point, size, stride=1):
        """Add a pooling without padding, on the grid of its input."""
        (_, height, width, channels), scale = self.grids[x]
        sides = [(own - size) // stride + 1 for own in (height, width)]
        y = self.activation((1, *sides, channels), scale, zero_point)
        fields = {"Padding": VALID, "FilterWidth": size, "FilterHeight": size}
        fields |= {"StrideW": stride, "StrideH": stride}
        return self.file.operator(kind, [x], y, "Pool2DOptions", **fields)

    def full(self, x, outputs, zero_point):
        """Add a fully connected layer."""
        shape, scale = self.grids[x]
        inputs = int(np.prod(shape))
        weight, scales = self.weights((outputs, inputs), 0, per_channel=False)
        bias = self.rng.integers(-500, 500, outputs).astype(np.int32)
        bias = self.file.constant(bias, scale=scale * scales, zero_point=[0])
        y = self.activation((1, outputs), scale * scales[0] * 60 * np.sqrt(inputs), zero_point)
        return self.file.operator("FULLY_CONNECTED", [x, weight, bias], y, "FullyConnectedOptions")


def int8_cnn(seed=0):
    """Return an int8 file: padding with a zero point, a residual block, pools, a linear layer."""
    b = Int8Builder(np.random.default_rng(seed), (1, 9, 7, 2), 83)
    x = b.conv(b.image, 6, (3, 3), stride=2, activation=RELU)
    y = b.conv(x, 6, (3, 3), zero_point=-9)
    x = b.add(x, y)
    x = b.conv(x, 12, (3, 3), depthwise=True, activation=RELU)
    x = b.conv(x, 5, (1, 1), zero_point=17)
    x = b.pool("MAX_POOL_2D", x, 17, 2)
    x = b.pool("AVERAGE_POOL_2D", x, 17, 2, 2)
    x = b.full(x, 4, 30)
    output = b.activation((1, 4), 1 / 256, -128)
    b.file.operator("SOFTMAX", [x], output, "SoftmaxOptions", Beta=1.0)
    return b.file.written([b.image], [output])


def one_operator(name):
    """Return an int8 file of one operator on a map of 6x6x3 and zero point 10, by a short name."""
    b = Int8Builder(np.random.default_rng(5), (1, 6, 6, 3), 10)
    file, x = b.file, b.image
    if name == "relu6":
        y = file.operator("RELU6", [x], b.activation((1, 6, 6, 3), 0.1, -128))
    elif name == "relu":
        y = file.operator("RELU", [x], b.activation((1, 6, 6, 3), 0.5, 10))
    elif name == "relu_other":
        y = file.operator("RELU", [x], b.activation((1, 6, 6, 3), 0.3, -120))
    elif name == "quantize":
        y = b.activation((1, 6, 6, 3), 0.37, -20)
        file.operator("QUANTIZE", [x], y, "QuantizeOptions")
    elif name == "pad":
        widths = file.constant(np.array([[0, 0], [1, 1], [1, 2], [0, 0]], np.int32))
        y = file.operator("PAD", [x, widths], b.activation((1, 8, 9, 3), 0.5, 10), "PadOptions")
    elif name in ("mean", "mean_other"):
        axes = file.constant(np.array([1, 2], np.int32))
        y = b.activation((1, 3), 0.5, 10)
        if name == "mean_other":
            y = b.activation((1, 1, 1, 3), 0.21, -30)
        file.operator("MEAN", [x, axes], y, "ReducerOptions", KeepDims=name != "mean")
    elif name == "fc_keep":
        weight, scale = b.weights((4, 3), 0, False)
        y = b.activation((1, 6, 6, 4), 0.5 * scale[0] * 300, -10)
        table = "FullyConnectedOptions"
        file.operator("FULLY_CONNECTED", [x, weight, -1], y, table, KeepNumDims=True)
    elif name == "fc_channel":
        weight, scale = b.weights((4, 108), 0, True)
        y = b.activation((1, 4), 0.5 * scale.mean() * 600, -10)
        file.operator("FULLY_CONNECTED", [x, weight, -1], y, "FullyConnectedOptions")
    return file.written([x], [y])
