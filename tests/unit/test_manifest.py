"""Files that were written for another engine are refused by name."""

import json
from dataclasses import replace

import pytest
from strategies import random_network

from sqhw.build import write_rom
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.manifest import check_manifest, check_plain, write_manifest
from sqhw.program import compile_network

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
        check_plain(tmp_path, {"interface": "axi"}, {})


def test_roms_must_hold_their_images(tmp_path):
    rtl = {"interface": "plain", "words": {"weights": 100}}
    check_plain(tmp_path, rtl, {"weights": 100})
    with pytest.raises(SqhwError, match=r"the weights ROM of the Verilog in .* has 100 words, its"):
        check_plain(tmp_path, rtl, {"weights": 101})
