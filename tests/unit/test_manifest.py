"""Files that were written for another engine are refused by name."""

import json
from dataclasses import replace

import pytest
from command_line import refuse, run
from strategies import random_network

from sqhw.compiler.program import compile_network
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom
from sqhw.export.manifest import (
    FILES,
    check_manifest,
    check_plain,
    check_roms,
    check_same_pieces,
    pieces_of,
    write_manifest,
)
from sqhw.machine.config import EngineConfig
from sqhw.machine.rom_pieces import Piece, to_plain
from sqhw.network.quantized_file import save_network

ENGINE = EngineConfig(lanes=16, word_bits=18)


def test_facts_come_back(tmp_path):
    write_manifest(tmp_path, "rtl", ENGINE, {"interface": "axi"})
    assert check_manifest(tmp_path, "rtl", ENGINE)["interface"] == "axi"
    assert json.loads((tmp_path / "rtl.json").read_text())["engine"]["lanes"] == 16


def test_another_configuration_is_refused_with_what_differs(tmp_path):
    engine = EngineConfig(bank_depth=1024, groups=True, residuals=True)
    write_rom(compile_network(random_network(3), engine), tmp_path)
    check_manifest(tmp_path, "rom", engine)
    other = replace(engine, max_gap_bits=5, word_bits=20)
    with pytest.raises(SqhwError) as error:
        check_manifest(tmp_path, "rom", other)
    assert str(error.value) == (
        f"the ROM images in {tmp_path} were written for another engine configuration "
        "(word_bits 16 instead of 20, max_gap_bits 8 instead of 5); "
        "write them anew with `sqhw rom`"
    )


def test_a_field_that_only_one_side_names_is_shown_with_its_default(tmp_path):
    coded = replace(ENGINE, quotient_ones=8)
    write_manifest(tmp_path, "rtl", ENGINE, {"interface": "plain"})
    with pytest.raises(SqhwError, match=r"\(quotient_ones 0 instead of 8\)"):
        check_manifest(tmp_path, "rtl", coded)
    write_manifest(tmp_path, "rtl", coded, {"interface": "plain"})
    with pytest.raises(SqhwError, match=r"\(quotient_ones 8 instead of 0\)"):
        check_manifest(tmp_path, "rtl", ENGINE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"engine": 3}', '{"engine": [1]}'])
def test_damaged_manifest(tmp_path, text):
    (tmp_path / "rtl.json").write_text(text)
    with pytest.raises(SqhwError, match=r"rtl\.json is damaged; write them anew"):
        check_manifest(tmp_path, "rtl", ENGINE)


def test_missing_manifest(tmp_path):
    with pytest.raises(SqhwError, match=r"rom\.json is missing beside the ROM images"):
        check_manifest(tmp_path, "rom", ENGINE)


def test_only_plain_verilog_is_verified(tmp_path):
    with pytest.raises(SqhwError, match="have the interface 'axi', only plain ones can be"):
        check_plain(tmp_path, {"interface": "axi"})


def in_pieces(folder, kind, *parts):
    write_manifest(folder, kind, ENGINE, {"pieces": to_plain({"weights": parts})})


def test_roms_must_hold_their_images(tmp_path):
    rtl, rom = tmp_path / "rtl", tmp_path / "rom"
    for folder in (rtl, rom):
        folder.mkdir()
    in_pieces(rtl, "rtl", Piece(0, 100, 0, 18))
    in_pieces(rom, "rom", Piece(0, 99, 0, 18))
    assert check_same_pieces(rtl, rom, ENGINE) == {"weights": (Piece(0, 99, 0, 18),)}
    in_pieces(rom, "rom", Piece(0, 101, 0, 18))
    with pytest.raises(SqhwError, match=r"the weights ROM of the Verilog in .* has 100 words, its"):
        check_same_pieces(rtl, rom, ENGINE)


def test_roms_and_verilog_have_the_same_pieces(tmp_path):
    rtl, rom = tmp_path / "rtl", tmp_path / "rom"
    for folder in (rtl, rom):
        folder.mkdir()
    pieces = Piece(0, 64, 0, 18), Piece(64, 36, 0, 18)
    in_pieces(rtl, "rtl", *pieces)
    in_pieces(rom, "rom", *pieces)
    assert check_same_pieces(rtl, rom, ENGINE) == {"weights": pieces}
    in_pieces(rom, "rom", Piece(0, 100, 0, 18))
    with pytest.raises(SqhwError) as error:
        check_same_pieces(rtl, rom, ENGINE)
    assert str(error.value) == (
        f"the weights ROM is 100 words in 2 pieces in the Verilog in {rtl}, its image 100 words in "
        f"1 pieces in {rom}; write both anew, with `sqhw rtl` and `sqhw rom`, for the same device"
    )


@pytest.mark.parametrize("pieces", [None, {"weights": [[0, 4]]}, {"weights": [[1, 4, 0, 18]]}])
def test_a_manifest_without_pieces_is_refused(tmp_path, pieces):
    write_manifest(tmp_path, "rtl", ENGINE, {"pieces": pieces})
    with pytest.raises(SqhwError, match=r"rtl\.json does not say which pieces the ROMs have"):
        pieces_of(tmp_path, "rtl", ENGINE)


def edited(folder, kind, **facts):
    path = folder / FILES[kind]
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("batch", "1"),
        ("batch", None),
        ("batch", 1.0),
        ("batch", True),
        ("batch", [1]),
        ("interface", ["plain"]),
        ("words", {"weights": "9"}),
        ("engine", {**ENGINE.to_dict(), "more": [[["x" * 1000]]]}),
        ("engine", {**ENGINE.to_dict(), "requantizers": True}),
    ],
)
def test_facts_of_another_type_are_refused(tmp_path, fact, value):
    write_manifest(tmp_path, "rom", ENGINE, {"batch": 1})
    edited(tmp_path, "rom", **{fact: value})
    with pytest.raises(SqhwError) as error:
        check_manifest(tmp_path, "rom", ENGINE)
    assert fact in str(error.value) or "requantizers True instead of 1" in str(error.value)
    assert str(error.value).count("`sqhw rom`") == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, '{"engine": Infinity}', '{"engine": {}, "engine": {}}', f"[{'9' * 5000}]", "\0"],
)
def test_text_that_is_no_manifest_is_damage(tmp_path, text):
    (tmp_path / "rom.json").write_text(text)
    with pytest.raises(SqhwError, match=r"rom\.json is damaged; write them anew with `sqhw rom`"):
        check_manifest(tmp_path, "rom", ENGINE)


@pytest.mark.parametrize(
    "pieces",
    [
        {"weights": [[0, 1e999, 0, 18]]},
        {"weights": [[0, "4", 0, 18]]},
        {"weights": [[0, True, 0, 18]]},
        {"weights": [[0, 4.0, 0, 18]]},
        {"weights": [[0, 1 << 40, 0, 18]]},
        {"weights": [[index, 1, 0, 18] for index in range(5000)]},
        {"weights": []},
        {"weights": 3},
        [[0, 4, 0, 18]],
    ],
)
def test_pieces_that_are_none_are_refused(tmp_path, pieces):
    write_manifest(tmp_path, "rtl", ENGINE, {})
    edited(tmp_path, "rtl", pieces=pieces)
    with pytest.raises(SqhwError, match=r"rtl\.json (does not say which|is damaged; )"):
        pieces_of(tmp_path, "rtl", ENGINE)


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ({"weights": (Piece(0, 9, 0, 18),)}, "rtl.json does not say which pieces the params ROM"),
        (
            {"weights": (Piece(0, 9, 0, 17),), "params": (), "codebook": ()},
            "rtl.json: the weights ROM has words of 17 bits, this engine's of 18",
        ),
        (
            {"weights": (), "params": (), "codebook": (), "prams": (Piece(0, 9, 0, 18),)},
            "rtl.json 'prams'; did you mean 'params'?",
        ),
    ],
)
def test_pieces_are_those_of_the_engines_roms(tmp_path, pieces, message):
    widths = {"weights": 18, "params": 18, "codebook": 8}
    good = {name: (Piece(0, 9, 0, width),) for name, width in widths.items()}
    check_roms(good, widths, tmp_path / "rtl.json")
    whole = {name: parts or good[name] for name, parts in pieces.items()}
    with pytest.raises(SqhwError) as error:
        check_roms(whole, widths, tmp_path / "rtl.json")
    assert message in str(error.value)


def test_narrower_pieces_never_cut_an_image_off(tmp_path, monkeypatch, capsys):
    net, folder = tmp_path / "net.safetensors", tmp_path / "rtl"
    network = replace(random_network(3), metadata={"engine": json.dumps(ENGINE.to_dict())})
    save_network(network, net)
    code, _, err = run(monkeypatch, capsys, "rtl", net, "--out", folder)
    assert code == 0, err
    pieces = json.loads((folder / "rtl.json").read_text())["pieces"]
    pieces["weights"][0][3] -= 1
    edited(folder, "rtl", pieces=pieces)
    message = refuse(monkeypatch, capsys, "rom", net, "--rtl", folder, "--out", tmp_path / "rom")
    assert message.endswith("the weights ROM has words of 17 bits, this engine's of 18")
    assert not (tmp_path / "rom").exists()
