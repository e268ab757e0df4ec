"""Files of models: their formats, told by content, and the neutral graph of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.files.input_file import START, check_file, is_onnx, is_tflite, recognised
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.files.plain import located
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.torch_export.archive import is_archive

#: What a file of no known format is.
NO_MODEL = "neither an ONNX nor a TensorFlow Lite file, nor one of torch.export.save"


class Oracle(Protocol):
    """Another program that runs a model's file."""

    name: str

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return scores, shape (n, outputs), of real images (n, channels, height, width)."""


def format_of(path: Path) -> str:
    """Return the format of a model's file: ``"onnx"``, ``"tflite"`` or ``"pt2"``.

    Raises
    ------
    SqhwError
        If it is neither; the message names the file, what it is, and the way in.
    """
    with located(path):
        check_file(path, MAX_NETWORK_BYTES)
        with path.open("rb") as file:
            start = file.read(START)
        if is_tflite(start):
            return "tflite"
        if is_archive(path, start):
            return "pt2"
        if is_onnx(path, start):
            return "onnx"
        kind = recognised(path, start)
        raise SqhwError(f"this is {kind}" if kind else NO_MODEL)


def read_model(
    path: Path, *, input_shape: Sequence[int] | None = None, output: str | None = None
) -> Graph:
    """Return the neutral graph of a model's file.

    Parameters
    ----------
    path : Path
    input_shape : sequence of int, optional
        Shape of an image, for inputs of dynamic shape.
    output : str, optional
        Name of the output, if the file has several.

    Raises
    ------
    SqhwError
        See `format_of`, and the readers.
    """
    form = format_of(path)
    if form == "pt2":
        from sqhw.frontends.torch_export.reader import read_pt2

        return read_pt2(path, input_shape=input_shape, output=output)
    if form == "tflite":
        for option, given in (("input-shape", input_shape), ("output", output)):
            if given is not None:
                raise SqhwError(
                    f"{path}: a TensorFlow Lite file has one input of fixed shape and one output; "
                    f"leave --{option} out"
                )
        from sqhw.frontends.tflite import read_tflite

        return read_tflite(path)
    from sqhw.frontends.onnx_file.convert import read_onnx

    return read_onnx(path, input_shape=input_shape, output=output)


def oracle_of(
    path: Path, graph: Graph, *, input_shape: Sequence[int] | None = None, output: str | None = None
) -> Oracle:
    """Return another program that runs a model's file: a name, and a function of real images.

    Parameters
    ----------
    path, input_shape, output
        Those of `read_model`.
    graph : Graph
        What `read_model` returned.

    Raises
    ------
    SqhwError
        If no program at hand can run the file.
    """
    if graph.source == "pt2":
        raise SqhwError(
            f"{path}: PyTorch runs such a file after opening pickles in it, which is never done "
            "here: --check and --data have nothing to compare with; leave them out, or export ONNX"
        )
    if graph.source == "tflite":
        from sqhw.frontends.tflite.oracle import Oracle as TfliteOracle

        return TfliteOracle(path, graph)
    from sqhw.frontends.onnx_file.oracle import Oracle as OnnxOracle

    return OnnxOracle(path, graph, input_shape, output)
