"""Files of torch.export to the neutral graph."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.onnx_file.convert import graph_of, read_nodes
from sqhw.frontends.onnx_file.file import Model
from sqhw.frontends.onnx_file.node import Node
from sqhw.frontends.torch_export.archive import Archive, Arrays, type_of
from sqhw.frontends.torch_export.program import Program, read_program
from sqhw.frontends.torch_export.translate import Translation

#: Most calls of operators.
MAX_CALLS = 20_000


def read_pt2(
    path: Path, *, input_shape: Sequence[int] | None = None, output: str | None = None
) -> Graph:
    """Return the neutral graph of a file of ``torch.export.save``; PyTorch is not needed.

    Parameters
    ----------
    path : Path
    input_shape : sequence of int, optional
        Shape of an image, for sizes that the file leaves open.
    output : str, optional
        Name of the output, if the program has several.

    Raises
    ------
    SqhwError
        If the file is damaged, its weights are pickles, or operators are not supported; all of them
        are named.
    """
    with located(path):
        archive = Archive(path)
        program = read_program(archive.program)
        if len(program.calls) > MAX_CALLS:
            raise SqhwError(f"it has {len(program.calls):,} calls, at most {MAX_CALLS:,} are read")
        arrays = _arrays(archive, program)
        nodes = Translation(program, arrays).run()
        model = _model(program, arrays, nodes, input_shape, output)
        return replace(graph_of(read_nodes(model), model, path.stem), source="pt2")


def _arrays(archive: Archive, program: Program) -> Arrays:
    places = archive.arrays()
    missing = next((name for name in program.stored.values() if name not in places), None)
    if missing is not None:
        raise SqhwError(f"it lacks the array {shown(missing)}")
    return Arrays(archive, {own: places[name] for own, name in program.stored.items()})


def _model(
    program: Program,
    arrays: Arrays,
    nodes: tuple[Node, ...],
    input_shape: Sequence[int] | None,
    output: str | None,
) -> Model:
    if len(program.inputs) != 1:
        raise SqhwError(f"it has {len(program.inputs)} inputs, not one, the image")
    (source,) = program.inputs
    outputs = program.outputs
    if output is not None and output not in outputs:
        raise SqhwError(f"it has no output {shown(output)}; its outputs are {shown(outputs)}")
    if output is None and len(outputs) != 1:
        raise SqhwError(f"it has {len(outputs)} outputs {shown(outputs)}; name one with --output")
    shape = program.shapes.get(source, ())
    if input_shape is not None:
        given = tuple(map(int, input_shape))
        if len(given) + 1 != len(shape) or any(
            own not in (0, new) for own, new in zip(shape[1:], given, strict=True)
        ):
            raise SqhwError(f"its input has the shape {shape}, which {given} is not")
        shape = (shape[0], *given)
    if not 2 <= len(shape) <= 4 or not all(shape[1:]):
        raise SqhwError(
            f"its input has the shape {shape}; images of 1 to 3 axes of fixed sizes are taken; "
            "export it with them fixed, or add --input-shape"
        )
    kind = type_of(program.kinds.get(source))
    if kind is None:
        raise SqhwError("its input has a type that is not read")
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in dict.fromkeys(filter(None, node.inputs)):
            readers.setdefault(name, []).append(node)
    result = output or outputs[0]
    form = (max(1, shape[0]), *shape[1:])
    return Model(nodes, arrays, source, result, form, kind, readers, kind.startswith("uint"))
