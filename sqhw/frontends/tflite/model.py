"""What a TensorFlow Lite file holds: tensors and operators, each within its limits."""

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_NAME_CHARS
from sqhw.frontends.tflite.flatbuffer import Table
from sqhw.frontends.tflite.names import DTYPES, OPERATORS, TYPES, name_of
from sqhw.network.limits import MAX_CHANNELS, MAX_LAYERS

#: First bytes of a file after the offset of its first table.
IDENTIFIER = b"TFL3"
VERSION = 3  # of the schema, the only one
#: Largest numbers of tensors, of kinds of operators, of dimensions, and of inputs of an operator.
MAX_TENSORS, MAX_KINDS, MAX_RANK, MAX_INPUTS = 1 << 14, 1 << 12, 6, 16
#: Largest factor by which the values that operators read exceed the file, in which they may share.
MAX_SHARING = 4
#: Largest number of values of a tensor.
MAX_VALUES = 1 << 31
#: Number of an input that an operator does not have, such as a bias.
ABSENT = -1
#: Builtin codes above this number stand in a second field; the first one then holds this.
OLD_CODES = 127

# Numbers of the fields in the schema.
_MODEL = {"version": 0, "operator_codes": 1, "subgraphs": 2, "buffers": 4}
_CODE = {"old": 0, "custom": 1, "builtin": 3}
_SUBGRAPH = {"tensors": 0, "inputs": 1, "outputs": 2, "operators": 3, "name": 4}
_TENSOR = {"shape": 0, "type": 1, "buffer": 2, "name": 3, "quantization": 4, "variable": 5}
_TENSOR |= {"sparsity": 6, "signature": 7}
_GRID = {"scale": 2, "zero_point": 3, "details": 4, "axis": 6}
_BUFFER = {"data": 0, "offset": 1}
_OPERATOR = {"code": 0, "inputs": 1, "outputs": 2, "options": 4}


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor as the file has it, channels last.

    Parameters
    ----------
    name : str
    shape : tuple of int, each 1 or more, but for `open_axes`
    type : str
        Name of its type, one of `sqhw.frontends.tflite.names.TYPES`.
    data : ndarray, optional
        Values of a constant, of that type and shape.
    scale : ndarray of float32, shape (n,)
        Scales, empty without quantization.
    zero_point : ndarray of int64, shape (n,)
    axis : int
        Axis along which there are several scales.
    open_axes : tuple of int
        Axes, but for that of the batch, whose size the file leaves open.
    flaw : str
        What is not read about it, empty if there is nothing.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    data: npt.NDArray[Any] | None = None
    scale: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    zero_point: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    axis: int = 0
    open_axes: tuple[int, ...] = ()
    flaw: str = ""


@dataclass(frozen=True, eq=False)
class FileOperator:
    """An operator as the file has it.

    Parameters
    ----------
    kind : str
        Its type as the schema spells it, for example ``CONV_2D``, or a custom one's name.
    name : str
        Kind and place in the file, for example ``conv_2d_3``.
    inputs, outputs : tuple of int
        Numbers of tensors; an input may be `ABSENT`.
    options : Table, optional
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True, eq=False)
class FileModel:
    """The one graph of a file.

    Parameters
    ----------
    tensors : tuple of FileTensor
    operators : tuple of FileOperator
        In the order of their execution.
    inputs, outputs : tuple of int
        Numbers of tensors.
    """

    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def parse_model(data: bytes) -> FileModel:
    """Return the graph of a TensorFlow Lite file.

    Raises
    ------
    SqhwError
        If it is no such file, or a damaged one, or has more than one graph. The message does not
        name the file.
    """
    if data[4:8] != IDENTIFIER:
        raise SqhwError("not a TensorFlow Lite file: it does not have TFL3 at byte 4")
    root = Table.root(data)
    version = root.integer(_MODEL["version"], "I")
    if version != VERSION:
        raise SqhwError(f"a TensorFlow Lite file of schema version {version}; {VERSION} is read")
    codes = [_kind(code) for code in root.tables(_MODEL["operator_codes"], MAX_KINDS, "operators")]
    graphs = list(root.tables(_MODEL["subgraphs"], MAX_KINDS, "graphs"))
    if len(graphs) != 1:
        raise SqhwError(f"has {len(graphs)} graphs, which is control flow; one graph is read")
    buffers = tuple(root.tables(_MODEL["buffers"], MAX_TENSORS, "buffers"))
    (graph,) = graphs
    tensors = tuple(
        _tensor(table, buffers, number)
        for number, table in enumerate(graph.tables(_SUBGRAPH["tensors"], MAX_TENSORS, "tensors"))
    )
    operators = tuple(
        _operator(table, codes, len(tensors), number)
        for number, table in enumerate(graph.tables(_SUBGRAPH["operators"], MAX_LAYERS, "layers"))
    )
    ends = [
        _numbers(graph, _SUBGRAPH[which], len(tensors), f"its {which}")
        for which in ("inputs", "outputs")
    ]
    read = (at for one in operators for at in one.inputs if at != ABSENT)
    values = sum(found.nbytes for at in read if (found := tensors[at].data) is not None)
    if values > MAX_SHARING * len(data):
        raise SqhwError(
            f"its operators read {values:,} bytes of constants, more than {MAX_SHARING} times the "
            f"{len(data):,} of the file"
        )
    return FileModel(tensors, operators, *ends)


def _kind(code: Table) -> str:
    """Return the name of an operator code."""
    old, new = code.integer(_CODE["old"], "b"), code.integer(_CODE["builtin"], "i")
    kind = name_of(OPERATORS, new if old >= OLD_CODES else max(old, new))
    return code.text(_CODE["custom"], MAX_NAME_CHARS) or kind if kind == "CUSTOM" else kind


def _operator(table: Table, codes: list[str], tensors: int, number: int) -> FileOperator:
    code = table.integer(_OPERATOR["code"], "I")
    if code >= len(codes):
        raise SqhwError(f"damaged: operator {number} is of kind {code}, there are {len(codes)}")
    kind = codes[code]
    where = f"operator {number}, {shown(kind)}"
    return FileOperator(
        kind=kind,
        name=f"{kind.lower()[:40]}_{number}",
        inputs=_numbers(table, _OPERATOR["inputs"], tensors, where, lowest=ABSENT),
        outputs=_numbers(table, _OPERATOR["outputs"], tensors, where),
        options=table.table(_OPERATOR["options"]),
    )


def _numbers(
    table: Table, place: int, tensors: int, where: str, lowest: int = 0
) -> tuple[int, ...]:
    """Return the numbers of tensors in a field."""
    found = table.numbers(place, "i4")
    if len(found) > MAX_INPUTS:
        raise SqhwError(f"{where}: {len(found):,} tensors, at most {MAX_INPUTS} are read")
    numbers = tuple(int(number) for number in found)
    for number in numbers:
        if not lowest <= number < tensors:
            raise SqhwError(f"damaged: {where}: tensor {number}, there are {tensors:,}")
    return numbers


def _tensor(table: Table, buffers: tuple[Table, ...], number: int) -> FileTensor:
    name = table.text(_TENSOR["name"], MAX_NAME_CHARS)
    where = f"tensor {number}, {shown(name)}"
    kind = name_of(TYPES, table.integer(_TENSOR["type"], "b"))
    sides = table.numbers(_TENSOR["shape"], "i4")
    signature = table.numbers(_TENSOR["signature"], "i4")
    if max(len(sides), len(signature)) > MAX_RANK:
        raise SqhwError(f"{where}: {len(sides):,} dimensions, at most {MAX_RANK} are read")
    shape = tuple(int(side) for side in sides)
    open_axes = tuple(
        int(axis) for axis in np.flatnonzero((signature if len(signature) else sides) < 0) if axis
    )
    if any(side < 0 for side in shape) and not open_axes:
        shape = tuple(1 if side < 0 else side for side in shape)  # that of the batch
    if prod(abs(side) for side in shape) > MAX_VALUES:
        raise SqhwError(f"{where}: shape {shape} of more than {MAX_VALUES:,} values")
    place = table.integer(_TENSOR["buffer"], "I")
    if place and place >= len(buffers):
        raise SqhwError(f"damaged: {where}: buffer {place}, there are {len(buffers):,}")
    found = FileTensor(name, shape, kind, open_axes=open_axes)
    data = buffers[place].numbers(_BUFFER["data"], "u1") if place else np.empty(0, np.uint8)
    if place and buffers[place].integer(_BUFFER["offset"], "Q") > 1:
        return _with(found, flaw="its values stand after the end of the table of the model")
    if table.table(_TENSOR["sparsity"]):
        return _with(found, flaw="its values are stored sparse")
    if table.integer(_TENSOR["variable"], "?"):
        return _with(found, flaw="it is a variable that keeps its value from image to image")
    if len(data):
        found = _with(found, data=_values(found, data, where))
    grid = table.table(_TENSOR["quantization"])
    return found if grid is None else _quantized(found, grid, where)


def _values(tensor: FileTensor, data: npt.NDArray[np.uint8], where: str) -> npt.NDArray[Any] | None:
    if tensor.type not in DTYPES:
        return None  # of a type that no operator here reads
    dtype = np.dtype(f"<{DTYPES[tensor.type]}")
    size = prod(tensor.shape) * dtype.itemsize
    if min(tensor.shape, default=1) < 0 or size != len(data):
        raise SqhwError(
            f"damaged: {where}: {len(data):,} bytes of values, its shape {tensor.shape} of type "
            f"{tensor.type} has {size:,}"
        )
    return data.view(dtype).reshape(tensor.shape)


def _quantized(tensor: FileTensor, grid: Table, where: str) -> FileTensor:
    scale = grid.numbers(_GRID["scale"], "f4")
    zero_point = grid.numbers(_GRID["zero_point"], "i8")
    if grid.integer(_GRID["details"], "B"):
        return _with(tensor, flaw="its quantization is not one of scales and zero points")
    if not len(scale):
        return tensor  # minimum and maximum alone
    if len(scale) > MAX_CHANNELS:
        raise SqhwError(f"{where}: {len(scale):,} scales, at most {MAX_CHANNELS:,} are read")
    axis = grid.integer(_GRID["axis"], "i")
    if len(zero_point) < 2:  # one for all; none is 0
        one = zero_point[0] if len(zero_point) else np.int64(0)
        zero_point = np.broadcast_to(one, len(scale))
    fits = len(scale) == 1 or (0 <= axis < len(tensor.shape) and tensor.shape[axis] == len(scale))
    if not fits or len(zero_point) != len(scale):
        raise SqhwError(
            f"damaged: {where}: {len(scale):,} scales and {len(zero_point):,} zero points along "
            f"axis {axis} of a shape {tensor.shape}"
        )
    if not (np.isfinite(scale).all() and scale.min() >= 0):
        raise SqhwError(f"{where}: a scale is negative or not finite")
    return _with(tensor, scale=scale, zero_point=zero_point, axis=axis if len(scale) > 1 else 0)


def _with(tensor: FileTensor, **fields: Any) -> FileTensor:
    return FileTensor(**(vars(tensor) | fields))
