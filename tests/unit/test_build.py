"""Builds for boards and swaps in them, as far as the tools of place and route are not needed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import refuse, run
from ecp5_files import bitstream

from sqhw.boards.board_file import find_board
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError
from sqhw.machine.rom_pieces import depth_of, to_plain
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.options import SwapOptions
from sqhw.steps.program import program_of
from sqhw.steps.swap import NETWORK, suitable_program, swap
from sqhw.synth import swap as swapping
from sqhw.synth.board_roms import board_roms
from sqhw.synth.bram_contents import BlockContents, word_bits
from sqhw.synth.build_board import identity_of
from sqhw.synth.build_folder import FORMAT, Build, file_digest, read_build, write_build
from sqhw.synth.ecp5_bitstream import Ecp5Blocks
from sqhw.synth.swap import placeholders

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "golden" / "chain" / "network.safetensors"
RESNET8 = ROOT / "benchmarks" / "engine" / "resnet8.safetensors"
SEED = 3


def values_of(pieces, words):
    """Return the values of ECP5 blocks of 1,024 words of 16 bits."""
    values = {}
    for number, name in enumerate(words):
        bits = np.zeros((1024, 18), np.uint8)
        found = word_bits(words[name], pieces[name])
        bits[: len(found), : pieces[name]] = found
        values[number] = (bits.reshape(2048, 9) @ (1 << np.arange(9))).tolist()
    return values


def text_of(blocks):
    """Return the text of a placed design with blocks of these values."""
    text = ""
    for number, values in blocks.items():
        lines = [" ".join(f"{one:03x}" for one in values[at : at + 8]) for at in range(0, 2048, 8)]
        text += f".bram_init {number}\n" + "\n".join(lines) + "\n\n"
    return text


@pytest.fixture
def build(tmp_path):
    """Return the folder of a made-up build of the small network for an ULX3S."""
    folder = tmp_path / "build"
    folder.mkdir()
    program, board = program_of(TINY), find_board("ULX3S 25F")
    roms = board_roms(program.engine, program.depths, board.device)
    assert roms.fixed == ()
    random = placeholders(roms.pieces, (), SEED)
    widths = {name: parts[0].bits for name, parts in roms.pieces.items()}
    words = values_of(widths, random)
    (folder / "placed.config").write_text(text_of(words))
    (folder / "board.bit").write_bytes(bitstream(dict(reversed(words.items()))))
    shutil.copy(TINY, folder / NETWORK)
    names = ("placed.config", "board.bit", NETWORK)
    manifest = Build(
        format=FORMAT, board=board.name, device=board.device.name, family="ecp5",
        engine=program.engine.to_dict(), pieces=to_plain(roms.pieces), fixed=(), clock_mhz=50.0,
        baud=1_000_000, divisor=50, identity=identity_of(board, program.engine, roms.pieces),
        seed=SEED, placed="placed.config", bitstream="board.bit", network="tiny",
        files={name: file_digest(folder / name) for name in names},
    )  # fmt: skip
    write_build(folder, manifest)
    assert read_build(folder) == manifest
    return folder


def other_network(tmp_path, change):
    path = tmp_path / "other.safetensors"
    save_network(change(load_network(TINY)), path)
    return path


def other_bias(network):
    first = network.layers[0]
    layer = replace(first, bias=first.bias + 1)
    return replace(network, layers=(layer, *network.layers[1:]))


def other_engine(network):
    engine = replace(network.facts.engine, lanes=4)
    return replace(network, metadata=network.metadata | {"engine": json.dumps(engine.to_dict())})


def test_the_words_of_another_network_go_into_a_bitstream(build, tmp_path):
    network = other_network(tmp_path, other_bias)
    result = swap(SwapOptions(build=build, network=network))
    program, manifest = program_of(network), read_build(build)
    padded = program.padded({name: depth_of(parts) for name, parts in manifest.rom_pieces.items()})
    widths = {image.name: image.width for image in padded.images}
    wanted = values_of(widths, {image.name: image.words for image in padded.images})
    assert Path(result["file"]) == tmp_path / "swapped.bit"
    assert Path(result["file"]).read_bytes() == bitstream(dict(reversed(wanted.items())))
    assert result["words_read_back"] == 3 * 512
    assert 0 < result["processor_seconds"] < 60


def tools_of(monkeypatch, lose):
    """Let packing write a bitstream of blocks without logic, whose first values are lost or not."""

    def pack(family, placed, packed):
        bits = BlockContents(placed.read_text(), family).bits
        values = (bits.reshape(-1, 2048, 9) @ (1 << np.arange(9))).tolist()
        packed.write_bytes(bitstream(dict(enumerate(values))))

    def unpack(family, packed, placed):
        found = Ecp5Blocks(packed.read_bytes())
        values = (found.bits.reshape(-1, 2048, 9) @ (1 << np.arange(9))).tolist()
        numbers = (int(name.split()[1]) for name in found.names)
        blocks = dict(zip(numbers, values, strict=True))
        placed.write_text(text_of({number: lose(blocks[number]) for number in blocks}))

    monkeypatch.setattr(swapping, "pack", pack)
    monkeypatch.setattr(swapping, "unpack", unpack)


def first_bitstream(build):
    """Return the bitstream of the folder's network, made by the tools."""
    made, program = read_build(build), program_of(TINY)
    pieces = made.rom_pieces
    placed = build / made.placed
    return swapping.swapped(placed, "ecp5", program, pieces, (), seed=made.seed).bitstream


def test_tools_and_replacing_make_the_same_bitstream(build, monkeypatch, tmp_path):
    tools_of(monkeypatch, lambda values: values)
    network = other_network(tmp_path, lambda network: network)
    found = Ecp5Blocks(first_bitstream(build)).bits
    swap(SwapOptions(build=build, network=network))
    again = Ecp5Blocks((tmp_path / "swapped.bit").read_bytes())
    assert (found == again.bits[[int(name.split()[1]) for name in again.names]]).all()


def test_a_tool_that_loses_words_is_noticed(build, monkeypatch):
    tools_of(monkeypatch, lambda values: [0, *values[1:]])
    with pytest.raises(SqhwError) as error:
        first_bitstream(build)
    assert (
        str(error.value) == "the words of the ROM codebook in the bitstream are not the network's"
    )


def test_a_bit_that_changes_beside_the_words_is_noticed(build, monkeypatch):
    tools_of(monkeypatch, lambda values: [*values[:-1], values[-1] ^ 256])
    with pytest.raises(SqhwError, match=r"bits of block RAM changed in .*, \d+ should have"):
        first_bitstream(build)


def test_blocks_that_are_replaced_in_another_way_than_the_tool_does_are_noticed(build, monkeypatch):
    tools_of(monkeypatch, lambda values: values)
    monkeypatch.setattr(swapping, "_replaced", lambda finished, *_: finished)
    with pytest.raises(SqhwError, match="replaced block RAM differs from what ecppack writes"):
        first_bitstream(build)


def test_another_engine_is_refused(build, tmp_path):
    network = other_network(tmp_path, other_engine)
    with pytest.raises(SqhwError) as error:
        swap(SwapOptions(build=build, network=network))
    assert str(error.value) == (
        f"{network} is for another engine than the build in {build} (lanes 4 instead of 8); "
        "compress it for the same device and feature maps, or build anew"
    )


def test_an_engine_that_lacks_what_the_build_has_is_refused(build):
    made = read_build(build)
    made = replace(made, engine={**made.engine, "quotient_ones": 8, "bank_ram": "single-port"})
    with pytest.raises(SqhwError, match=r"bank_ram block instead of single-port, quotient_ones 0"):
        suitable_program(TINY, made, build)


def test_a_deeper_rom_is_refused(build):
    made = read_build(build)
    pieces = made.pieces | {"weights": [[0, 4, *piece[2:]] for piece in made.pieces["weights"]]}
    need = program_of(TINY).depths["weights"]
    message = f"needs {need} words of the weights ROM, the build in .* has 4; compress it further"
    with pytest.raises(SqhwError, match=message):
        suitable_program(TINY, replace(made, pieces=pieces), build)


def test_an_altered_folder_is_refused(build):
    with (build / "placed.config").open("a") as file:
        file.write("\n")
    with pytest.raises(SqhwError, match=r"placed.config was altered after .*; build again"):
        swap(SwapOptions(build=build, network=TINY))
    (build / "placed.config").unlink()
    with pytest.raises(SqhwError, match=r"placed.config is missing, which .* was written for"):
        read_build(build)
    with pytest.raises(SqhwError, match=r"is not the folder of a build: it has no build.json"):
        read_build(build.parent)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, "has format 2, this version of sqhw reads 1"),
        ("seed", "1", "field 'seed' must be int"),
        ("pieces", {"weights": [[0, 8, 0, 16]]}, "has ROMs of widths"),
        ("files", {"../x": "00"}, "x is missing"),
        ("more", 1, "more"),
    ],
)
def test_damaged_manifests_are_refused(build, key, value, message):
    path = build / "build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(SqhwError, match=message):
        read_build(build)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("board", "ULX3S 85F", "board, engine, pieces or queue"),
        ("queue", 64, "board, engine, pieces or queue"),
        ("family", "ice40", "family"),
        ("family", "xc7", "family"),
        ("files", {}, "files"),
    ],
)
def test_a_swap_refuses_an_altered_manifest(build, tmp_path, key, value, shown):
    path = build / "build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(SqhwError) as error:
        swap(SwapOptions(build=build, network=TINY))
    assert str(error.value) == f"{path}: {shown} was altered after the build; build again"
    assert not (tmp_path / "swapped.bit").exists()


@pytest.mark.parametrize("name", ["board.bit", "placed.config", "build.json"])
def test_a_swap_does_not_replace_a_file_of_the_build(build, name):
    before = (build / name).read_bytes()
    with pytest.raises(
        SqhwError, match=f"cannot write .*{name}: that is the same file as .*{name}"
    ):
        swap(SwapOptions(build=build, network=TINY, out=build / name))
    assert (build / name).read_bytes() == before
    assert read_build(build)


def test_a_rom_outside_of_block_ram_stays(build, tmp_path):
    path = build / "build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fixed": ["params"]}))
    network = other_network(tmp_path, other_bias)
    with pytest.raises(SqhwError, match="has another content of the params ROM, which is not in"):
        swap(SwapOptions(build=build, network=network))


def test_a_network_that_does_not_fit_names_the_memory():
    program = program_of(RESNET8)
    with pytest.raises(SqhwError) as error:
        board_roms(program.engine, program.depths, find_device("iCEBreaker"))
    assert str(error.value) == (
        "the network does not fit iCE40UP5K: 203 block RAMs are needed (feature maps 128, weights "
        "68, params 4, codebook 3), 173 more than the 30 of the device; the nearest board that has "
        "room is Colorlight i5"
    )


def test_roms_are_padded_where_there_is_room():
    engine = program_of(TINY).engine
    depths = {"weights": 5057, "params": 388, "codebook": 22}
    ice = board_roms(engine, depths, find_device("iCE40UP5K"))
    assert {name: depth_of(parts) for name, parts in ice.pieces.items()} == {
        "weights": 5120, "params": 512, "codebook": 22,
    }  # fmt: skip
    assert ice.fixed == ("codebook",)
    less = board_roms(engine, depths | {"weights": 4800}, find_device("iCE40UP5K"))
    assert less.fixed == ()
    assert less.blocks == {"weights": 19, "params": 2, "codebook": 1}


def test_a_project_is_written_whole(tmp_path, monkeypatch, capsys):
    out = tmp_path / "project"
    arguments = ("build", TINY, "--board", "DE10-Nano", "--out", out, "--clock", 30)
    code, text, err = run(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    assert "clock 25.00 MHz" in text
    assert f"wrote {out}; in it run: quartus_sh -t build.tcl" in text
    manifest = read_build(out)
    assert {"build.tcl", "sqhw_top.sdc", "sqhw_top.v", "core_weights.hex"} <= manifest.files.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
    message = refuse(monkeypatch, capsys, "swap", out, TINY)
    assert message.startswith(f"{out} is a project for the vendor's tools, which has no bitstream")


def test_bad_input_is_one_sentence(tmp_path, monkeypatch, capsys):
    board = refuse(monkeypatch, capsys, "build", TINY, "--board", "ULX4S 85F")
    assert board == "unknown board 'ULX4S 85F'; did you mean 'ULX3S 85F'?"
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work")
    message = refuse(monkeypatch, capsys, "build", TINY, "--out", kept)
    assert "has files that sqhw did not write" in message
    assert (kept / "thesis.txt").exists()


def test_a_missing_tool_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sqhw.synth.tools.shutil.which", lambda *args, **kwargs: None)
    out = tmp_path / "build"
    message = refuse(monkeypatch, capsys, "build", TINY, "--out", out)
    assert message.endswith("is not installed; run: pip install 'sqhw[synth]'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tang nano 9k", "board 'Tang Nano 9K': `sqhw build` makes nothing for GW1NR-9C (gowin): "),
        ("GateMate EVB", "board 'GateMate EVB': `sqhw build` makes nothing for CCGM1A1 (gatemate)"),
        ("LIFCL-40", "device 'LIFCL-40': `sqhw build` makes nothing for LIFCL-40 (nexus): "),
        ("DE0-CV", "board 'DE0-CV' has no board file, only its device 5CEBA4 is known; write one"),
        ("iCE40UP5K", "'iCE40UP5K' is a device, not a board; name a board with it: iCEBreaker, UP"),
        ("iCE40HX8K", "'iCE40HX8K' is a device, not a board; write a board file, see docs/boa"),
    ],
)
def test_names_that_only_the_device_files_know(tmp_path, monkeypatch, capsys, name, message):
    out = tmp_path / "build"
    assert (
        refuse(monkeypatch, capsys, "build", TINY, "--board", name, "--out", out)[: len(message)]
        == message
    )
    assert not out.exists()


@pytest.mark.parametrize("part", ["lp384", "u4k", "up5x"])
def test_a_part_whose_block_ram_is_not_known_is_refused_early(tmp_path, monkeypatch, capsys, part):
    own = tmp_path / "own.toml"
    shipped = (ROOT / "sqhw" / "boards" / "icebreaker.toml").read_text()
    own.write_text(shipped + f'part = "{part}"\n')
    monkeypatch.setattr("sqhw.steps.build.build_bitstream", None)
    message = refuse(monkeypatch, capsys, "build", TINY, "--board", own, "--out", tmp_path / "out")
    assert message == (
        f"board iCEBreaker: part '{part}' is none whose block RAM `sqhw build` finds in a "
        "bitstream of ice40; allowed are hx1k, hx4k, hx8k, lp1k, lp4k, lp8k, up3k, up5k: name one "
        "in the board file, or in [device.placement] of the file of iCE40UP5K"
    )
    assert not (tmp_path / "out").exists()


def test_a_board_file_of_a_family_without_a_flow_is_refused(tmp_path, monkeypatch, capsys):
    own = tmp_path / "own.toml"
    shipped = (ROOT / "sqhw" / "boards" / "ulx3s.toml").read_text()
    own.write_text(
        shipped.partition("[[board]]")[0] + '[[board]]\nname = "Mine"\ndevice = "GW1NR-9C"\n'
    )
    message = refuse(monkeypatch, capsys, "build", TINY, "--board", own, "--out", tmp_path / "out")
    assert message.startswith("board 'Mine': `sqhw build` makes nothing for GW1NR-9C (gowin): ")
    assert not (tmp_path / "out").exists()
