"""Nodes and constants of an ONNX file in the making."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw import __version__
from sqhw.environment.extras import need_package

#: Version of ONNX's own operators in the files, and version of the format.
OPSET, IR_VERSION = 17, 8
#: Name of the input, and of the scores.
SOURCE, SCORES = "pixels", "scores"


class Parts:
    """Nodes and constants so far.

    Parameters
    ----------
    what : str
        Format, for the message if the package `onnx` is missing.

    Raises
    ------
    SqhwError
        If the package is missing.
    """

    def __init__(self, what: str) -> None:
        need_package("onnx", f"sqhw export --format {what}")
        self._nodes: list[Any] = []
        self._constants: dict[str, npt.NDArray[Any]] = {}
        self._names = {SOURCE, SCORES}

    def constant(self, name: str, values: npt.ArrayLike, kind: npt.DTypeLike) -> str:
        """Add a constant, and return its name."""
        own = self._free(name)
        self._constants[own] = np.asarray(values, dtype=kind)
        return own

    def node(self, kind: str, inputs: list[str], name: str, domain: str = "", **fields: Any) -> str:
        """Add a node of one output, and return the name of that, which is `name` if it is free.

        Parameters
        ----------
        kind : str
        inputs : list of str
        name : str
        domain : str
            Domain of the operator, if it is none of ONNX's own.
        **fields
            Attributes, and ``title``, the name of the node itself.
        """
        return self._add(kind, inputs, self._free(name), domain, fields)

    def end(self, kind: str, inputs: list[str], **fields: Any) -> None:
        """Add the node that makes the scores."""
        self._add(kind, inputs, SCORES, "", fields)

    def model(
        self,
        title: str,
        kind: npt.DTypeLike,
        shape: tuple[int, int, int],
        scores: int,
        domain: str = "",
    ) -> bytes:
        """Return the file.

        Parameters
        ----------
        title : str
            Name of the graph.
        kind : dtype
            Type of the pixels.
        shape : tuple of int (channels, height, width)
        scores : int
            Number of scores.
        domain : str
            Domain of operators other than ONNX's own. A file with such operators is for one image
            at a time, as the tools for them expect.
        """
        from onnx import TensorProto, helper, numpy_helper

        batch = 1 if domain else "images"
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        graph = helper.make_graph(
            self._nodes,
            title,
            [helper.make_tensor_value_info(SOURCE, element, [batch, *shape])],
            [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, [batch, scores])],
            [numpy_helper.from_array(values, name) for name, values in self._constants.items()],
        )
        sets = [helper.make_opsetid("", OPSET)]
        sets += [helper.make_opsetid(domain, 1)] if domain else []
        made = helper.make_model(
            graph,
            opset_imports=sets,
            ir_version=IR_VERSION,
            producer_name="sqhw",
            producer_version=__version__,
        )
        helper.set_model_props(made, {"sqhw.input": "pixels"})
        content: bytes = made.SerializeToString(deterministic=True)
        return content

    def _add(
        self, kind: str, inputs: list[str], output: str, domain: str, fields: dict[str, Any]
    ) -> str:
        from onnx import helper

        title = fields.pop("title", f"{kind}:{output}")
        self._nodes.append(
            helper.make_node(kind, inputs, [output], name=title, domain=domain, **fields)
        )
        return output

    def _free(self, name: str) -> str:
        """Return a name that was not returned before."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name
