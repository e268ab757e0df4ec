"""ONNX files as plain data: nodes, arrays, and the one input and output of the network.

Nothing of a file is trusted: sizes, names and types are checked before they are used, and external
data are read from the file's own folder only.
"""

import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError, printable, shown
from sqhw.files.input_file import START, read_bytes, recognised
from sqhw.files.input_limits import MAX_NETWORK_BYTES
from sqhw.frontends.onnx_file.arrays import MAX_RANK, Arrays, Stored, attribute_array
from sqhw.frontends.onnx_file.node import STANDARD, Node

#: Most nodes of a graph; the largest networks of record have some thousand.
MAX_NODES = 1 << 16
#: Advice for axes without a size.
FIX_SHAPE = (
    "name the shape with input_shape (--input-shape), or export it with fixed sizes (without "
    "dynamic_axes or dynamic_shapes)"
)


@dataclass(frozen=True, eq=False)
class Model:
    """A file's graph as far as its output depends on it.

    Parameters
    ----------
    nodes : tuple of Node
        Each after those whose values it reads.
    arrays : Stored
        Initializers by name.
    input, output : str
        Names of the image's value and of the scores.
    shape : tuple of int
        Shape of the input with the axis of images.
    kind : str
        Element type of the input as NumPy names it, for example ``float32``.
    readers : dict of str to list of Node
        The nodes that read each value.
    pixels : bool
        Whether the input's numbers are pixels as they are: those of a type of unsigned integers, or
        of a file that says so.
    """

    nodes: tuple[Node, ...]
    arrays: Stored
    input: str
    output: str
    shape: tuple[int, ...]
    kind: str
    readers: dict[str, list[Node]]
    pixels: bool = False


def load_model(
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
) -> Model:
    """Return the graph of an ONNX file.

    Parameters
    ----------
    path : path
    input_shape : sequence of int, optional
        Shape of an image, without the axis of images, for inputs of dynamic shape.
    output : str, optional
        Name of the output, if the network has several.

    Raises
    ------
    SqhwError
        If there is no such file, or it is no ONNX file, damaged, cyclic, of an operator set that
        is newer than the installed `onnx` package, or has not one input of fixed shape and one
        output. The message does not name the file.
    """
    need_package("onnx", "reading an ONNX file")
    proto = _parsed(Path(path))
    graph = proto.graph
    if len(graph.node) > MAX_NODES:
        raise SqhwError(f"the graph has {len(graph.node):,} nodes, at most {MAX_NODES:,} are read")
    versions = _versions(proto)
    nodes = [_node(at, raw, versions) for at, raw in enumerate(graph.node)]
    _check_names(nodes)
    arrays = Arrays(graph.initializer, Path(path).parent)
    if graph.sparse_initializer:
        raise SqhwError("it has sparse initializers; convert them to dense ones before the import")
    value = _one(
        "input", [given for given in graph.input if given.name not in arrays], None, "image"
    )
    result = _one("output", list(graph.output), output, "scores")
    shape, kind = _input_form(value, input_shape)
    ordered = _ordered(nodes, result.name, {value.name, *arrays.names})
    readers: dict[str, list[Node]] = {}
    for node in ordered:
        for name in dict.fromkeys(filter(None, node.inputs)):
            readers.setdefault(name, []).append(node)
    pixels = kind.startswith("uint") or _says_pixels(proto)
    return Model(ordered, arrays, value.name, result.name, shape, kind, readers, pixels)


def _says_pixels(proto: Any) -> bool:
    """Return whether a file has the entry of metadata that `sqhw export` writes."""
    return any((one.key, one.value) == ("sqhw.input", "pixels") for one in proto.metadata_props)


def _parsed(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    data = read_bytes(path, MAX_NETWORK_BYTES)
    kind = recognised(path, data[:START])
    if kind is not None and "ONNX" not in kind:
        raise SqhwError(f"this is {kind}")
    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, RecursionError, ValueError):
        raise SqhwError("not an ONNX file, or a damaged one: protobuf cannot parse it") from None
    _check_texts(proto)
    if not proto.HasField("graph") or not proto.graph.node:
        raise SqhwError("not an ONNX file, or a damaged one: it has no graph")
    return proto


def _check_texts(message: Any) -> None:
    """Check that all texts of a message are Unicode: protobuf returns others as bytes."""
    for field in message.DESCRIPTOR.fields:  # ListFields would copy the bytes of arrays
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        value = getattr(message, field.name)
        repeated = hasattr(value, "__len__") and not isinstance(value, str | bytes)
        if not (len(value) if repeated else message.HasField(field.name)):
            continue
        if field.type == field.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            broken = next((text for text in texts if not isinstance(text, str)), None)
            if broken is not None:
                raise SqhwError(
                    f"a damaged ONNX file: field {field.name!r} has a text that is not UTF-8, "
                    f"{shown(broken.decode('utf-8', 'replace'))}"
                )
        else:
            for part in value if repeated else [value]:
                _check_texts(part)


def _versions(proto: Any) -> dict[str, int]:
    """Return the version of each operator set."""
    import onnx

    versions = {
        "" if one.domain in STANDARD else one.domain: one.version for one in proto.opset_import
    }
    known = onnx.defs.onnx_opset_version()
    found = versions.setdefault("", known)
    if not 1 <= found <= known:
        raise SqhwError(
            f"operator set {found} is newer than {known}, the newest that the installed onnx "
            f"{onnx.__version__} knows; update onnx, or export with opset_version={known}"
        )
    return versions


def _node(at: int, raw: Any, versions: Mapping[str, int]) -> Node:
    domain = "" if raw.domain in STANDARD else str(raw.domain)
    outputs = tuple(raw.output)
    name = raw.name or f"{raw.op_type}:{next(filter(None, outputs), at)}"
    return Node(
        name=name,
        kind=str(raw.op_type),
        domain=domain,
        version=versions.get(domain, 1),
        inputs=tuple(raw.input),
        outputs=outputs,
        attributes={one.name: _attribute(one) for one in raw.attribute},
    )


def _attribute(raw: Any) -> Any:
    import onnx

    kinds = onnx.AttributeProto
    if raw.type == kinds.FLOAT:
        return float(raw.f)
    if raw.type == kinds.INT:
        return int(raw.i)
    if raw.type == kinds.STRING:
        return raw.s.decode("utf-8", "replace")
    if raw.type == kinds.FLOATS:
        return tuple(map(float, raw.floats))
    if raw.type == kinds.INTS:
        return tuple(map(int, raw.ints))
    if raw.type == kinds.TENSOR:
        return attribute_array(raw.t)
    return None


def _check_names(nodes: Sequence[Node]) -> None:
    made = Counter(name for node in nodes for name in node.outputs if name)
    twice = next((name for name, count in made.items() if count > 1), None)
    if twice is not None:
        raise SqhwError(f"value {shown(twice)} is made by several nodes; export the model anew")


def _one(what: str, values: list[Any], wanted: str | None, content: str) -> Any:
    """Return the one input or output."""
    names = [value.name for value in values]
    if wanted is not None:
        if wanted not in names:
            raise SqhwError(f"it has no {what} {shown(wanted)}; its {what}s are {shown(names)}")
        return values[names.index(wanted)]
    if len(values) != 1:
        hint = f"; name one of them with {what}=" if what == "output" and values else ""
        raise SqhwError(
            f"it has {len(values)} {what}s {shown(names)}, not one, the {content}{hint}"
        )
    return values[0]


def _input_form(value: Any, wanted: Sequence[int] | None) -> tuple[tuple[int, ...], str]:
    """Return shape and element type of the input."""
    import onnx

    where = f"input {shown(value.name)}"
    if value.type.WhichOneof("value") != "tensor_type":
        raise SqhwError(f"{where}: it is no tensor")
    kind = value.type.tensor_type
    try:
        element = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except (KeyError, TypeError, ValueError):
        raise SqhwError(f"{where}: its type {kind.elem_type} is unknown") from None
    dims = list(kind.shape.dim) if kind.HasField("shape") else []
    if not dims and wanted is None:
        raise SqhwError(f"{where}: it has no shape; {FIX_SHAPE}")
    sizes = [dim.dim_value if dim.WhichOneof("value") == "dim_value" else 0 for dim in dims]
    if wanted is not None:
        given = [sizes[0] if sizes else 0, *map(int, wanted)]
        if dims and (
            len(given) != len(sizes)
            or any(own > 0 and own != new for own, new in zip(sizes[1:], given[1:], strict=True))
        ):
            raise SqhwError(f"{where}: its shape is {_named(dims)}, which {tuple(wanted)} is not")
        sizes = given
    if not 2 <= len(sizes) <= 4:
        raise SqhwError(
            f"{where}: its shape is {_named(dims)}; images of 1 to 3 axes after the axis of images "
            "are taken"
        )
    dynamic = [at for at, size in enumerate(sizes) if at and size < 1]
    if dynamic:
        names = " and ".join(f"axis {at} ({_name(dims[at])})" for at in dynamic)
        raise SqhwError(f"{where}: {names} of its shape {_named(dims)} has no size; {FIX_SHAPE}")
    return (max(1, sizes[0]), *sizes[1:]), element


def _name(dim: Any) -> str:
    """Return the name of an axis without a size."""
    return printable(dim.dim_param[:40]) or "unnamed"


def _named(dims: Sequence[Any]) -> str:
    parts = [str(dim.dim_value or _name(dim)) for dim in dims[: MAX_RANK + 1]]
    return f"({', '.join(parts)})"


def _ordered(nodes: Sequence[Node], output: str, given: set[str]) -> tuple[Node, ...]:
    """Return the nodes that the output depends on, each after those that it reads."""
    makers = {name: node for node in nodes for name in node.outputs if name}
    needed: dict[int, Node] = {}
    queue = deque([output])
    seen = {output}
    while queue:
        name = queue.popleft()
        node = makers.get(name)
        if name in given:
            continue
        if node is None:
            raise SqhwError(f"value {shown(name)} is read, but no node makes it; export it anew")
        needed[id(node)] = node
        for source in node.inputs:
            if source and source not in seen:
                seen.add(source)
                queue.append(source)
    waiting = {
        key: len({id(makers[name]) for name in node.inputs if name and name not in given})
        for key, node in needed.items()
    }
    readers: dict[int, list[int]] = {key: [] for key in needed}
    for key, node in needed.items():
        for maker in {id(makers[name]) for name in node.inputs if name and name not in given}:
            readers[maker].append(key)
    places = {id(node): at for at, node in enumerate(nodes)}
    ready = deque(sorted((key for key in needed if not waiting[key]), key=places.__getitem__))
    ordered: list[Node] = []
    while ready:
        key = ready.popleft()
        ordered.append(needed[key])
        for reader in readers[key]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(ordered) < len(needed):
        node = next(needed[key] for key in needed if waiting[key])
        raise SqhwError(f"the graph is cyclic: {node.title} {node.name!r} reads its own value")
    return tuple(ordered)
