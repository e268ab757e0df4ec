"""Files that were written for another engine are refused by name."""

import json
from dataclasses import replace

import pytest
from strategies import random_network

from sqhw.build import write_rom
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.manifest import (
    check_manifest,
    check_plain,
    check_same_pieces,
    pieces_of,
    write_manifest,
)
from sqhw.program import compile_network
from sqhw.rom_pieces import Piece, to_plain

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
