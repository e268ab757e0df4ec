"""The node tests of the `onnx` package: what is read gives the values that ONNX prescribes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_files import saved, values

from sqhw.errors import SqhwError
from sqhw.frontends.onnx_file.convert import HANDLERS

#: Kinds that are at the end of a network only, where they are left out.
ENDS = ("ArgMax", "LogSoftmax", "Sigmoid", "Softmax")
#: Kinds whose tests of the package have no case that a network can have, or none at all.
ELSEWHERE = (
    *("Concat", "PRelu"),  # of other axes than the channels; see test_layers_of_models.py
    "Cast",  # its tests convert from or to types that are no images
    *("Mish", "Pow", "Swish"),  # of values of one axis; see test_tables.py
    "Dropout",  # opset 12 and later has the random seed of a training
    "Max", "Min", "Shape", "Size", "Sum",  # of values of one axis
    "ReduceMax", "ReduceMean", "Reshape", "Slice",  # that mix images; see test_onnx_reader.py
    *("QLinearConv", "QLinearMatMul"),  # in test_onnx_quantized.py
)  # fmt: skip
DATA = Path(onnx.__file__).parent / "backend/test/data/node"


def cases():
    """Yield the folders of tests whose nodes are all of kinds that are claimed."""
    claimed = {kind for domain, kind in HANDLERS if not domain} | {"Constant"}
    for folder in sorted(DATA.iterdir()):
        made = onnx.load(folder / "model.onnx", load_external_data=False)
        kinds = {node.op_type for node in made.graph.node}
        if kinds <= claimed and all(not node.domain for node in made.graph.node):
            yield folder, made, kinds


def tensor(path, kind):
    """Return an array of a test, or None if it is another thing."""
    if kind.WhichOneof("value") != "tensor_type":
        return None
    proto = onnx.TensorProto.FromString(path.read_bytes())
    return numpy_helper.to_array(proto)


def test_every_operator_that_is_claimed_computes_what_onnx_prescribes(tmp_path):
    right, refused, wrong = {}, {}, []
    for folder, made, kinds in cases():
        graph = made.graph
        data = folder / "test_data_set_0"
        names = [value.name for value in graph.input]
        given = [
            tensor(data / f"input_{at}.pb", value.type) for at, value in enumerate(graph.input)
        ]
        wanted = tensor(data / "output_0.pb", graph.output[0].type)
        if wanted is None or not given or any(value is None for value in given):
            continue
        for name, value in zip(names[1:], given[1:], strict=True):  # the first one is the image
            graph.initializer.append(numpy_helper.from_array(value, name))
        del graph.input[1:]
        del graph.output[1:]
        try:
            found, end = values(saved(made, tmp_path), given[0])
        except SqhwError as error:
            refused[folder.name] = str(error)
            continue
        if end.end is not None:
            assert set(ENDS) & kinds
            if "ArgMax" not in kinds:
                assert np.array_equal(found.argmax(-1), wanted.argmax(-1)), folder.name
        else:
            if found.shape != wanted.shape:
                wrong.append(f"{folder.name} {found.shape} {wanted.shape}")
                continue
            close = 1e-2 if "BFLOAT16" in folder.name else 1e-3  # computed more exactly here
            if not np.allclose(found, wanted.astype(np.float64), close, 1e-6, equal_nan=True):
                wrong.append(folder.name)
        for kind in kinds:
            right.setdefault(kind, []).append(folder.name)
    assert wrong == []
    assert max(map(len, refused.values())) < 2000
    claimed = {kind for domain, kind in HANDLERS if not domain}
    missing = {
        kind: [text for name, text in refused.items() if kind.lower() in name.replace("_", "")][:3]
        for kind in claimed - right.keys() - set(ELSEWHERE)
    }
    assert sorted(missing) == [], missing
    assert sum(map(len, right.values())) > 100


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_kinds_without_a_case_are_claimed(kind):
    assert ("", kind) in HANDLERS
