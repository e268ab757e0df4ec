"""The network that a folder of ROM images holds: its numbers are decoded from the images.

Weights, biases, requantization constants, skip weights and channels come from the images. Names,
the graph, kernels and paddings come from the manifest or from the network's file, because images do
not have all of them. Where both say something they must agree: the decoded network is compiled
again, and must give the same images.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.compiler.program import compile_network
from sqhw.compiler.rom_contents import (
    bits_of,
    descriptor_at,
    numbers,
    record_widths,
    records_at,
    signed,
)
from sqhw.errors import SqhwError
from sqhw.export.file_set import DIGESTS, check_set
from sqhw.export.manifest import FILES, check_manifest, check_roms, pieces_of, read_manifest
from sqhw.export.readmemh import image_texts, read_image
from sqhw.export.rom_graph import ConvFacts, RomGraph, read_graph
from sqhw.files.plain import located
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    CODEBOOK_WIDTH,
    TABLE_ENTRIES,
    TABLE_WIDTH,
    descriptor_bits,
    descriptor_words,
    rom_widths,
)
from sqhw.machine.naming import DEFAULT_NAME
from sqhw.machine.rom_pieces import Pieces
from sqhw.machine.stream import Bits, Entries, StreamFormat, StreamRecord
from sqhw.network.graph import MaxPool
from sqhw.network.limits import MAX_MAPS, MAX_SIDE
from sqhw.network.quantized import Conv, Layer, QuantizedNetwork


def rom_network(folder: Path, network: QuantizedNetwork | None = None) -> QuantizedNetwork:
    """Return the network of ROM images, with all numbers that they hold decoded from them.

    Parameters
    ----------
    folder : path
        Folder that `sqhw rom` wrote.
    network : QuantizedNetwork, optional
        Network that the images were written from. Without it the graph is that in the manifest, and
        real values of weights and outputs, on which no integer depends, are 1.

    Raises
    ------
    SqhwError
        If a file is missing, truncated or changed, the images are those of another network, or the
        manifest is of a newer version or says something else than the images.
    """
    source = folder / FILES["rom"]
    if network is None:
        with located(source):
            engine = EngineConfig.from_dict(read_manifest(folder, "rom")["engine"])
    else:
        engine = network.facts.engine
    manifest = check_manifest(folder, "rom", engine)
    check_set(folder, "rom", manifest)
    pieces = pieces_of(folder, "rom", engine)
    widths = rom_widths(engine)
    check_roms(pieces, widths, source)
    if network is not None:
        _check_images(
            network,
            pieces,
            manifest,
            f"the ROM images in {folder} are not those of network {network.name!r}",
            "name the network's file that they were written from, or write them anew with "
            "`sqhw rom`",
        )
    name = manifest.get("name", DEFAULT_NAME)
    roms = {
        rom: bits_of(read_image(rom, pieces[rom], folder, name).words, width)
        for rom, width in widths.items()
    }
    if network is not None:
        return _decoded(network, roms, engine)
    graph = read_graph(manifest, str(source))
    with located(f"{source}: its graph does not suit the images"):
        found = _decoded(_shell(graph, roms["params"], engine), roms, engine)
        _check_images(
            found, pieces, manifest, "the network is another", "write them anew with `sqhw rom`"
        )
    return found


def _check_images(
    network: QuantizedNetwork,
    pieces: Pieces,
    manifest: Mapping[str, Any],
    what: str,
    advice: str,
) -> None:
    """Refuse images whose digests are not those of a network's images."""
    program = compile_network(network, network.facts.engine, manifest.get("batch", 1))
    for image in program.images:
        try:
            texts = image_texts(image, pieces[image.name], manifest.get("name", DEFAULT_NAME))
        except SqhwError:
            texts = {image.name: ""}
        for file, text in texts.items():
            if manifest[DIGESTS].get(file) != hashlib.sha256(text.encode()).hexdigest():
                raise SqhwError(
                    f"{what}: the digest of {file} in {FILES['rom']} is another; {advice}"
                )


def _shell(graph: RomGraph, params: Bits, engine: EngineConfig) -> QuantizedNetwork:
    """Return the network of a graph with the channels and formats of descriptors, all weights 0."""
    layers = list[Layer]()
    positions = 0
    for at, facts in enumerate(graph.layers):
        if isinstance(facts, MaxPool):
            layers.append(facts)
            continue
        with located(f"layer {facts.name!r}"):
            fields = _descriptor(params, at, engine)
            shape = (
                fields["last_channel"] + 1,
                fields["in_channels"] // max(1, facts.groups),
                *facts.kernel,
            )
            positions += prod(shape)
            if min(shape) < 1 or max(shape) > MAX_SIDE or positions > MAX_MAPS:
                raise SqhwError(
                    f"weights of shape {shape}; each side must be 1 to {MAX_SIDE:,}, and all "
                    f"layers may have {MAX_MAPS:,} weights"
                )
            layers.append(_empty(facts, shape, _stream(fields)))
    return QuantizedNetwork(
        name=graph.name,
        input_shape=graph.input_shape,
        input_format=graph.input_format,
        layers=tuple(layers),
        metadata={"engine": json.dumps(engine.to_dict())},
    )


def _empty(facts: ConvFacts, shape: tuple[int, ...], stream: StreamFormat) -> Conv:
    """Return a convolution of valid numbers, which `_filled` replaces."""
    values = facts.codebook_values
    if not 1 <= values <= 1 << CODEBOOK_WIDTH:
        raise SqhwError(f"codebook_values must be 1 to {1 << CODEBOOK_WIDTH}, not {values}")
    # with zeros a codebook needs 0, without them it must not have it
    from_zero = sorted(range(-128, 128), key=abs)[0 if stream.stores_zeros else 1 :]
    ones = np.ones(shape[0], np.int32)
    return Conv(
        name=facts.name,
        source=facts.source,
        weight=np.zeros(shape, np.int8),
        bias=0 * ones,
        multiplier=ones,
        shift=0 * ones,
        stride=facts.stride,
        padding=facts.padding,
        codebook=tuple(sorted(from_zero[:values])),
        stream=stream,
        output=facts.output,
        weight_scale=np.ones(shape[0]),
        output_scale=1.0,
        kind=facts.kind,
        groups=facts.groups,
        residual=facts.residual,
        table=(0,) * TABLE_ENTRIES if facts.table else (),
    )


def _descriptor(params: Bits, at: int, engine: EngineConfig) -> dict[str, int]:
    """Return the fields of the descriptor of a layer by its number, as unsigned numbers."""
    first = at * descriptor_words(engine) * engine.word_bits
    if len(params) < first + descriptor_bits(engine):
        raise SqhwError(f"the params ROM ends before the descriptor of layer number {at + 1}")
    return descriptor_at(params, first, engine)


def _records(params: Bits, fields: Mapping[str, int], engine: EngineConfig) -> dict[str, Ints]:
    """Return the constants of a layer's channels by name."""
    channels = fields["last_channel"] + 1
    end = fields["param_addr"] * engine.word_bits + channels * sum(record_widths(fields).values())
    if end > len(params):
        raise SqhwError(f"the params ROM ends before the records of its {channels} channels")
    return records_at(params, fields, engine)


def _stream(fields: Mapping[str, int]) -> StreamFormat:
    """Return the format of the weight stream of a descriptor."""
    try:
        return StreamRecord.of_descriptor(fields).form()
    except ValueError as error:
        raise SqhwError(f"the format of its weight stream: {error}") from None


def _decoded(
    network: QuantizedNetwork, roms: Mapping[str, Bits], engine: EngineConfig
) -> QuantizedNetwork:
    """Return a network with the numbers of its descriptors."""
    layers = tuple(
        _filled(layer, roms, _descriptor(roms["params"], at, engine), engine)
        if isinstance(layer, Conv)
        else layer
        for at, layer in enumerate(network.layers)
    )
    return replace(network, layers=layers)


def _filled(
    layer: Conv, roms: Mapping[str, Bits], fields: Mapping[str, int], engine: EngineConfig
) -> Conv:
    """Return a convolution with the numbers of its descriptor, records, codebook and stream."""
    with located(f"layer {layer.name!r}"):
        records, stream = _records(roms["params"], fields, engine), _stream(fields)
    book = signed(numbers(roms["codebook"], 8), 8)[fields["codebook_addr"] :]
    codebook = tuple(int(value) for value in book[: len(layer.codebook)])
    counts = records["count"].astype(np.int32)
    if counts.sum(dtype=np.int64) > max(layer.weight.size, len(roms["weights"])):
        raise SqhwError(f"layer {layer.name!r}: more entries than the weights ROM has bits")
    strings = [roms["weights"][fields[name] * engine.word_bits :] for name in stream.STRINGS]
    with located(f"layer {layer.name!r}: its weight stream in the ROM images is damaged"):
        weight = _weight(stream, stream.taken_from(strings, counts), codebook, layer.weight.shape)
    residual = layer.residual
    if residual is not None:
        residual = replace(residual, weight=fields.get("skip_weight", 0))
    return replace(
        layer,
        weight=weight,
        bias=records["bias"].astype(np.int32),
        multiplier=records["multiplier"].astype(np.int32),
        shift=records["shift"].astype(np.int32),
        codebook=codebook,
        stream=stream,
        residual=residual,
        table=_table(roms["params"], fields, layer, engine) if layer.table else (),
    )


def _table(
    params: Bits, fields: Mapping[str, int], layer: Conv, engine: EngineConfig
) -> tuple[int, ...]:
    """Return the entries of a layer's table for the indices from the lowest to the highest."""
    if "table_addr" not in fields:
        raise SqhwError(f"layer {layer.name!r}: this engine has no tables")
    first = fields["table_addr"] * engine.word_bits
    bits = params[first : first + TABLE_ENTRIES * TABLE_WIDTH]
    values = numbers(bits, TABLE_WIDTH)
    if layer.output.signed:
        values = signed(values, TABLE_WIDTH)
    return tuple(np.roll(values, len(values) // 2).tolist())


def _weight(
    stream: StreamFormat, entries: Entries, codebook: tuple[int, ...], shape: tuple[int, ...]
) -> npt.NDArray[np.int8]:
    """Return the weights of entries; `shape` is that of the layer."""
    try:
        return stream.decode(entries, codebook, tuple(int(side) for side in shape))  # type: ignore[arg-type]
    except ValueError as error:
        raise SqhwError(str(error)) from None
