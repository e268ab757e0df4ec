"""Other programs that run an ONNX file, to compare an import with."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.environment.extras import has_package
from sqhw.errors import SqhwError
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.neutral.operators import AveragePooling, Convolution, MaxPooling
from sqhw.frontends.onnx_file.file import load_model
from sqhw.frontends.onnx_file.node import STANDARD, reason_of
from sqhw.frontends.onnx_file.reader import input_axes

#: Function from the input of a file to its scores.
Run = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Oracle:
    """ONNX Runtime without its graph optimisations, or the reference evaluator of `onnx`.

    Parameters
    ----------
    path : path
        File that was read before, see `read_onnx`.
    graph : Graph
        The graph that was read from it. Scores are compared where it ends.
    input_shape : sequence of int, optional
        As for `read_onnx`.

    Raises
    ------
    SqhwError
        If neither can run the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        graph: Graph,
        input_shape: Any = None,
        output: Any = None,
    ) -> None:
        import onnx

        model = load_model(path, input_shape=input_shape, output=output)
        self._axes = input_axes(model)
        self._shape, self._kind = model.shape, np.dtype(model.kind)
        proto = onnx.load(os.fspath(path))
        strangers = {node.domain for node in proto.graph.node} - {*STANDARD, "com.microsoft"}
        if strangers:
            raise SqhwError(
                f"no program at hand runs operators of {', '.join(sorted(strangers))}, so --check "
                "has nothing to compare with"
            )
        _end_at(proto, graph)
        if has_package("onnxruntime"):
            self.name, self._run = _runtime(proto)
        else:
            _explicit_padding(proto, graph)
            self.name, self._run = _reference(proto)

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return scores, shape (n, outputs), of real images (n, channels, height, width)."""
        found = []
        for image in images:
            ordered = image.transpose(*self._order()).reshape(self._shape[1:])
            if np.issubdtype(self._kind, np.integer):
                ordered = np.rint(ordered)
            batch = np.broadcast_to(ordered, self._shape).astype(self._kind)
            try:
                scores = self._run(np.ascontiguousarray(batch))
            except Exception as error:  # whatever the other program raises
                raise SqhwError(f"{self.name} cannot run the file: {reason_of(error)}") from None
            found.append(np.asarray(scores, np.float64).reshape(self._shape[0], -1)[0])
        return np.stack(found)

    def _order(self) -> list[int]:
        return [*self._axes, *(at for at in range(3) if at not in self._axes)]


def _end_at(proto: Any, graph: Graph) -> None:
    """Let a file return the scores before what was left out at its end."""
    from onnx import helper

    made = {name for node in proto.graph.node for name in node.output}
    if graph.output in made:
        del proto.graph.output[:]
        proto.graph.output.append(helper.make_tensor_value_info(graph.output, 1, None))


def _explicit_padding(proto: Any, graph: Graph) -> None:
    """Replace auto_pad, for which the evaluator of onnx 1.22 takes the sizes of other axes."""
    from onnx import helper

    operators = {operator.output: operator for operator in graph.operators}
    for node in proto.graph.node:
        operator = operators.get(node.output[0])
        named = {one.name: one for one in node.attribute}
        if "auto_pad" not in named or not isinstance(
            operator, Convolution | MaxPooling | AveragePooling
        ):
            continue
        top, bottom, left, right = operator.padding
        pads = [top, left, bottom, right]
        if len(named.get("kernel_shape", helper.make_attribute("", [0, 0])).ints) == 1:
            pads = [left, right]
        for name in ("auto_pad", "pads"):
            if name in named:
                node.attribute.remove(named[name])
        node.attribute.append(helper.make_attribute("pads", pads))


def _runtime(proto: Any) -> tuple[str, Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    name = f"onnxruntime {onnxruntime.__version__}"
    try:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # whatever the runtime raises
        raise SqhwError(f"{name} cannot run the file: {reason_of(error)}") from None
    source = session.get_inputs()[0].name

    def run(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(session.run(None, {source: x})[0])

    return name, run


def _reference(proto: Any) -> tuple[str, Run]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    name = f"the reference evaluator of onnx {onnx.__version__}"
    given = {one.name for one in proto.graph.initializer}
    source = next(value.name for value in proto.graph.input if value.name not in given)
    try:
        evaluator = ReferenceEvaluator(proto)
    except Exception as error:  # whatever the evaluator raises
        raise SqhwError(f"{name} cannot run the file: {reason_of(error)}") from None

    def run(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        scores: Any = evaluator.run(None, {source: x})
        return np.asarray(scores[0])

    return name, run
