"""The register map and its documentation."""

import re
from itertools import combinations
from pathlib import Path

from sqhw.cost_models.rom import rom_pieces
from sqhw.machine.config import EngineConfig
from sqhw.machine.registers import ADDRESS_BITS, ID, REGISTERS, find_register, register_table
from sqhw.rtl.emit import engine_verilog

DOC = (Path(__file__).parents[2] / "docs" / "axi.md").read_text()


def test_the_document_has_the_table():
    assert register_table() in DOC


def test_registers_and_fields_do_not_overlap():
    offsets = [register.offset for register in REGISTERS]
    assert offsets == sorted(set(offsets))
    assert all(offset % 4 == 0 and offset < 1 << ADDRESS_BITS for offset in offsets)
    for register in REGISTERS:
        assert register.access in ("ro", "rw", "w1c", "wo")
        for a, b in combinations(register.fields, 2):
            assert a.mask & b.mask == 0, register.name
        for field in register.fields:
            assert field.mask < 1 << 32
            assert field.reset < 1 << field.width


def test_the_identifier_is_the_name():
    assert ID.to_bytes(4, "big") == b"SQHW"


def test_every_configuration_fits_its_register():
    """The largest value of each field of CONFIG, by the limits of the engine."""
    largest = {"lanes": 128, "requantizers": 128, "word_bits": 64, "max_batch": 31}
    for field in find_register("CONFIG").fields:
        assert largest.get(field.name, 1) < 1 << field.width, field.name
        assert hasattr(EngineConfig(), field.name)


def test_the_instance_has_every_port():
    (instance,) = re.findall(r"```verilog\n(.*?)```", DOC, re.DOTALL)
    depths = {"weights": 16, "params": 64, "codebook": 16}
    pieces = rom_pieces(EngineConfig(), depths, None)
    verilog = engine_verilog(EngineConfig(), pieces, "axi")
    (ports,) = re.findall(r"^module sqhw_axi\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"\.(\w+)\(", instance)) == sorted(re.findall(r"\w+", ports))
