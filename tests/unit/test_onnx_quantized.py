"""Quantized spellings of ONNX: integers, scales and widths of what is read, and its values."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_files import model, node, saved, values

from sqhw.errors import SqhwError
from sqhw.frontends import import_onnx
from sqhw.frontends import neutral as n
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.onnx_file.convert import read_onnx

RNG = np.random.default_rng(11)
QONNX = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")


def integers(shape, low, high, kind):
    return RNG.integers(low, high + 1, shape).astype(kind)


def qdq(bits=8):
    """A convolution and a linear layer between QuantizeLinear and DequantizeLinear."""

    def pair(source, target, scale, zero):
        q = node("QuantizeLinear", f"{source} {scale} {zero}", f"{target}_q")
        clip = node("Clip", f"{target}_q low high", f"{target}_c")
        dq = node("DequantizeLinear", f"{target}_{'c' if bits < 8 else 'q'} {scale} {zero}", target)
        return [q, clip, dq] if bits < 8 else [q, dq]

    nodes = [
        *pair("x", "a", "sx", "zx"),
        node("DequantizeLinear", "w sw zw", "wf", axis=0),
        node("DequantizeLinear", "b sb", "bf", axis=0),
        node("Conv", "a wf bf", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        *pair("r", "d", "sr", "zr"),
        node("MaxPool", "d", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f"),
        *pair("w2", "w2f", "sw2", "zw2"),
        node("Gemm", "f w2f", "g", transB=1),
        *pair("g", "y", "sg", "zg"),
    ]
    limit = 2 ** (bits - 1) - 1
    sw = RNG.uniform(0.01, 0.03, 4).astype(np.float32)
    arrays = {
        "w": integers((4, 3, 3, 3), -limit, limit, np.int8), "sw": sw, "zw": np.zeros(4, np.int8),
        "b": integers((4,), -90, 90, np.int32), "sb": np.float32(0.02) * sw,
        "sx": np.float32(0.02), "zx": np.int8(-3), "sr": np.float32(0.03), "zr": np.int8(0),
        "w2": (RNG.normal(size=(5, 64)) / 8).astype(np.float32), "sw2": np.float32(0.01),
        "zw2": np.int8(0), "sg": np.float32(0.05), "zg": np.int8(5),
        "low": np.int8(-limit), "high": np.int8(limit),
    }  # fmt: skip
    return model(nodes, arrays, opset=19)


@pytest.mark.parametrize("bits", [8, 4])
def test_qdq_and_qcdq_have_the_integers_and_widths_of_the_file(bits, tmp_path):
    made = qdq(bits)
    path = saved(made, tmp_path)
    graph = read_onnx(path)
    assert graph.quantized
    conv = next(one for one in graph.operators if isinstance(one, n.Convolution))
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in made.graph.initializer}
    assert np.array_equal(conv.weight.values, arrays["w"])
    grid = conv.weight.quantization
    assert (grid.axis, grid.bits) == (0, 8)
    assert np.array_equal(grid.scale, arrays["sw"].astype(np.float64))
    assert (conv.bias.quantization.bits, conv.bias.quantization.axis) == (32, 0)
    linear = next(one for one in graph.operators if isinstance(one, n.Linear))
    inner = linear.weight.quantization
    assert (inner.bits, inner.narrow, inner.signed) == (bits, bits < 8, True)
    tensors = [graph.tensors[one.output].quantization for one in graph.merged().operators]
    assert [grid.bits for grid in tensors if grid] == [bits] * 5  # the pool and Flatten too
    assert not any(isinstance(one, n.Quantize) for one in graph.merged().operators[1:])
    x = RNG.uniform(-2, 2, (1, 3, 8, 8)).astype(np.float32)
    right = ReferenceEvaluator(made).run(None, {"x": x})[0]
    found, _ = values(path, x)
    assert np.abs(found - right).max() <= 0.0501  # a step, where a value lies between two
    assert (np.abs(found - right) < 1e-6).mean() > 0.7
    with pytest.raises(SqhwError, match="quantized"):
        import_onnx(path)


def quantized(domain, kind, inputs, output, **attributes):
    return node(kind, inputs, output, domain=domain, **attributes)


@pytest.mark.parametrize("domain", QONNX)
@pytest.mark.parametrize("kind", ["Quant", "IntQuant"])
def test_qonnx_is_read_in_all_its_domains(domain, kind, tmp_path):
    """As Brevitas wrote it: opset 9, no import of the domain, quantized weights transposed."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n", "n1", axes=[0]),
        node("Concat", "n1 rest", "wanted", axis=0),
        node("Reshape", "x wanted", "f"),
        quantized(domain, kind, "f one zero_f two", "q", signed=1, narrow=1, rounding_mode="ROUND"),
        quantized(domain, kind, "w sw zero_f three", "wq", signed=1, narrow=0),
        node("Transpose", "wq", "wt", perm=[1, 0]),
        node("MatMul", "q wt", "m"),
        node("BatchNormalization", "m g b mean var", "bn"),
        quantized(domain, kind, "bn half zero_f four", "y", signed=0, rounding_mode="FLOOR"),
    ]
    arrays = {
        "zero": np.array(0), "rest": np.array([-1]), "one": np.float32(1), "half": np.float32(0.5),
        "zero_f": np.float32(0), "two": np.float32(2), "three": np.float32(3),
        "four": np.float32(4),
        "w": RNG.normal(size=(6, 12)).astype(np.float32),
        "sw": RNG.uniform(0.2, 0.5, (6, 1)).astype(np.float32),
        **{key: RNG.uniform(0.5, 2, 6).astype(np.float32) for key in ("g", "b", "mean", "var")},
    }  # fmt: skip
    made = model(nodes, arrays, (1, 3, 2, 2), opset=9)
    path = saved(made, tmp_path)
    x = RNG.normal(size=(1, 3, 2, 2)).astype(np.float32)
    found, _ = values(path, x)
    q = np.clip(np.rint(x.reshape(1, -1)), -1, 1)
    weight = arrays["sw"].astype(float) * np.clip(np.rint(arrays["w"] / arrays["sw"]), -4, 3)
    normal = (q @ weight.T - arrays["mean"]) / np.sqrt(arrays["var"].astype(float) + 1e-5)
    normal = normal * arrays["g"] + arrays["b"]
    right = 0.5 * np.clip(np.floor(normal / 0.5), 0, 15)
    np.testing.assert_allclose(found, right, atol=1e-9)
    graph = read_onnx(path)
    linear = next(one for one in graph.operators if isinstance(one, n.Linear))
    assert (linear.weight.quantization.axis, linear.weight.quantization.bits) == (0, 3)


@pytest.mark.parametrize("domain", QONNX)
def test_signs_and_truncation(domain, tmp_path):
    nodes = [
        quantized(domain, "BipolarQuant", "x scale", "s"),
        node("Conv", "s w", "c"),
        quantized(domain, "Trunc", "c one zero six four", "y", rounding_mode="FLOOR"),
    ]
    arrays = {
        "scale": np.float32(1), "w": integers((2, 3, 1, 1), -9, 9, np.float32),
        "one": np.float32(1), "zero": np.float32(0), "six": np.float32(6), "four": np.float32(4),
    }  # fmt: skip
    x = RNG.normal(size=(1, 3, 8, 8)).astype(np.float32)
    x[0, 0, 0, 0] = 0
    found, _ = values(saved(model(nodes, arrays), tmp_path), x)
    signs = np.where(x >= 0, 1, -1)
    sums = np.einsum("nchw,oc->nohw", signs, arrays["w"][:, :, 0, 0])
    assert np.array_equal(found, np.clip(np.floor(sums / 4), -8, 7))


def qoperator():
    """A network on integers alone, as ONNX Runtime writes it in its QOperator format."""
    nodes = [
        node("QuantizeLinear", "x sx zx", "a"),
        node("QLinearConv", "a sx zx w sw zw sc zc b", "c", pads=[1, 1, 1, 1]),
        node("MaxPool", "c", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("QLinearConv", "p sc zc w1 sw1 zw1 sd zd", "d"),
        node("QLinearAdd", "d sd zd p sc zc se ze", "e", domain="com.microsoft"),
        node("QLinearGlobalAveragePool", "e se ze sg zg", "g", domain="com.microsoft"),
        node("Flatten", "g", "f"),
        node("QGemm", "f sg zg w2 sw2 zw2 b2 sh zh", "h", domain="com.microsoft", transB=1),
        node("QLinearMatMul", "h sh zh w3 sw3 zw3 sy zy", "m"),
        node("DequantizeLinear", "m sy zy", "y"),
    ]
    arrays = {
        "w": integers((4, 3, 3, 3), -99, 99, np.int8),
        "w1": integers((4, 4, 1, 1), -99, 99, np.int8),
        "w2": integers((6, 4), -99, 99, np.int8), "w3": integers((6, 5), -99, 99, np.int8),
        "sw": RNG.uniform(0.01, 0.02, 4).astype(np.float32), "zw": np.zeros(4, np.int8),
        "b": integers((4,), -999, 999, np.int32), "b2": integers((6,), -999, 999, np.int32),
        **{f"sw{at}": np.float32(0.01) for at in (1, 2, 3)},
        **{f"zw{at}": np.int8(0) for at in (1, 2, 3)},
        **{f"s{name}": np.float32(0.04) for name in "xcdeghy"},
        **{f"z{name}": np.uint8(128 + at) for at, name in enumerate("xcdeghy")},
    }  # fmt: skip
    return model(nodes, arrays, domains=("com.microsoft",))


def test_operators_on_integers_are_those_of_onnx_runtime(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    made = qoperator()
    made.ir_version = 10
    path = saved(made, tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = RNG.uniform(-3, 3, (1, 3, 8, 8)).astype(np.float32)
    right = session.run(None, {"x": x})[0]
    found, _ = values(path, x)
    assert np.abs(found - right).max() <= 0.0401
    graph = read_onnx(path)
    grids = [graph.tensors[one.output].quantization for one in graph.operators]
    assert [int(grid.zero_point) for grid in grids] == [128, 129, 129, 130, 131, 132, 133, 134]
    conv = graph.operators[1]
    assert np.allclose(conv.bias.quantization.scale, 0.04 * conv.weight.quantization.scale)


def test_an_image_of_integers_gets_its_grid_from_the_file(tmp_path):
    nodes = [
        node("DequantizeLinear", "x s z", "f"),
        node("Conv", "f w", "y"),
    ]
    arrays = {
        "s": np.float32(0.5), "z": np.uint8(7), "w": integers((2, 3, 1, 1), -3, 3, np.float32)
    }  # fmt: skip
    path = saved(model(nodes, arrays, kind=onnx.TensorProto.UINT8), tmp_path)
    graph = read_onnx(path)
    grid = graph.tensors[graph.input].quantization
    assert (float(grid.scale), int(grid.zero_point), grid.bits, grid.signed) == (0.5, 7, 8, False)
    x = integers((1, 3, 8, 8), 0, 255, np.uint8)
    found, _ = values(path, x)
    right = np.einsum("nchw,oc->nohw", (x.astype(float) - 7) / 2, arrays["w"][:, :, 0, 0])
    np.testing.assert_allclose(found, right)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        (
            [node("QuantizeLinear", "x bad", "q"), node("DequantizeLinear", "q bad", "y")],
            "its scale is -1",
        ),
        ([node("QuantizeLinear", "x s", "q"), node("DequantizeLinear", "q t", "y")], "made with"),
        ([node("QuantizeLinear", "x s", "q"), node("Relu", "q", "y")], "without a scale"),
        ([node("DequantizeLinear", "x s", "y")], "put a QuantizeLinear before it"),
        ([node("DynamicQuantizeLinear", "x", "y s0 z0")], "quantize statically"),
        (
            [quantized("onnx.brevitas", "Quant", "x s zero bits", "y", rounding_mode="ODD")],
            "rounds by ODD",
        ),
        ([quantized("onnx.brevitas", "Quant", "x s zero many", "y")], "width of 99 bits"),
        ([quantized("onnx.brevitas", "Quant", "x s half bits", "y")], "not a whole number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_quantizer_cannot_do_is_said(nodes, text, tmp_path):
    arrays = {
        "s": np.float32(0.5), "t": np.float32(0.25), "bad": np.float32(-1), "zero": np.float32(0),
        "bits": np.float32(4), "many": np.float32(99), "half": np.float32(0.5),
    }  # fmt: skip
    with pytest.raises(SqhwError, match=text):
        read_onnx(saved(model(nodes, arrays), tmp_path))


def test_merged_graphs_compute_the_same(tmp_path):
    graph = read_onnx(saved(qdq(4), tmp_path))
    x = RNG.uniform(-2, 2, (2, 3, 8, 8))
    merged = graph.merged()
    assert len(merged.operators) < len(graph.operators)
    assert np.array_equal(evaluate(graph, x)[graph.output], evaluate(merged, x)[merged.output])
