"""Writes the engine as Verilog."""

import os
from collections.abc import Mapping
from importlib.resources import files

from sqhw.engine import EngineConfig
from sqhw.rtl.engine import Engine

TOP = "sqhw_engine"
#: Hand-written leaf modules that the engine instantiates.
LEAVES = ("sqhw_rom.v", "sqhw_ram.v")


def engine_verilog(engine: EngineConfig, depths: Mapping[str, int]) -> str:
    """Return the Verilog of an engine, without the leaf modules.

    Parameters
    ----------
    engine : EngineConfig
    depths : mapping of str to int
        Words of each ROM: ``weights``, ``params``, ``codebook``.
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"  # the yosys of the wheel, whatever is on PATH
    from amaranth.back import verilog

    return str(verilog.convert(Engine(engine, dict(depths)), name=TOP, strip_internal_attrs=True))


def leaf_verilog(name: str) -> str:
    """Return the text of a leaf module."""
    return files("sqhw.rtl").joinpath("verilog", name).read_text()
