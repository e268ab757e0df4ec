"""ATen operators as nodes of ONNX, for which there are handlers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sqhw.frontends.onnx_file.node import MISFITS, Node, Unsupported
from sqhw.frontends.torch_export.archive import Arrays
from sqhw.frontends.torch_export.program import IMAGES, Call, Program, Tensor

#: Version of ONNX's operators in whose form nodes are made.
VERSION = 17
#: Most channels of a batch normalisation without factors.
MAX_CHANNELS = 1 << 20
#: End of a slice that has none.
NO_END = (1 << 63) - 1


class Translation:
    """Nodes so far.

    Parameters
    ----------
    program : Program
    arrays : Arrays
        Stored arrays, to which constants are added.
    """

    def __init__(self, program: Program, arrays: Arrays) -> None:
        self.program, self.arrays = program, arrays
        self.nodes: list[Node] = []

    def run(self) -> tuple[Node, ...]:
        """Return all nodes; calls that no rule is for become nodes that no handler is for."""
        for call in self.program.calls:
            if not call.outputs:
                continue  # sizes and assertions
            rule = RULES.get(call.target) or RULES.get(call.target.rpartition(".")[0])
            try:
                if rule is None:
                    raise Unsupported("")
                rule(self, call)
            except (Unsupported, *MISFITS):
                names = [one.name for one in call.arguments.values() if isinstance(one, Tensor)]
                self.add(call, KINDS.get(call.target.rpartition(".")[0], call.target), names)
        return tuple(self.nodes)

    def add(
        self, call: Call, kind: str, inputs: Sequence[str], output: str = "", **fields: Any
    ) -> str:
        """Add a node, and return the name of its output, by default that of the call."""
        output = output or call.outputs[0]
        name = call.name if output == call.outputs[0] else f"{call.name}/{kind}"
        self.nodes.append(Node(name, kind, "", VERSION, tuple(inputs), (output,), fields))
        return output

    def tensor(self, call: Call, name: str, kind: type[np.generic] = np.float32) -> str:
        """Return the tensor that an argument is; a number becomes a constant, None nothing."""
        value = call.arguments.get(name)
        if value is None:
            return ""
        if isinstance(value, Tensor):
            return value.name
        return self.arrays.add(f"{call.name}/{name}", np.asarray(value, kind))

    def rank(self, name: str) -> int:
        """Return the number of axes of a tensor."""
        return len(self.program.shapes[name])


Rule = Callable[[Translation, Call], object]


def _plain(kind: str, **fields: Any) -> Rule:
    return lambda t, call: t.add(call, kind, [t.tensor(call, first(call))], **fields)


def first(call: Call) -> str:
    """Return the name of the first argument, which is ``self`` or ``input``."""
    if not call.arguments:
        raise Unsupported("has no arguments")
    return next(iter(call.arguments))


def _pair(value: Any, default: Any = None) -> list[int]:
    numbers = default if value is None or value == [] else value
    return [numbers] * 2 if isinstance(numbers, int) else list(numbers)


def _conv(t: Translation, call: Call) -> None:
    own = call.arguments
    if own.get("transposed"):
        raise Unsupported("is transposed")
    inputs = [t.tensor(call, name) for name in (first(call), "weight", "bias")]
    axes = t.rank(inputs[1]) - 2
    stride, padding, dilation = (
        _spread(own.get(name), default, axes)
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    t.add(
        call,
        "Conv",
        inputs if inputs[2] else inputs[:2],
        strides=tuple(stride),
        pads=(*padding, *padding),
        dilations=tuple(dilation),
        group=own.get("groups", 1),
    )


def _spread(value: Any, default: int, axes: int) -> list[int]:
    numbers = [default] if value is None else [value] if isinstance(value, int) else list(value)
    return numbers * axes if len(numbers) == 1 else numbers


def _conv_padding(t: Translation, call: Call) -> None:
    """Translate a convolution whose padding is a word."""
    own = call.arguments
    words = {"same": "SAME_UPPER", "valid": "VALID"}
    inputs = [t.tensor(call, name) for name in (first(call), "weight", "bias")]
    axes = t.rank(inputs[1]) - 2
    t.add(
        call,
        "Conv",
        inputs if inputs[2] else inputs[:2],
        auto_pad=words[own["padding"]],
        strides=tuple(_spread(own.get("stride"), 1, axes)),
        dilations=tuple(_spread(own.get("dilation"), 1, axes)),
        group=own.get("groups", 1),
    )


def _batch_norm(t: Translation, call: Call) -> None:
    own = call.arguments
    if own.get("training"):
        t.add(call, "BatchNormalization", [t.tensor(call, first(call))] * 5, training_mode=1)
        return
    channels = t.program.shapes[t.tensor(call, first(call))][1]
    if channels > MAX_CHANNELS:
        raise Unsupported("has too many channels")
    names = [t.tensor(call, name) for name in ("weight", "bias", "running_mean", "running_var")]
    for at, plain in ((0, 1.0), (1, 0.0)):
        if not names[at]:
            names[at] = t.arrays.add(f"{call.name}/{at}", np.full(channels, plain, np.float32))
    t.add(
        call, "BatchNormalization", [t.tensor(call, first(call)), *names], epsilon=float(own["eps"])
    )


def _linear(t: Translation, call: Call) -> None:
    x, weight, bias = (t.tensor(call, name) for name in (first(call), "weight", "bias"))
    if t.rank(x) == 2:
        t.add(call, "Gemm", [x, weight, bias] if bias else [x, weight], transB=1)
        return
    turned = t.add(call, "Transpose", [weight], f"{call.name}/weight", perm=(1, 0))
    if not bias:
        t.add(call, "MatMul", [x, turned])
        return
    product = t.add(call, "MatMul", [x, turned], f"{call.name}/product")
    t.add(call, "Add", [product, bias])


def _addmm(t: Translation, call: Call) -> None:
    bias, x, weight = (t.tensor(call, name) for name in (first(call), "mat1", "mat2"))
    own = call.arguments
    if own.get("alpha", 1) != 1 or own.get("beta", 1) != 1:
        raise Unsupported("has factors")
    t.add(call, "Gemm", [x, weight, bias])


def _binary(kind: str) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        if call.arguments.get("alpha", 1) != 1 or call.arguments.get("rounding_mode"):
            raise Unsupported("has a factor")
        t.add(call, kind, [t.tensor(call, first(call)), t.tensor(call, "other")])

    return rule


def _clip(low: float | None = None, high: float | None = None) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        ends = []
        for name, other, plain in (("min", "min_val", low), ("max", "max_val", high)):
            value = call.arguments.get(name, call.arguments.get(other, plain))
            if isinstance(value, Tensor):
                raise Unsupported("has a bound that is a tensor")
            constant = None if value is None else np.float32(value)
            ends.append(
                ""
                if constant is None
                else t.arrays.add(f"{call.name}/{name}", np.asarray(constant))
            )
        t.add(call, "Clip", [t.tensor(call, first(call)), *ends])

    return rule


def _pool(kind: str) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        own = call.arguments
        kernel = _pair(own["kernel_size"])
        padding = _pair(own.get("padding"), 0)
        fields: dict[str, Any] = {
            "kernel_shape": tuple(kernel),
            "strides": tuple(_pair(own.get("stride"), kernel)),
            "pads": (*padding, *padding),
            "ceil_mode": int(own.get("ceil_mode", False)),
        }
        if kind == "MaxPool":
            fields["dilations"] = tuple(_pair(own.get("dilation"), 1))
        else:
            if own.get("divisor_override"):
                raise Unsupported("has a divisor of its own")
            fields["count_include_pad"] = int(own.get("count_include_pad", True))
        t.add(call, kind, [t.tensor(call, first(call))], **fields)

    return rule


def _adaptive(kind: str) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        x = t.tensor(call, first(call))
        size, wanted = t.program.shapes[x][-2:], _pair(call.arguments["output_size"])
        if any(not own or own % want for own, want in zip(size, wanted, strict=True)):
            raise Unsupported("has windows of several sizes")
        kernel = tuple(own // want for own, want in zip(size, wanted, strict=True))
        t.add(call, kind, [x], kernel_shape=kernel, strides=kernel)

    return rule


def _reduced(kind: str) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        axes = call.arguments["dim"]
        t.add(
            call,
            kind,
            [t.tensor(call, first(call))],
            axes=tuple([axes] if isinstance(axes, int) else axes),
            keepdims=int(call.arguments.get("keepdim", False)),
        )

    return rule


def _reshape(t: Translation, call: Call) -> None:
    sizes = call.arguments["size" if "size" in call.arguments else "shape"]
    if IMAGES in sizes[1:]:
        raise Unsupported("has a size that is not known")
    shape = t.arrays.add(f"{call.name}/shape", np.asarray(sizes, np.int64))
    t.add(call, "Reshape", [t.tensor(call, first(call)), shape])


def _flatten(t: Translation, call: Call) -> None:
    own, x = call.arguments, t.tensor(call, first(call))
    begin, end = own.get("start_dim", 0), own.get("end_dim", -1)
    if begin != 1 or end not in (-1, t.rank(x) - 1):
        raise Unsupported("flattens the images, or some axes only")
    t.add(call, "Flatten", [x], axis=1)


def _permute(t: Translation, call: Call) -> None:
    x = t.tensor(call, first(call))
    order = call.arguments.get("dims", [1, 0])
    rank = t.rank(x)
    t.add(call, "Transpose", [x], perm=tuple(axis % rank for axis in order))


def _leaky_relu(t: Translation, call: Call) -> None:
    slope = float(call.arguments.get("negative_slope", 0.01))
    t.add(call, "LeakyRelu", [t.tensor(call, first(call))], alpha=slope)


def _prelu(t: Translation, call: Call) -> None:
    """Translate a PReLU, whose slopes ONNX aligns with the last axes instead of the channels."""
    x, slopes = t.tensor(call, first(call)), t.tensor(call, "weight")
    sizes = np.asarray([-1, *[1] * (t.rank(x) - 2)], np.int64)
    shape = t.arrays.add(f"{call.name}/shape", sizes)
    t.add(call, "PRelu", [x, t.add(call, "Reshape", [slopes, shape], f"{call.name}/slopes")])


def _elu(t: Translation, call: Call) -> None:
    own = call.arguments
    if own.get("scale", 1) != 1 or own.get("input_scale", 1) != 1:
        raise Unsupported("has factors")
    t.add(call, "Elu", [t.tensor(call, first(call))], alpha=float(own.get("alpha", 1.0)))


def _gelu(t: Translation, call: Call) -> None:
    near = str(call.arguments.get("approximate", "none"))
    t.add(call, "Gelu", [t.tensor(call, first(call))], approximate=near)


def _softplus(t: Translation, call: Call) -> None:
    own = call.arguments
    if own.get("beta", 1) != 1 or own.get("threshold", 20) < 20:
        raise Unsupported("has factors")
    t.add(call, "Softplus", [t.tensor(call, first(call))])


def _softmax(kind: str) -> Rule:
    return lambda t, call: t.add(
        call, kind, [t.tensor(call, first(call))], axis=call.arguments["dim"]
    )


def _pad(t: Translation, call: Call) -> None:
    own, x = call.arguments, t.tensor(call, first(call))
    numbers = own["pad"]
    if own.get("mode", "constant") != "constant" or len(numbers) % 2:
        raise Unsupported("pads otherwise than with a constant")
    before = [0] * t.rank(x)
    after = [0] * t.rank(x)
    for at in range(len(numbers) // 2):  # the last axis comes first
        before[-1 - at], after[-1 - at] = numbers[2 * at : 2 * at + 2]
    pads = t.arrays.add(f"{call.name}/pads", np.asarray([*before, *after], np.int64))
    value = t.arrays.add(f"{call.name}/value", np.asarray(own.get("value") or 0, np.float32))
    t.add(call, "Pad", [x, pads, value])


def _slice(t: Translation, call: Call) -> None:
    own = call.arguments
    end = own.get("end")
    parts = {
        "starts": own.get("start") or 0,
        "ends": NO_END if end is None else end,
        "axes": own.get("dim", 0),
        "steps": own.get("step", 1),
    }
    if parts["axes"] == 0 and parts["starts"] == 0 and parts["steps"] == 1:
        t.add(call, "Identity", [t.tensor(call, first(call))])  # x[:]
        return
    names = [
        t.arrays.add(f"{call.name}/{name}", np.asarray([value], np.int64))
        for name, value in parts.items()
    ]
    t.add(call, "Slice", [t.tensor(call, first(call)), *names])


def _axes(kind: str) -> Rule:
    def rule(t: Translation, call: Call) -> None:
        axes = call.arguments["dim"]
        numbers = np.asarray([axes] if isinstance(axes, int) else axes, np.int64)
        t.add(call, kind, [t.tensor(call, first(call)), t.arrays.add(f"{call.name}/axes", numbers)])

    return rule


def _concat(t: Translation, call: Call) -> None:
    parts = [one.name for one in call.arguments["tensors"]]
    t.add(call, "Concat", parts, axis=call.arguments.get("dim", 0))


_IDENTITIES = (
    *(
        "alias",
        "clone",
        "contiguous",
        "detach",
        "detach_",
        "dropout",
        "dropout_",
        "feature_dropout",
    ),
    *("identity", "lift_fresh_copy", "to"),
)
#: Rules by the name of the operator without its overload, or with it.
RULES: dict[str, Rule] = {
    f"aten.{name}": rule
    for names, rule in (
        (("conv1d", "conv2d", "convolution"), _conv),
        (("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
        (("linear",), _linear),
        (("addmm",), _addmm),
        (("mm", "matmul"), lambda t, c: t.add(c, "MatMul", [t.tensor(c, n) for n in c.arguments])),
        (("add", "add_"), _binary("Add")),
        (("sub", "sub_"), _binary("Sub")),
        (("mul", "mul_"), _binary("Mul")),
        (("div", "div_"), _binary("Div")),
        (("neg",), _plain("Neg")),
        (("relu", "relu_"), _plain("Relu")),
        (("relu6", "relu6_"), _clip(0.0, 6.0)),
        (("hardtanh", "hardtanh_"), _clip(-1.0, 1.0)),
        (("clamp", "clamp_", "clip"), _clip()),
        (("clamp_min",), _clip()),
        (("hardsigmoid", "hardsigmoid_"), _plain("HardSigmoid", alpha=1 / 6, beta=0.5)),
        (("leaky_relu", "leaky_relu_"), _leaky_relu),
        (("prelu",), _prelu),
        (("max_pool2d",), _pool("MaxPool")),
        (("avg_pool2d",), _pool("AveragePool")),
        (("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), _adaptive("AveragePool")),
        (("adaptive_max_pool2d",), _adaptive("MaxPool")),
        (("mean",), _reduced("ReduceMean")),
        (("amax",), _reduced("ReduceMax")),
        (("view", "reshape", "_unsafe_view"), _reshape),
        (("flatten",), _flatten),
        (("permute", "t"), _permute),
        (("squeeze",), _axes("Squeeze")),
        (("unsqueeze",), _axes("Unsqueeze")),
        (("softmax", "_softmax"), _softmax("Softmax")),
        (("log_softmax", "_log_softmax"), _softmax("LogSoftmax")),
        (("sigmoid", "sigmoid_"), _plain("Sigmoid")),
        (("tanh", "tanh_"), _plain("Tanh")),
        (("silu", "silu_"), _plain("Swish")),
        (("hardswish", "hardswish_"), _plain("HardSwish")),
        (("mish", "mish_"), _plain("Mish")),
        (("elu", "elu_"), _elu),
        (("gelu",), _gelu),
        (("softplus",), _softplus),
        (("pad", "constant_pad_nd"), _pad),
        (("slice",), _slice),
        (("cat",), _concat),
        (_IDENTITIES, _plain("Identity")),
    )
    for name in names
} | {"aten.conv2d.padding": _conv_padding, "aten.conv1d.padding": _conv_padding}
#: Kinds of ONNX, none with a handler, for operators that have no layer, so that what to do instead
#: is said.
KINDS = {
    "aten.conv_transpose2d": "ConvTranspose",
    "aten.group_norm": "GroupNormalization",
    "aten.instance_norm": "InstanceNormalization",
    "aten.layer_norm": "LayerNormalization",
    "aten.scaled_dot_product_attention": "Attention",
    "aten.selu": "Selu",
    "aten.split": "Split",
    "aten.upsample_bilinear2d": "Resize",
    "aten.upsample_nearest2d": "Resize",
}
