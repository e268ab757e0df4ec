"""Float networks from ONNX files."""

import os
from collections.abc import Sequence

from sqhw.errors import SqhwError
from sqhw.files.plain import located
from sqhw.frontends.folding.compare import require_equal
from sqhw.frontends.folding.from_neutral import float_network
from sqhw.frontends.onnx_file.convert import read_onnx
from sqhw.network.floats import FloatNetwork


def import_onnx(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
    input_max: int = 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
) -> FloatNetwork:
    """Return the float network of an ONNX file.

    Constants are folded as `import_module` folds them. The network is then run on random images
    beside the operators of the file, and refused if they differ by more than rounding.

    Parameters
    ----------
    path : path
        Never run: operators and arrays are read from it.
    name : str, optional
        Name of the network; by default that of the file.
    input_shape : sequence of int, optional
        Shape of an image as the file orders it, for inputs of dynamic shape.
    output : str, optional
        Name of the output, if the file has several.
    input_max : int
        Largest pixel value, 1 to 255.
    mean, std : sequence of float
        Normalisation ``(pixel / input_max - mean) / std`` that the file's input expects: one value,
        or one a channel.

    Returns
    -------
    FloatNetwork
        Its metadata say under ``notes`` what the import left out or added, a line each.

    Raises
    ------
    SqhwError
        If the file is damaged or has operators that are not supported, which are all named with
        what to do instead.
    """
    graph = read_onnx(path, name=name, input_shape=input_shape, output=output)
    with located(path):
        if graph.quantized:
            raise SqhwError("it is a quantized model, which import_onnx makes no floats of")
        network = float_network(graph, input_max=input_max, mean=mean, std=std)
        require_equal(graph, network, mean, std)
        return network
