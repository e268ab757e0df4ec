"""`sqhw rom --format`: geometry, manifest, folders of other builds, and what is refused."""

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run
from hypothesis import given
from hypothesis import strategies as st

from sqhw.cost_models.device import load_devices
from sqhw.errors import SqhwError
from sqhw.export.images.memory import MAX_BITS, Memory, repacked
from sqhw.export.images.registry import OF_FAMILY, family_format
from sqhw.files.input_file import read_bytes
from sqhw.names import ROM_FORMATS
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.options import RomOptions
from sqhw.steps.rom import rom

CHAIN = Path(__file__).parents[1] / "golden" / "chain"
NETWORK = CHAIN / "network.safetensors"
ROMS = {"weights": (24, 16), "params": (43, 16), "codebook": (8, 8)}


@pytest.fixture
def sqhw(monkeypatch, capsys):
    """Run `sqhw rom`; return the JSON result."""

    def command(folder, *options, network=NETWORK):
        found = run(monkeypatch, capsys, "rom", network, "--out", folder, *options, "--json")
        assert found[0] == 0, found
        return json.loads(found[1])

    return command


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run `sqhw rom`, which must fail; return its sentence."""

    def command(folder, *options, network=NETWORK):
        return refuse(monkeypatch, capsys, "rom", network, "--out", folder, *options)

    return command


def names(folder):
    return {path.name for path in folder.iterdir()}


def words(folder, file):
    return [int(line, 16) for line in (folder / file).read_text().split()]


@pytest.fixture
def other(tmp_path):
    """Return the file of a network that differs in one weight only."""
    network = load_network(NETWORK)
    network.layers[1].weight.setflags(write=True)
    at = tuple(np.argwhere(network.layers[1].weight == 20)[0])
    network.layers[1].weight[at] = 60
    save_network(network, tmp_path / "other.safetensors")
    return tmp_path / "other.safetensors"


# Geometry


@given(st.integers(1, 256), st.integers(1, 256), st.data())
def test_bits_are_packed_without_gaps(old, new, data):
    content = data.draw(st.lists(st.integers(0, (1 << old) - 1), min_size=1, max_size=20))
    extra = data.draw(st.integers(0, 9))
    memory = Memory("m", old, tuple(content), len(content))
    needed = -(-old * len(content) // new)
    found = repacked(memory, new, needed + extra)
    assert (found.width, found.depth, found.used) == (new, needed + extra, needed)
    assert all(0 <= word < 1 << new for word in found.words)
    string = sum(word << old * at for at, word in enumerate(content))
    assert string == sum(word << new * at for at, word in enumerate(found.words))
    assert repacked(found, old, None).words[: len(content)] == tuple(content)
    assert repacked(memory, new, None).words == found.words[:needed]


def test_a_memory_that_is_too_small_says_how_much_is_needed():
    memory = Memory("weights", 16, (1,) * 100, 100)
    with pytest.raises(SqhwError) as error:
        repacked(memory, 24, 66)
    assert str(error.value) == (
        "the weights image needs 67 words of 24 bits, --depth 66 is too small; give --depth 67 or "
        "more, or --width 25 or more"
    )
    assert repacked(memory, 25, 66).used == 64
    with pytest.raises(SqhwError, match=f"larger than {MAX_BITS} bits"):
        repacked(memory, 4096, 1 << 24)


def test_own_geometry(sqhw, tmp_path):
    sqhw(tmp_path, "--width", 32, "--depth", 64, "--rom", "weights,codebook")
    assert names(tmp_path) == {"weights.hex", "codebook.hex", "images.json"}
    golden = words(CHAIN, "weights.hex")
    pairs = [low | high << 16 for low, high in zip(golden[::2], golden[1::2], strict=True)]
    assert words(tmp_path, "weights.hex") == pairs + [0] * (64 - len(pairs))
    book = words(CHAIN, "codebook.hex")
    assert words(tmp_path, "codebook.hex")[:2] == [
        int.from_bytes(bytes(book[at : at + 4]), "little") for at in (0, 4)
    ]
    manifest = json.loads((tmp_path / "images.json").read_text())
    (record,) = [one for one in manifest["images"] if one["rom"] == "weights"]
    assert record["piece"] is None
    assert (record["width"], record["depth"], record["used"]) == (32, 64, len(pairs))


# Formats and manifests


def test_the_default_is_as_it_was(sqhw, tmp_path):
    result = sqhw(tmp_path)
    assert names(tmp_path) == {"weights.hex", "params.hex", "codebook.hex", "rom.json"}
    assert "memories" not in result
    for file in ("weights.hex", "params.hex", "codebook.hex"):
        assert (tmp_path / file).read_bytes() == (CHAIN / file).read_bytes()


def test_all_formats_at_once(sqhw, tmp_path):
    result = sqhw(tmp_path, "--format", ",".join(ROM_FORMATS))
    manifest = json.loads((tmp_path / "images.json").read_text())
    assert len(manifest["images"]) == 3 * len(ROM_FORMATS) == len(result["memories"])
    files = {one["file"] for one in manifest["images"]}
    assert names(tmp_path) == files | {"images.json", "rom.json"}
    assert set(manifest["files"]) == files
    assert manifest["version"] == 1
    assert manifest["network"] == "chain"
    assert manifest["network_sha256"] in read_bytes(NETWORK, 1 << 20).decode("latin-1")
    for one in manifest["images"]:
        data = (tmp_path / one["file"]).read_bytes()
        assert int(one["crc32"], 16) == zlib.crc32(data)
        assert (one["depth"], one["width"]) == ROMS[one["rom"]]
        assert one["piece"] == [0, one["depth"], 0, one["width"]]
    assert (tmp_path / "weights.hex").read_bytes() == (CHAIN / "weights.hex").read_bytes()
    assert json.loads((tmp_path / "rom.json").read_text())["words"] == {
        rom: depth for rom, (depth, _) in ROMS.items()
    }


def test_formats_join_those_that_are_there(sqhw, tmp_path):
    sqhw(tmp_path)
    sqhw(tmp_path, "--format", "mif")
    sqhw(tmp_path, "--format", "coe", "--rom", "weights")
    sqhw(tmp_path, "--format", "coe", "--rom", "weights", "--depth", 32)
    manifest = json.loads((tmp_path / "images.json").read_text())
    assert [one["file"] for one in manifest["images"]] == [
        "codebook.mif", "params.mif", "weights.coe", "weights.mif",
    ]  # fmt: skip
    assert manifest["images"][2]["depth"] == 32
    assert names(tmp_path) == {
        *manifest["files"], "images.json", "rom.json", "weights.hex", "params.hex", "codebook.hex",
    }  # fmt: skip
    sqhw(tmp_path)  # the same build again


def test_pieces_of_a_device_and_whole(sqhw, tmp_path):
    network = Path(__file__).parents[2] / "benchmarks/engine/resnet8.safetensors"
    sqhw(tmp_path, "--format", "mif", "--rom", "weights", "--device", "LFE5U-85F", network=network)
    assert names(tmp_path) == {f"weights_{index}.mif" for index in range(8)} | {"images.json"}
    sqhw(tmp_path, "--format", "mif", "--rom", "weights", "--whole", network=network)
    assert names(tmp_path) == {"weights.mif", "images.json"}


@pytest.mark.parametrize(
    ("device", "suffix"),
    [
        ("xc7a35t", "coe"),
        ("5CEBA4", "mif"),
        ("GW1NR-9C", "mi"),
        ("LIFCL-40", "lattice.mem"),
        ("LFE5U-25F", "hex"),
    ],
)
def test_the_family_chooses_for_a_memory_of_ones_own(sqhw, tmp_path, device, suffix):
    sqhw(tmp_path, "--width", 32, "--rom", "weights", "--device", device)
    assert names(tmp_path) == {f"weights.{suffix}", "images.json"}


def test_native_and_every_family(sqhw, refused, tmp_path):
    families = {device.family for device in load_devices().values()}
    assert set(OF_FAMILY) < families
    assert {family_format(family) for family in families} <= set(ROM_FORMATS)
    assert family_format(None) == family_format("mine") == "hex"
    sqhw(tmp_path, "--format", "native", "--device", "5CEBA4", "--rom", "params")
    assert "params.mif" in names(tmp_path)
    assert "names no device" in refused(tmp_path, "--format", "native")


# Folders of other builds


def test_images_of_another_network_do_not_stay(sqhw, refused, tmp_path, other):
    folder = tmp_path / "images"
    sqhw(folder, "--format", "mif,coe")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for options in (["--format", "mif"], []):
        message = refused(folder, *options, network=other)
        assert "of another build, network 'chain'" in message
        assert "name another folder with --out" in message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    sqhw(folder, "--format", "coe,mif", network=other)
    assert names(folder) == set(before)


def test_verilogs_images_are_not_mixed_with_others(sqhw, refused, tmp_path, other):
    folder = tmp_path / "images"
    sqhw(folder)
    message = refused(folder, "--format", "mif", network=other)
    assert message == (
        f"{folder / 'rom.json'} lists ROM images of another build, network 'chain'; name another "
        "folder with --out"
    )
    message = refused(folder, "--width", 32)
    assert message.startswith(f"{folder / 'weights.hex'} is the image that sqhw's own Verilog")
    assert names(folder) == {"weights.hex", "params.hex", "codebook.hex", "rom.json"}
    sqhw(folder, "--format", "hex,mif", network=other)


def test_a_damaged_manifest_is_refused(sqhw, refused, tmp_path):
    sqhw(tmp_path, "--format", "mif")
    path = tmp_path / "images.json"
    content = json.loads(path.read_text())
    content["images"][0]["width"] = "16"
    path.write_text(json.dumps(content))
    assert "images.json is damaged" in refused(tmp_path, "--format", "coe")


@pytest.mark.parametrize("files", [None, [], {"weights.bin": 3}])
def test_a_manifest_without_digests_is_refused(sqhw, refused, tmp_path, files):
    sqhw(tmp_path, "--format", "bin")
    manifest = tmp_path / "images.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"files": files}))
    assert str(manifest) in refused(tmp_path, "--format", "coe")


def test_a_manifest_cannot_name_other_files(sqhw, tmp_path):
    sqhw(tmp_path, "--format", "mif", "--rom", "weights")
    path = tmp_path / "images.json"
    shutil.copy(tmp_path / "weights.mif", tmp_path / "mine.txt")
    path.write_text(path.read_text().replace("weights.mif", "mine.txt"))
    sqhw(tmp_path, "--format", "mif", "--rom", "weights")
    assert (tmp_path / "mine.txt").exists()


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "mi"], "unknown format 'mi'; did you mean 'mif'?"),
        (["--format", "hex,verilog"], "unknown format 'verilog'; "),
        (["--format", ""], "unknown format ''; "),
        (["--rom", "weight"], "unknown ROM 'weight'; did you mean 'weights'?"),
        (["--byte-order", "middle"], "unknown byte order 'middle'"),
        (["--depth", "40"], "the params image needs 43 words of 16 bits, --depth 40 is too small"),
        (["--format", "c", "--width", "65"], "c holds words of at most 64 bits"),
        (["--format", "lattice-mem", "--width", "257"], "at most 256 bits"),
        (["--format", "quartus-hex", "--depth", "65537"], "at most 65536 words"),
        (["--rtl", "FOLDER", "--width", "8"], "--width is the geometry of a memory of your own"),
        (["--rtl", "FOLDER", "--whole"], "leave --whole or --rtl out"),
        (["--mmi", "MMI"], "add --format updatemem"),
        (["--mmi", "no.mmi:top"], "no.mmi: no such file"),
    ],
)
def test_bad_options(refused, tmp_path, options, message):
    (tmp_path / "rtl").mkdir()
    (tmp_path / "x.mmi").write_text("<MemInfo/>")
    here = {"FOLDER": tmp_path / "rtl", "MMI": tmp_path / "x.mmi"}
    folder = tmp_path / "images"
    assert message in refused(folder, *(here.get(option, option) for option in options))
    assert not folder.exists()


def test_a_geometry_from_python_is_checked_too(tmp_path):
    with pytest.raises(SqhwError, match="--width must be 1 to 4096, not 5000"):
        rom(RomOptions(network=NETWORK, out=tmp_path / "x", width=5000))


# The memories of a design

SPACE = """
  <Processor Endianness="Little" InstPath="{path}">
    <AddressSpace Name="{name}" Begin="{begin}" End="{end}">
      <BusBlock>
        <BitLane MemType="RAMB36" Placement="X2Y17">
          <DataWidth MSB="15" LSB="8"/><AddressRange Begin="0" End="4095"/>
          <Parity ON="false" NumBits="0"/>
        </BitLane>
        <BitLane MemType="RAMB36" Placement="X2Y18">
          <DataWidth MSB="7" LSB="0"/><AddressRange Begin="0" End="4095"/>
          <Parity ON="false" NumBits="0"/>
        </BitLane>
      </BusBlock>
    </AddressSpace>
  </Processor>
"""


def mmi(folder, *spaces):
    path = folder / "design.mmi"
    body = "".join(
        SPACE.format(path=path, name=name, begin=begin, end=end)
        for path, name, begin, end in spaces
    )
    path.write_text(f'<?xml version="1.0"?>\n<MemInfo Version="1" Minor="1">{body}</MemInfo>\n')
    return path


def test_updatemem_has_the_address_of_the_memory(sqhw, tmp_path):
    spaces = [("top/u/weights", "a", 4096, 8191), ("top/u/params", "b", 8192, 12287)]
    path = mmi(tmp_path, *spaces)
    options = ("--format", "updatemem", "--rom", "weights,params", "--mmi", path)
    sqhw(tmp_path / "x", *options)
    lines = {
        rom: (tmp_path / "x" / f"{rom}.updatemem.mem").read_text().splitlines()
        for rom in ("weights", "params")
    }
    assert lines["weights"][0] == "@00001000"
    assert lines["params"][0] == "@00002000"
    assert lines["weights"][1:] == (CHAIN / "weights.hex").read_text().split()
    sqhw(tmp_path / "y", *options[:2], "--rom", "weights", "--mmi", f"{path}:top/u/params")
    assert (tmp_path / "y" / "weights.updatemem.mem").read_text().startswith("@00002000\n")


@pytest.mark.parametrize(
    ("spaces", "options", "message"),
    [
        ([("t/a", "a", 0, 99), ("t/b", "b", 0, 99)], [], "has no memory for the weights image"),
        ([("t/a", "a", 0, 99)], ["--width", "32"], "has words of 16 bits, the weights image of 32"),
        ([("t/a", "a", 0, 31)], [], "'t/a' has 16 words, the weights image 24"),
        ([("t/a", "a", 9, 3)], [], "has no range of addresses"),
        ([("t/a", "a", "0x0", 3)], [], "Begin must be a whole number"),
        ([], [], "no memory with an AddressSpace"),
    ],
)
def test_a_design_that_does_not_match(refused, tmp_path, spaces, options, message):
    path = mmi(tmp_path, *spaces)
    found = refused(
        tmp_path / "x", "--format", "updatemem", "--rom", "weights", "--mmi", path, *options
    )
    assert message in found
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<MemInfo>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><MemInfo/>',
        "<a>" * 100 + "</a>" * 100,
    ],
)
def test_a_damaged_design(refused, tmp_path, text):
    path = tmp_path / "design.mmi"
    path.write_text(text)
    message = refused(tmp_path / "x", "--format", "updatemem", "--mmi", path)
    assert message.startswith(f"{path}: ")
