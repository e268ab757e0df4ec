"""The network that a folder of ROM images holds: its numbers are decoded from the images.

Names, shapes, kernels and paddings come from the network's file, because images do not have all of
them. Weights, biases, requantization constants, skip weights and limits of outputs come from the
images.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.compiler.program import compile_network
from sqhw.compiler.rom_contents import bits_of, descriptor_at, numbers, records_at, signed
from sqhw.errors import SqhwError
from sqhw.export.file_set import DIGESTS, check_set
from sqhw.export.manifest import FILES, check_manifest, check_roms, pieces_of
from sqhw.export.readmemh import image_texts, read_image
from sqhw.files.plain import located
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import TABLE_ENTRIES, TABLE_WIDTH, descriptor_words, rom_widths
from sqhw.machine.naming import DEFAULT_NAME
from sqhw.machine.rom_pieces import Pieces
from sqhw.machine.stream import Bits, Entries, StreamFormat, StreamRecord
from sqhw.network.quantized import Conv, Layer, QuantizedNetwork


def rom_network(network: QuantizedNetwork, folder: Path) -> QuantizedNetwork:
    """Return the network with all numbers that ROM images hold decoded from them.

    Parameters
    ----------
    network : QuantizedNetwork
        Network that the images were written from.
    folder : path
        Folder that `sqhw rom` wrote.

    Raises
    ------
    SqhwError
        If a file is missing, truncated or changed, or the images are those of another network.
    """
    engine = network.facts.engine
    manifest = check_manifest(folder, "rom", engine)
    check_set(folder, "rom", manifest)
    pieces = pieces_of(folder, "rom", engine)
    widths = rom_widths(engine)
    check_roms(pieces, widths, folder / FILES["rom"])
    name = manifest.get("name", DEFAULT_NAME)
    _check_network(network, folder, pieces, manifest)
    roms = {
        rom: bits_of(read_image(rom, pieces[rom], folder, name).words, width)
        for rom, width in widths.items()
    }
    layers = list[Layer]()
    first = 0
    for layer in network.layers:
        if isinstance(layer, Conv):
            layers.append(
                _decoded(layer, roms, descriptor_at(roms["params"], first, engine), engine)
            )
        else:
            layers.append(layer)
        first += descriptor_words(engine) * engine.word_bits
    return replace(network, layers=tuple(layers))


def _check_network(
    network: QuantizedNetwork, folder: Path, pieces: Pieces, manifest: Mapping[str, Any]
) -> None:
    """Refuse images of another network: the digests of this one's images differ from theirs."""
    program = compile_network(network, network.facts.engine, manifest.get("batch", 1))
    for image in program.images:
        try:
            texts = image_texts(image, pieces[image.name], manifest.get("name", DEFAULT_NAME))
        except SqhwError:
            texts = {image.name: ""}
        for file, text in texts.items():
            if manifest[DIGESTS].get(file) != hashlib.sha256(text.encode()).hexdigest():
                raise SqhwError(
                    f"the ROM images in {folder} are not those of network {network.name!r}: the "
                    f"digest of {file} in {FILES['rom']} is another; name the network's file that "
                    "they were written from, or write them anew with `sqhw rom`"
                )


def _decoded(
    layer: Conv, roms: Mapping[str, Bits], fields: Mapping[str, int], engine: EngineConfig
) -> Conv:
    """Return a convolution with the numbers of its descriptor, records, codebook and stream."""
    records = records_at(roms["params"], fields, engine)
    stream = StreamRecord.of_descriptor(fields).form()
    book = signed(numbers(roms["codebook"], 8), 8)[fields["codebook_addr"] :]
    codebook = tuple(int(value) for value in book[: len(layer.codebook)])
    counts = records["count"].astype(np.int32)
    strings = [roms["weights"][fields[name] * engine.word_bits :] for name in stream.STRINGS]
    with located(f"layer {layer.name!r}: its weight stream in the ROM images is damaged"):
        weight = _weight(stream, stream.taken_from(strings, counts), codebook, layer.weight.shape)
    residual = layer.residual
    if residual is not None:
        residual = replace(residual, weight=fields["skip_weight"])
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
