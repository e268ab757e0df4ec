"""Another program that runs a TensorFlow Lite file of real numbers, to compare an import with."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.environment.extras import has_package
from sqhw.files.input_file import read_bytes
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.frontends.neutral import Graph
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.tflite.model import parse_model

#: Package of LiteRT, the interpreter of these files.
LITERT = "ai_edge_litert"


class Oracle:
    """LiteRT with its reference kernels if it is installed, else the file's operators in NumPy.

    Parameters
    ----------
    path : path
        File that was read before.
    graph : Graph
        Graph that was read from it. Scores are compared where it ends.
    """

    def __init__(self, path: str | os.PathLike[str], graph: Graph) -> None:
        self._graph = graph
        self._interpreter: Any = None
        if not has_package(LITERT):
            self.name = "the file's operators in NumPy"
            return
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        model = parse_model(read_bytes(path, MAX_NETWORK_BYTES))
        (maker,) = (
            operator
            for operator in model.operators
            if graph.output == operator.name or graph.output.startswith(f"{operator.name}_")
        )
        self.name = "LiteRT"
        self._output = maker.outputs[0]
        self._interpreter = Interpreter(
            model_path=os.fspath(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return scores, shape (n, outputs), of real images (n, channels, height, width)."""
        if self._interpreter is None:
            scores = evaluate(self._graph, images, np.float32)[self._graph.output]
            return scores.reshape(len(images), -1)
        (first,) = self._interpreter.get_input_details()
        rows = []
        for image in images:
            x = image.transpose(1, 2, 0).reshape(first["shape"]).astype(np.float32)
            self._interpreter.set_tensor(first["index"], x)
            self._interpreter.invoke()
            rows.append(self._interpreter.get_tensor(self._output).reshape(-1))
        return np.stack(rows)
