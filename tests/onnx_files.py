"""Small ONNX files for tests, and what the reader makes of them."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.onnx_file.convert import graph_of, read_nodes
from sqhw.frontends.onnx_file.file import load_model

FLOAT = onnx.TensorProto.FLOAT


def node(kind, inputs, outputs, **attributes):
    """Return a node; inputs and outputs are names with blanks between them."""
    return helper.make_node(kind, inputs.split(" "), outputs.split(" "), **attributes)


def model(
    nodes,
    arrays,
    shape=(1, 3, 8, 8),
    *,
    opset=17,
    domains=(),
    kind=FLOAT,
    output="y",
):
    """Return a model that makes `output` of ``x``."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (arrays or {}).items()
        ],
    )
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=sets)


def saved(made, folder, name="net.onnx"):
    """Write a model into a folder and return its path."""
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def values(path, x, **options):
    """Return what the neutral graph of a file computes, in the shape that ONNX has.

    Parameters
    ----------
    path : path
    x : ndarray
        Input of the file, with the axis of images.
    """
    given = load_model(path, **options)
    read = read_nodes(given)
    graph = graph_of(read, given, "net")
    start, end = read.values[given.input], read.values[given.output]
    inputs = _neutral(x, start, graph.tensors[graph.input].shape)
    grid = graph.tensors[graph.input].quantization
    if start.integer and grid is not None:
        inputs = _image_by_image(grid.reals, inputs)
    found = evaluate(graph, inputs)[end.tensor]
    grid = graph.tensors[end.tensor].quantization
    if end.integer and grid is not None:
        found = _image_by_image(grid.integers, found)
    shape = (len(found), *(1 if at is None else found.shape[at + 1] for at in end.axes))
    order = [at + 1 for at in end.axes if at is not None]
    rest = [at for at in (1, 2, 3) if at not in order]
    return found.transpose(0, *order, *rest).reshape(shape), end


def _image_by_image(function, x):
    """Return a function of images, whose axes are those of the grid without that of the images."""
    return np.moveaxis(function(np.moveaxis(x, 0, -1)), -1, 0)


def _neutral(x, start, shape):
    if start.integer:
        x = x.astype(np.int64)
    order = sorted(range(len(start.axes)), key=lambda at: start.axes[at])
    return x.transpose(0, *(at + 1 for at in order)).reshape(len(x), *shape)
