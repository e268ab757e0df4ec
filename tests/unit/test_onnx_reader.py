"""ONNX files in the styles of exporters become float networks; others are refused by name."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx_files import model, node, saved, values

from sqhw.errors import SqhwError
from sqhw.frontends import import_onnx
from sqhw.frontends.folding.float_walk import logits

RNG = np.random.default_rng(7)


def weights(*shape):
    return (RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.5, 2.0, shape).astype(np.float32)


def convnet(**extra):
    """A network as PyTorch exports it: convolutions, batch norm, a skip connection, flatten."""
    nodes = [
        node("Conv", "x w1", "c1", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c1 g b m v", "n1"),
        node("Relu", "n1", "r1"),
        node("Conv", "r1 w2 b2", "c2", pads=[1, 1, 1, 1]),
        node("Add", "c2 r1", "s"),
        node("Relu", "s", "r2"),
        node("MaxPool", "r2", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "p", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Unsqueeze", "n axes", "n1d"),
        node("Concat", "n1d minus", "wanted", axis=0),
        node("Reshape", "p wanted", "f"),
        node("Gemm", "f w3 b3", "y", transB=1),
    ]
    arrays = {
        "w1": weights(8, 3, 3, 3), "g": positive(8), "b": weights(8), "m": weights(8),
        "v": positive(8), "w2": weights(8, 8, 3, 3), "b2": weights(8), "w3": weights(10, 128),
        "b3": weights(10), "zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]),
    }  # fmt: skip
    return model(nodes, arrays, **extra)


def keras():
    """A network as tf2onnx exports it: channels last at the ends, SAME padding, MatMul and Add."""
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w1 b1", "c", strides=[2, 2], auto_pad="SAME_UPPER"),
        node("Clip", "c low high", "r"),
        node("Conv", "r w2", "d", group=6, pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Transpose", "d", "u", perm=[0, 2, 3, 1]),
        node("Reshape", "u wanted", "f"),
        node("MatMul", "f w3", "mm"),
        node("Add", "mm b3", "s"),
        node("Softmax", "s", "y"),
    ]
    arrays = {
        "w1": weights(6, 3, 3, 3), "b1": weights(6), "low": np.float32(0), "high": np.float32(6),
        "w2": weights(6, 1, 3, 3), "wanted": np.array([-1, 150]), "w3": weights(150, 4),
        "b3": weights(4),
    }  # fmt: skip
    return model(nodes, arrays, (1, 9, 10, 3))


def preprocessed():
    """Pixels scaled and normalised in the file, a mean over rows and columns, a 1x1 head."""
    nodes = [
        node("Sub", "x mean", "a"),
        node("Div", "a std", "b"),
        node("Pad", "b pads", "p"),
        node("Conv", "p w1 b1", "c", strides=[2, 2]),
        node("Relu", "c", "r"),
        node("ReduceMean", "r", "g", axes=[-1, -2], keepdims=1),
        node("Conv", "g w2 b2", "h"),
        node("Flatten", "h", "f"),
        node("LogSoftmax", "f", "y", axis=1),
    ]
    arrays = {
        "mean": np.float32([0.4, 0.5, 0.6]).reshape(3, 1, 1),
        "std": np.float32([0.2, 0.3, 0.4]).reshape(1, 3, 1, 1),
        "pads": np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        "w1": weights(5, 3, 3, 3), "b1": weights(5), "w2": weights(7, 5, 1, 1), "b2": weights(7),
    }  # fmt: skip
    return model(nodes, arrays)


def perceptron():
    """Batch norm after MatMul, a norm of the flat input, and dropout."""
    nodes = [
        node("Flatten", "x", "f"),
        node("BatchNormalization", "f g0 b0 m0 v0", "n0"),
        node("MatMul", "n0 w1", "a"),
        node("BatchNormalization", "a g b m v", "n"),
        node("Dropout", "n", "d"),
        node("Max", "d zero", "r"),
        node("Gemm", "r w2 b2", "s"),
        node("Mul", "s two", "t"),
        node("Sigmoid", "t", "y"),
    ]
    arrays = {
        **{key + "0": positive(192) for key in "gv"}, **{key + "0": weights(192) for key in "bm"},
        **{key: positive(16) for key in "gv"}, **{key: weights(16) for key in "bm"},
        "w1": weights(192, 16), "w2": weights(16, 3), "b2": weights(1, 3), "two": np.float32(2),
        "zero": np.float32(0),
    }  # fmt: skip
    return model(nodes, arrays)


def one_dimensional():
    """Convolutions along time, as of an ECG."""
    nodes = [
        node("Conv", "x w1 b1", "c", strides=[2], pads=[2, 2]),
        node("Relu", "c", "r"),
        node("Conv", "r w2", "d", group=4, pads=[1, 1]),
        node("Relu", "d", "e"),
        node("GlobalAveragePool", "e", "g"),
        node("Squeeze", "g last", "q"),
        node("Gemm", "q w3", "y", transB=1, alpha=0.5),
    ]
    arrays = {
        "w1": weights(4, 2, 5), "b1": weights(4), "w2": weights(4, 1, 3), "w3": weights(3, 4),
        "last": np.array([2]),
    }  # fmt: skip
    return model(nodes, arrays, (1, 2, 40))


def shortcut():
    """The shortcut without weights of a CIFAR ResNet: every second pixel, and zero channels."""
    nodes = [
        node("Conv", "x w1", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("Conv", "r w2", "d", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Slice", "r from to rows by", "s0"),
        node("Slice", "s0 from to columns by", "s"),
        node("Pad", "s pads value", "p"),
        node("Add", "p d", "a"),
        node("Relu", "a", "e"),
        node("AveragePool", "e", "g", kernel_shape=[4, 4]),
        node("ReduceMax", "g", "h", axes=[2, 3], keepdims=0),
        node("Gemm", "h w3", "y", transB=1),
    ]
    arrays = {
        "w1": weights(4, 3, 3, 3), "w2": weights(8, 4, 3, 3), "w3": weights(5, 8),
        "from": np.array([0]), "to": np.array([2**63 - 1]), "rows": np.array([2]),
        "columns": np.array([3]), "by": np.array([2]),
        "pads": np.array([0, 2, 0, 0, 0, 2, 0, 0]), "value": np.float32(0),
    }  # fmt: skip
    return model(nodes, arrays)


STYLES = (convnet, keras, preprocessed, perceptron, one_dimensional, shortcut)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_networks_compute_what_the_reference_of_onnx_computes(style, tmp_path):
    made = style()
    path = saved(made, tmp_path)
    network = import_onnx(path)
    if style is keras:  # the reference takes the sizes of the wrong axes for auto_pad
        same = next(one for one in made.graph.node[1].attribute if one.name == "auto_pad")
        same.CopyFrom(helper.make_attribute("pads", [1, 0, 1, 1]))
    x = values_shape(made)
    images = RNG.integers(0, 256, (3, *x[1:]))
    right = np.concatenate(
        [
            ReferenceEvaluator(made).run(None, {"x": (image[None] / 255).astype(np.float32)})[0]
            for image in images
        ]
    )
    pixels = images
    if style is keras:
        pixels = images.transpose(0, 3, 1, 2)
    elif style is one_dimensional:
        pixels = images[:, :, None]
    found = logits(network, pixels)
    if "softmax" in network.metadata.get("notes", ""):
        shifted = found - found.max(1, keepdims=True)
        found = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        right = right if style is preprocessed else np.log(right)
    elif "sigmoid" in network.metadata.get("notes", ""):
        found = 1 / (1 + np.exp(-found))
    np.testing.assert_allclose(found, right, atol=2e-4)


def values_shape(made):
    return [dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim]


def test_nothing_but_onnx_is_imported(tmp_path):
    path = saved(convnet(), tmp_path)
    code = (
        "import sys; from sqhw.frontends import import_onnx; "
        f"import_onnx({str(path)!r}); "
        "assert not {'torch', 'onnxruntime', 'qonnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dynamic_numbers_of_images_are_taken_and_other_dynamic_axes_named(tmp_path):
    path = saved(convnet(shape=("N", 3, 8, 8)), tmp_path)
    assert import_onnx(path).input_shape == (3, 8, 8)
    path = saved(convnet(shape=("N", 3, "height", "width")), tmp_path)
    with pytest.raises(
        SqhwError, match=r"axis 2 \(height\) and axis 3 \(width\) .* input_shape \(--input-shape\)"
    ):
        import_onnx(path)
    assert import_onnx(path, input_shape=(3, 8, 8)).input_shape == (3, 8, 8)
    with pytest.raises(SqhwError, match=r"its shape is \(N, 3, height, width\)"):
        import_onnx(path, input_shape=(1, 8, 8))


def test_all_unsupported_operators_are_named_at_once(tmp_path):
    nodes = [
        node("Conv", "x w", "a"),
        node("Selu", "a", "b", name="/act1/Selu"),
        node("Conv", "b w2", "c", strides=[3, 3]),
        node("Selu", "c", "d", name="/act2/Selu"),
        node("Resize", "d none none scales", "e", name="/up"),
        node("GRU", "e", "y", name="/gru"),
    ]
    arrays = {
        "w": weights(4, 3, 3, 3),
        "w2": weights(4, 4, 1, 1),
        "scales": np.float32([1, 1, 2, 2]),
    }
    arrays["none"] = np.zeros(0, np.float32)
    with pytest.raises(SqhwError) as caught:
        import_onnx(saved(model(nodes, arrays), tmp_path))
    text = str(caught.value)
    assert "Selu '/act1/Selu' is not supported (train with ReLU or ReLU6), also" in text
    assert "'/act2/Selu'" in text
    assert "Resize '/up' is not supported" in text
    assert "GRU '/gru' is not supported" in text
    assert "\n" not in text


def test_all_layers_that_cannot_be_are_named_at_once(tmp_path):
    nodes = [
        node("Conv", "x w", "a", strides=[3, 3], name="wide"),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 1], dilations=[2, 1], name="dilated"),
        node("Clip", "c low high", "d", name="one"),
        node("GlobalAveragePool", "d", "y"),
    ]
    arrays = {"w": weights(4, 3, 1, 1), "low": np.float32(1), "high": np.float32(1)}
    with pytest.raises(SqhwError) as caught:
        import_onnx(saved(model(nodes, arrays), tmp_path))
    text = str(caught.value)
    for part in ("Convolution 'wide'", "MaxPooling 'dilated'", "Clip 'one'"):
        assert part in text
    assert "use stride 1 or 2 to the right" in text


def refused(made, tmp_path, **options):
    path = saved(made, tmp_path)
    with pytest.raises(SqhwError) as caught:
        import_onnx(path, **options)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_broken_files_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "net.onnx"
    good = convnet().SerializeToString()
    for content, what in (
        (b"", "not an ONNX file"),
        (b"hello world", "not an ONNX file"),
        (good[: len(good) // 2], "not an ONNX file, or a damaged one"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
    ):
        path.write_bytes(content)
        with pytest.raises(SqhwError, match=what):
            import_onnx(path)
    with pytest.raises(SqhwError, match="no such file"):
        import_onnx(tmp_path / "nowhere.onnx")


def test_broken_graphs_are_refused_in_a_sentence(tmp_path):
    made = convnet()
    made.opset_import[0].version = 99
    assert "operator set 99 is newer than" in refused(made, tmp_path)
    made = convnet()
    made.graph.node[0].input[0] = "r2"
    assert "the graph is cyclic" in refused(made, tmp_path)
    made = convnet()
    made.graph.node[0].input[0] = "nothing"
    assert "value 'nothing' is read, but no node makes it" in refused(made, tmp_path)
    made = convnet()
    made.graph.node[2].output[0] = "n1"
    assert "value 'n1' is made by several nodes" in refused(made, tmp_path)
    made = convnet()
    made.graph.initializer[0].dims[0] = 1 << 40
    assert "initializer 'w1': it has" in refused(made, tmp_path)
    made = convnet()
    made.graph.output.append(helper.make_tensor_value_info("c2", onnx.TensorProto.FLOAT, None))
    assert "it has 2 outputs ['y', 'c2'], not one" in refused(made, tmp_path)
    assert import_onnx(saved(made, tmp_path), output="y").convs
    made = convnet()
    made.graph.input.append(helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, (1,)))
    assert "it has 2 inputs ['x', 'z'], not one" in refused(made, tmp_path)
    made = model([node("Conv", "x w", "y")], {"w": np.full((2, 3, 1, 1), np.nan, np.float32)})
    assert "not finite" in refused(made, tmp_path)


def test_nodes_in_any_order_are_read(tmp_path):
    made = convnet()
    backwards = list(made.graph.node)[::-1]
    del made.graph.node[:]
    made.graph.node.extend(backwards)
    found, right = import_onnx(saved(made, tmp_path)), import_onnx(saved(convnet(), tmp_path))
    assert [layer.name for layer in found.layers] == [layer.name for layer in right.layers]


def test_external_data_lie_in_the_folder_of_the_file(tmp_path):
    right = import_onnx(saved(convnet_fixed(), tmp_path))
    folder = tmp_path / "external"
    folder.mkdir()
    onnx.save_model(
        convnet_fixed(), folder / "net.onnx", save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    found = import_onnx(folder / "net.onnx")
    for a, b in zip(found.convs, right.convs, strict=True):
        assert np.array_equal(a.weight, b.weight)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(SqhwError, match=r"external data 'weights.bin': no such file"):
        import_onnx(folder / "net.onnx")
    (folder / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(SqhwError, match="a link out of the file's folder"):
        import_onnx(folder / "net.onnx")
    made = onnx.load(folder / "net.onnx", load_external_data=False)
    made.graph.initializer[0].external_data[0].value = "../weights.bin"
    assert "out of the file's folder" in refused(made, folder)


def convnet_fixed():
    global RNG
    RNG = np.random.default_rng(3)
    return convnet()


def test_half_precision_is_read_with_a_note(tmp_path):
    arrays = {"w": weights(2, 3, 1, 1).astype(np.float16)}
    nodes = [node("Conv", "x w", "y")]
    made = model(nodes, arrays, kind=onnx.TensorProto.FLOAT16)
    network = import_onnx(saved(made, tmp_path))
    assert "1 arrays of 16-bit floats are read as 32-bit ones" in network.metadata["notes"]
    assert np.array_equal(network.convs[0].weight, arrays["w"].astype(np.float32))


def test_constants_of_hostile_sizes_are_refused(tmp_path):
    for sizes in ([1 << 40], [1 << 14] * 4, [-5]):
        nodes = [
            node("ConstantOfShape", "sizes", "big"),
            node("Conv", "x big", "y"),
        ]
        assert "ConstantOfShape" in refused(model(nodes, {"sizes": np.array(sizes)}), tmp_path)
    nodes = [node("Add", "a b", "big"), node("Add", "x big", "y")]
    arrays = {"a": np.zeros((1 << 15, 1), np.float32), "b": np.zeros((1, 1 << 15), np.float32)}
    assert "makes a constant of shape" in refused(model(nodes, arrays), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        (
            [
                node("GlobalMaxPool", "x", "g"),
                node("Softmax", "g", "s", axis=1),
                node("Relu", "s", "y"),
            ],
            "at the end of the network only",
        ),
        ([node("Mul", "x x", "y")], "an activation function of its own"),
        ([node("Transpose", "x", "t", perm=[1, 0, 2, 3]), node("Relu", "t", "y")], "axis of the"),
        ([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("Conv", "t w", "y")], "transposed"),
        ([node("Reshape", "x shuffle", "y")], "regroups"),
        ([node("Gemm", "x w", "y")], "has weights of shape"),
        ([node("Conv", "x", "y")], "no constant as its weights"),
        ([node("Conv", "x w", "y", kernel_shape=[5, 5])], "for a kernel of"),
        ([node("Conv", "x w", "y", pads="text")], "of another type"),
        ([node("Dropout", "x", "y mask"), node("Relu", "y", "z")], "training mode"),
        ([node("Custom", "x", "y", domain="my.domain")], "the domain 'my.domain' is unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_node_cannot_do_is_said(nodes, text, tmp_path):
    arrays = {"w": weights(2, 3, 3, 3), "shuffle": np.array([1, 2, 12, 8])}
    made = model(nodes, arrays, output="z" if nodes[-1].output[0] == "z" else "y")
    if text == "of another type":
        text = "not whole numbers"
    assert text in refused(made, tmp_path)


def test_values_have_the_shapes_of_the_file(tmp_path):
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("Unsqueeze", "t at", "u"),
        node("Squeeze", "u at", "y"),
    ]
    made = model(nodes, {"at": np.array([1])}, (2, 3, 4, 5))
    x = RNG.normal(size=(2, 3, 4, 5))
    found, _ = values(saved(made, tmp_path), x)
    assert np.array_equal(found, x.transpose(0, 2, 3, 1))
