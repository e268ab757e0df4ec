"""docs/format.md is enough to read sqhw's files, and says what sqhw writes."""

import ast
import itertools
import json
import re
from pathlib import Path

import format_decoder as decoder
import numpy as np
import pytest
from golden_networks import ENGINES, golden_images, golden_networks

from sqhw.compiler.program import compile_network
from sqhw.export import image_set, rom_graph
from sqhw.export.build import write_rom, write_rtl
from sqhw.files.tensor_file import FLOAT_KEY, QUANTIZED_KEY
from sqhw.machine.config import MAX_GAP_BITS, MAX_ONES, EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH, RECORD_FIELDS, descriptor_fields
from sqhw.machine.stream import MAX_CODE_BITS
from sqhw.network import float_file, quantized_file
from sqhw.network.facts import ACCURACIES
from sqhw.network.quantized import MAX_MULTIPLIER, MAX_SHIFT
from sqhw.network.quantized_file import load_network, save_network
from sqhw.rtl.parameter_reader import descriptor_layout
from sqhw.sim.reference import run

GOLDEN = Path(__file__).parents[1] / "golden"


def names(section, header):
    return [row[0] for row in decoder.table(section, header)]


def test_the_decoder_imports_nothing_of_sqhw():
    tree = ast.parse(Path(decoder.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert found == {"base64", "hashlib", "json", "re", "struct", "pathlib"}


# The example of the page


def test_example_is_decoded_from_the_page():
    key, description, tensors = decoder.network_file(decoder.example_file())
    assert key == "sqhw"
    assert description == json.loads(decoder.block("description"))
    engine, roms = json.loads(decoder.block("engine")), decoder.example_roms()
    layers = decoder.descriptors(roms["params"], engine)
    kinds = [layer["kind"] for layer in description["network"]["layers"]]
    assert kinds == ["conv", "maxpool", "linear"]
    assert [layer["pool"] for layer in layers] == [0, 1, 0]
    for layer, name in ((layers[0], "conv"), (layers[2], "fc")):
        _, shape, weight = tensors[f"{name}.weight"]
        assert decoder.dense(decoder.weights(roms, engine, layer), shape) == weight
        records = decoder.records(roms["params"], engine, layer)
        for field in ("bias", "multiplier", "shift"):
            assert [record[field] for record in records] == tensors[f"{name}.{field}"][2]
    assert (
        decoder.records(roms["params"], engine, layers[1])
        == [{"count": 4, "bias": 0, "multiplier": 1, "shift": 0}] * 2
    )


def test_example_computes_what_the_page_says():
    _, description, tensors = decoder.network_file(decoder.example_file())
    maps = decoder.run(description["network"], tensors, json.loads(decoder.block("image")))
    del maps["input"]
    assert maps == json.loads(decoder.block("result"))


def test_text_of_the_example_is_true():
    layer = decoder.descriptors(
        decoder.example_roms()["params"], json.loads(decoder.block("engine"))
    )[0]
    (text,) = re.findall(r"^The descriptor of .*?\n\n", decoder.PAGE, re.DOTALL | re.MULTILINE)
    said = {name: int(value) for name, value in re.findall(r"`(\w+)` (-?\d+)", text)}
    assert len(said) == 7
    assert {name: layer[name] for name in said} == said
    word = decoder.example_roms()["weights"][0]
    rows = decoder.table("Example", "entry | gap | code | position afterwards | weight")
    entries = [(word >> 3 * int(row[0]) & 3, word >> 3 * int(row[0]) + 2 & 1) for row in rows]
    assert entries == [(int(row[1]), int(row[2])) for row in rows]
    assert len(entries) == 5


def test_example_is_what_sqhw_writes(tmp_path):
    (tmp_path / "tiny.safetensors").write_bytes(decoder.example_file())
    network = load_network(tmp_path / "tiny.safetensors")
    save_network(network, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == decoder.example_file()
    engine = EngineConfig.from_dict(json.loads(decoder.block("engine")))
    assert engine.to_dict() == json.loads(decoder.block("engine"))
    write_rom(compile_network(network, engine), tmp_path)
    for rom in ("weights", "params", "codebook"):
        words = decoder.block(f"{rom}.hex").split()
        assert (tmp_path / f"{rom}.hex").read_text() == "".join(f"{word}\n" for word in words)
    image = np.array(json.loads(decoder.block("image")))
    maps = {name: value.tolist() for name, value in run(network, image).items() if name != "input"}
    assert maps == json.loads(decoder.block("result"))


# The golden files, which the decoder reads too


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_golden_files_are_decoded(name):
    key, description, tensors = decoder.network_file(
        (GOLDEN / name / "network.safetensors").read_bytes()
    )
    assert key == QUANTIZED_KEY
    network, engine = golden_networks()[name], ENGINES[name].to_dict()
    roms = {
        rom: [int(line, 16) for line in (GOLDEN / name / f"{rom}.hex").read_text().split()]
        for rom in ("weights", "params", "codebook")
    }
    layers = decoder.descriptors(roms["params"], engine)
    assert len(layers) == len(network.layers)
    for fields, layer in zip(layers, network.layers, strict=True):
        if layer.kind == "maxpool":
            continue
        channels = decoder.weights(roms, engine, fields)
        assert decoder.dense(channels, layer.weight.shape) == layer.weight.ravel().tolist()
        records = decoder.records(roms["params"], engine, fields)
        for field in ("bias", "multiplier", "shift"):
            found = [record[field] for record in records]
            assert found == getattr(layer, field).tolist() == tensors[f"{layer.name}.{field}"][2]
    image = golden_images(network, 1)[0]
    maps = decoder.run(description["network"], tensors, image.tolist())
    assert {tensor: value.tolist() for tensor, value in run(network, image).items()} == maps


# Tables and what the code does


def engines():
    """Yield engines with each combination of what descriptor fields depend on."""
    for gaps, writers, batch, groups, residuals, maxpool in itertools.product(
        (0, 8), (1, 4), (1, 8), (False, True), (False, True), (False, True)
    ):
        yield EngineConfig(
            lanes=16,
            bank_depth=4096,
            max_gap_bits=gaps,
            requantizers=writers,
            max_batch=batch,
            groups=groups,
            residuals=residuals,
            maxpool=maxpool,
            quotient_ones=gaps * groups,
        )


@pytest.mark.parametrize(
    "engine",
    [
        *engines(),
        EngineConfig(word_bits=33, mult_bits=16, dim_bits=10, weight_addr_bits=24),
        EngineConfig(tables=True),
    ],
)
def test_descriptor_fields_are_those_of_the_layout(engine):
    said = decoder.descriptor_layout(engine.to_dict())
    assert tuple((name, width) for name, width, _ in said) == descriptor_fields(engine)
    signs = {name: field.shape.signed if hasattr(field.shape, "signed") else False
             for name, field in descriptor_layout(engine)}  # fmt: skip
    assert {name: kind == "s" for name, _, kind in said} == signs


def test_record_fields_are_those_of_the_layout():
    rows = decoder.table("Channel records", "field | bits | value")
    assert tuple(row[0] for row in rows) == RECORD_FIELDS
    assert [row[1] for row in rows] == [f"{name}_width" for name in RECORD_FIELDS]


def test_versions_are_those_of_the_code():
    rows = decoder.table("Formats of the files", "format | version | where the version stands")
    versions = {row[0]: int(row[1]) for row in rows}
    assert versions.pop("ROM images") == 1
    assert versions.pop("graph of ROM images") == rom_graph.VERSION
    assert versions.pop("images for other tools") == image_set.VERSION
    assert versions == {
        "quantized network": quantized_file.VERSION,
        "float network": float_file.VERSION,
    }


#: Fields that are left out of layers without padding, table or activation function.
LEFT_OUT = {("maxpool", "padding"), ("conv", "table"), ("conv", "activation")}


def test_fields_of_a_quantized_file():
    path = GOLDEN / "residual" / "network.safetensors"
    _, description, tensors = decoder.network_file(path.read_bytes())
    columns = decoder.table("Network files", "field | quantized | float | meaning")
    assert list(description) == [row[0] for row in columns if row[1] == "yes"]
    network = description["network"]
    section = "Quantized network"
    assert list(network) == names(section, "field of `network` | type | meaning")
    fields = {
        "maxpool": names(section, "field of a maximum | type | meaning"),
        "conv": names(section, "field of a convolution | type | meaning"),
    }
    for layer in network["layers"]:
        kind = "maxpool" if layer["kind"] == "maxpool" else "conv"
        assert list(layer) == [name for name in fields[kind] if (kind, name) not in LEFT_OUT]
    header = "tensor of a convolution | type | shape | meaning"
    kinds = {row[0]: row[1] for row in decoder.table(section, header)}
    convs = [layer["name"] for layer in network["layers"] if layer["kind"] != "maxpool"]
    wanted = {name.replace("NAME", conv): kind for conv in convs for name, kind in kinds.items()}
    assert {name: tensor[0] for name, tensor in tensors.items()} == wanted


def test_fields_of_a_float_file():
    key, description, tensors = decoder.network_file((GOLDEN / "float.safetensors").read_bytes())
    assert key == FLOAT_KEY
    columns = decoder.table("Network files", "field | quantized | float | meaning")
    assert set(description) == {row[0] for row in columns if row[2] == "yes"}
    section, network = "Float network", description["network"]
    assert set(network) == set(names(section, "field of `network` | type | meaning"))
    optional = {name for _, name in LEFT_OUT}
    conv = set(names(section, "field of a convolution | type | meaning")) - {"activation"}
    pool = set(names("Quantized network", "field of a maximum | type | meaning")) - optional
    for layer in network["layers"]:
        assert set(layer) == (pool if layer["kind"] == "maxpool" else conv)
    convs = [layer["name"] for layer in network["layers"] if layer["kind"] != "maxpool"]
    wanted = {f"{name}.{tensor}": "F32" for name in convs for tensor in ("weight", "bias")}
    assert {name: tensor[0] for name, tensor in tensors.items()} == wanted


def test_metadata_entries_are_those_that_are_read():
    counts = {"float_weights", "float_bits", "layer_weights"}
    assert set(names("Metadata", "entry | text")) == {"engine", "device", *counts, *ACCURACIES}


@pytest.mark.parametrize("kind", ["rom", "rtl"])
def test_fields_of_the_manifests(kind, tmp_path):
    network, engine = golden_networks()["chain"], ENGINES["chain"]
    program = compile_network(network, engine)
    if kind == "rom":
        write_rom(program, tmp_path)
    else:
        write_rtl(engine, program.depths, tmp_path)
    manifest = json.loads((tmp_path / f"{kind}.json").read_text())
    rows = decoder.table("Manifests", "field | in | meaning")
    assert set(manifest) == {row[0] for row in rows if row[1] in ("both", f"{kind}.json")}
    assert manifest["engine"] == engine.to_dict()


def test_pieces_are_put_together_as_the_page_says(tmp_path):
    """Two rows of two pieces; lines, bits and the zeros beyond the image."""
    from sqhw.machine.rom_pieces import Piece, whole

    program = compile_network(golden_networks()["chain"], ENGINES["chain"])
    (image,) = (image for image in program.images if image.name == "weights")
    rows = 1 << (image.depth - 1).bit_length() - 1
    parts = tuple(
        Piece(first, rows, low, bits) for first in (0, rows) for low, bits in ((0, 9), (9, 7))
    )
    pieces = {other.name: whole(other.depth, other.width) for other in program.images}
    write_rom(program, tmp_path, pieces | {"weights": parts})
    listed = json.loads((tmp_path / "rom.json").read_text())["pieces"]["weights"]
    words = [0] * (2 * rows)
    for number, (first_word, length, first_bit, bits) in enumerate(listed):
        lines = (tmp_path / f"weights_{number}.hex").read_text().split("\n")
        assert (len(lines), lines.pop()) == (length + 1, "")
        for k, line in enumerate(lines):
            assert len(line) == -(-bits // 4)
            words[first_word + k] |= int(line, 16) << first_bit
    assert words == [*image.words, *[0] * (2 * rows - image.depth)]


def test_ranges_are_those_of_the_code():
    section = "Quantized network"
    header = "field of a convolution | type | meaning"
    said = {row[0]: row[2] for row in decoder.table(section, header)}
    header = "tensor of a convolution | type | shape | meaning"
    said |= {row[0]: row[3] for row in decoder.table(section, header)}
    assert f"gap_bits (0 to {MAX_GAP_BITS}), code_bits (0 to {MAX_CODE_BITS})" in said["stream"]
    assert f"filler_ones (1 to {MAX_ONES})" in said["stream"]
    assert said["NAME.multiplier"] == f"1 to {MAX_MULTIPLIER}"
    assert said["NAME.shift"] == f"0 to {MAX_SHIFT}"
    assert f"a value in each word of {CODEBOOK_WIDTH} bits" in decoder.PAGE
