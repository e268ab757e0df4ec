"""Runs an ONNX file in the executor of QONNX: ``qonnx_execute.py MODEL INPUTS OUT BATCH NAMES``.

Runs in the Python environment of that program, so nothing of this project is imported. ``INPUTS``
is a NumPy file, its first axis that of images; ``OUT`` gets the tensors of these names, in order.
"""

import sys
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np

#: Domain of the operators of QONNX, and names that it had.
OWN, FORMER = "qonnx.custom_op.general", ("onnx.brevitas", "finn.custom_op.general")


def main(model: str, inputs: str, out: str, batch: int, names: list[str]) -> None:
    """Write tensors of a file for all inputs, some images at a time."""
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    proto = onnx.load(model)
    source = _prepare(proto, batch)
    net: Any = ModelWrapper(proto).transform(InferShapes())
    x = np.load(inputs)
    found: dict[str, list[Any]] = {name: [] for name in names}
    for part in np.split(x, range(batch, len(x), batch)):
        full = np.concatenate([part, np.repeat(part[:1], batch - len(part), 0)])
        given = {source: full.astype(np.float32)}
        made = execute_onnx(net, given, return_full_exec_context=True)
        for name in names:
            found[name].append(np.asarray(made[name])[: len(part)])
    np.savez(out, *(np.concatenate(found[name]) for name in names))
    print(version("qonnx"))


def _prepare(proto: Any, batch: int) -> str:
    """Set the number of images, declare the domain of QONNX, and return the input's name."""
    from onnx import helper

    for node in proto.graph.node:
        if node.domain in FORMER:
            node.domain = OWN
    if OWN not in {entry.domain for entry in proto.opset_import}:
        proto.opset_import.append(helper.make_opsetid(OWN, 1))
    weights = {one.name for one in proto.graph.initializer}
    (source,) = (value for value in proto.graph.input if value.name not in weights)
    del proto.graph.value_info[:]
    for value in (source, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return str(source.name)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5:])
