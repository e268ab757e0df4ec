"""What ROM images lack of their network: its graph, as facts of ``rom.json``.

Images have no names, no height of a kernel and no length of a codebook, and they name maps by their
rows in memory. All numbers are in the images only. What both have is checked against the images by
`sqhw.steps.simulate_rom`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqhw.errors import SqhwError, shown
from sqhw.files.plain import field_of, located, typed
from sqhw.machine.number import ActivationFormat
from sqhw.network.graph import CONV_KINDS, MaxPool
from sqhw.network.layer_records import layer_record
from sqhw.network.quantized import QuantizedNetwork, Residual

#: Field of the manifest, and its newest version.
FIELD, VERSION = "graph", 1


@dataclass(frozen=True)
class ConvFacts:
    """A convolution without its numbers.

    Parameters
    ----------
    kind, name, source, groups, residual, stride, padding, output
        As in `sqhw.network.quantized.Conv`.
    kernel : tuple of int (height, width)
    codebook_values : int
        Length of the codebook.
    table : bool
        Whether its activation function is a table.
    """

    kind: str
    name: str
    source: str
    groups: int
    residual: Residual | None
    stride: int | tuple[int, int]
    padding: tuple[int, int, int, int]
    kernel: tuple[int, int]
    codebook_values: int
    output: ActivationFormat
    table: bool


@dataclass(frozen=True)
class RomGraph:
    """The graph of the network of ROM images.

    Parameters
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
    input_format : ActivationFormat
    layers : tuple of ConvFacts or MaxPool
    """

    name: str
    input_shape: tuple[int, int, int]
    input_format: ActivationFormat
    layers: tuple[ConvFacts | MaxPool, ...]


def graph_facts(network: QuantizedNetwork) -> dict[str, Any]:
    """Return the facts of a network's graph, as JSON values."""
    records = []
    for layer in network.layers:
        record = layer_record(layer)
        if not isinstance(layer, MaxPool):
            record |= {
                "kernel": [int(side) for side in layer.kernel],
                "codebook_values": len(layer.codebook),
                "output": _format(layer.output),
                "table": layer.has_table,
            }
        records.append(record)
    return {
        "version": VERSION,
        "input_shape": [int(side) for side in network.input_shape],
        "input_format": _format(network.input_format),
        "layers": records,
    }


def read_graph(manifest: Mapping[str, Any], source: str) -> RomGraph:
    """Return the graph of a manifest.

    Parameters
    ----------
    manifest : mapping
        As `sqhw.export.manifest.read_manifest` returns it.
    source : str
        Path of the manifest, for errors.

    Raises
    ------
    SqhwError
        If it has no graph, or one of a newer version, or a field is missing or of another type.
    """
    if FIELD not in manifest:
        raise SqhwError(
            f"{source} does not have the graph of the network; write the images anew with "
            "`sqhw rom`, or name the network's file too"
        )
    with located(f"{source}: its field {FIELD!r}"):
        facts = typed(dict, manifest[FIELD])
        version = field_of(facts, "version", int)
        if version > VERSION:
            raise SqhwError(
                f"version {version} is newer than this sqhw, which reads up to {VERSION}; "
                "update sqhw"
            )
        records = field_of(facts, "layers", list[Any])
        return RomGraph(
            name=str(manifest.get("network", "network")),
            input_shape=field_of(facts, "input_shape", tuple[int, int, int]),
            input_format=field_of(facts, "input_format", ActivationFormat),
            layers=tuple(_layer(record, at) for at, record in enumerate(records)),
        )


def _format(form: ActivationFormat) -> dict[str, Any]:
    return {"bits": int(form.bits), "signed": bool(form.signed)}


def _layer(record: Any, at: int) -> ConvFacts | MaxPool:
    with located(f"layer number {at + 1}"):
        fields = dict(typed(dict, record))
        kind = field_of(fields, "kind", str)
        if kind == "maxpool":
            del fields["kind"]
            return typed(MaxPool, fields, partial=True)
        if kind not in CONV_KINDS:
            known = ", ".join((*CONV_KINDS, "maxpool"))
            raise SqhwError(f"unknown kind {shown(kind)}; known: {known}")
        return typed(ConvFacts, fields)
