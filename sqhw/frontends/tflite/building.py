"""The neutral graph while a file is read."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.frontends.neutral import Clip, Constant, Graph, Operator, Quantization, Refused, Tensor
from sqhw.frontends.tflite.layout import activation_grid, image_shape, real_values
from sqhw.frontends.tflite.model import ABSENT, FileModel, FileOperator, FileTensor
from sqhw.frontends.tflite.names import ACTIVATIONS, name_of

INPUT_NAME = "input"
#: Bounds of real numbers by the name of an activation function.
BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
#: Kinds of file tensors that hold weights of floats in fewer bits.
_HALVES = ("FLOAT16", "BFLOAT16")


class Building:
    """Operators so far, and the neutral tensor of each tensor of the file.

    Parameters
    ----------
    model : FileModel
    """

    def __init__(self, model: FileModel) -> None:
        self.model = model
        self.folded: dict[int, FileTensor] = {}
        self.operators: list[Operator] = []
        self.tensors: dict[str, Tensor] = {}
        self.notes: dict[str, None] = {}
        #: Neutral tensors by the number of the file's tensor.
        self.shown: dict[int, str] = {}

    def open_input(self) -> None:
        """Add the tensor that an image is."""
        (at,) = self.model.inputs
        tensor = self.model.tensors[at]
        self.tensors[INPUT_NAME] = Tensor(image_shape(tensor), activation_grid(tensor))
        self.shown[at] = INPUT_NAME

    def graph(self, name: str) -> Graph:
        """Return the graph.

        Raises
        ------
        SqhwError
            If operators do not fit together.
        """
        (at,) = self.model.outputs
        if at not in self.shown:
            raise SqhwError("no operator makes its output")
        return Graph(
            name=name,
            source="tflite",
            input=INPUT_NAME,
            output=self.shown[at],
            tensors=self.tensors,
            operators=tuple(self.operators),
            notes=tuple(self.notes),
        )

    def note(self, text: str) -> None:
        """Add a sentence on what was left out or changed, once."""
        self.notes[text] = None

    def source(self, operator: FileOperator, place: int = 0) -> str:
        """Return the neutral tensor that is an input of an operator.

        Raises
        ------
        Refused
            If no operator before it makes that.
        """
        at = operator.inputs[place] if place < len(operator.inputs) else ABSENT
        if at not in self.shown:
            tensor = self.model.tensors[at] if at != ABSENT else None
            if tensor is not None and tensor.data is not None:
                raise Refused("computes with constants alone", "fold them when converting")
            raise Refused("reads a tensor that no operator before it makes")
        return self.shown[at]

    def constant(self, operator: FileOperator, place: int) -> FileTensor | None:
        """Return a constant that is an input of an operator, or nothing if it has none there."""
        at = operator.inputs[place] if place < len(operator.inputs) else ABSENT
        if at == ABSENT:
            return None
        return self.folded.get(at, self.model.tensors[at])

    def fold(self, at: int, values: npt.NDArray[Any]) -> None:
        """Let a tensor that an operator makes of constants be a constant of real numbers."""
        tensor = self.model.tensors[at]
        if tensor.shape != values.shape:
            raise Refused(f"makes a tensor of {tensor.shape} of constants of {values.shape}")
        self.folded[at] = FileTensor(tensor.name, tensor.shape, "FLOAT32", values)

    def add(self, made: Operator, tensor: FileTensor) -> None:
        """Add an operator whose output is an activation of the file."""
        self.operators.append(made)
        self.tensors[made.output] = Tensor(image_shape(tensor), activation_grid(tensor))

    def finish(self, operator: FileOperator, made: Operator, activation: int = 0) -> None:
        """Add the operator that stands for one of the file, and its activation function.

        Parameters
        ----------
        operator : FileOperator
        made : Operator
            Operator whose output is named as the operator.
        activation : int
            Number of the activation function.
        """
        (at,) = operator.outputs
        tensor = self.model.tensors[at]
        kind = name_of(ACTIVATIONS, activation)
        if kind != "NONE" and kind not in BOUNDS:
            raise Refused(f"has the activation function {kind}", "train with ReLU or ReLU6")
        grid = activation_grid(tensor)
        self.shown[at] = made.output
        if kind == "NONE":
            self.add(made, tensor)
        elif grid is None:
            self.add(made, tensor)
            low, high = BOUNDS[kind]
            name = f"{operator.name}_{kind.lower()}"
            clip = Clip(name=name, inputs=(made.output,), output=name, low=low, high=high)
            self.add(clip, tensor)
            self.shown[at] = name
        else:
            self.add(replace(made, clamp=clamp_of(grid, kind)), tensor)

    def real(self, tensor: FileTensor) -> Constant:
        """Return a constant as real numbers, with a note if they were stored in another way."""
        values = real_values(tensor)
        if tensor.type in _HALVES:
            self.note(f"weights of type {tensor.type} were converted to 32 bits")
        elif tensor.type != "FLOAT32":
            self.note(
                "8-bit weights beside activations of real numbers (dynamic range quantization) "
                "were converted to real numbers; the runtime quantizes activations image by image"
            )
        if not np.isfinite(values).all():
            raise Refused("has a weight that is not finite", "train the model anew")
        return Constant(tensor.name, values)


def clamp_of(grid: Quantization, kind: str) -> tuple[int, int]:
    """Return the bounds that an activation function sets to integers, as the runtime does."""
    low, high = BOUNDS[kind]
    bounds = [grid.lo, grid.hi]
    for place, real in enumerate((low, high)):
        if real is not None:
            bounds[place] = int(grid.integers(np.float64(real)))  # type: ignore[arg-type]
    return bounds[0], bounds[1]


def whole_numbers(tensor: FileTensor | None, what: str) -> npt.NDArray[Any]:
    """Return the integers of a constant such as axes or a padding.

    Raises
    ------
    Refused
        If it is no constant of integers.
    """
    if tensor is None or tensor.data is None or tensor.type not in ("INT32", "INT64"):
        raise Refused(f"has {what} that no constant of integers gives", "fold them when converting")
    return tensor.data
