"""Writes the engine as Verilog."""

import os
import re
from importlib.resources import files

from sqhw.engine import EngineConfig
from sqhw.errors import unknown_name
from sqhw.rom_pieces import Pieces
from sqhw.rtl.axi_engine import AxiEngine
from sqhw.rtl.engine import Engine

#: Top module of each interface.
TOPS = {"plain": "sqhw_engine", "axi": "sqhw_axi"}
#: Hand-written leaf modules that the engine instantiates.
LEAVES = ("sqhw_rom.v", "sqhw_ram.v")
#: yosys writes this register into modules with combinational blocks, to have them run once at
#: time 0. As SystemVerilog (``iverilog -g2012``) a declaration's value is no event, and blocks
#: whose inputs never change would stay undefined; a change behind time 0 wakes them.
TRIGGER = re.compile(r"^  reg (\\\S+verilog_backend\S+) += 0;\n", re.MULTILINE)
ICARUS_TRIGGER = r"\g<0>`ifdef __ICARUS__\n  initial #0 \1 = 1;\n`endif\n"


def engine_verilog(engine: EngineConfig, pieces: Pieces, interface: str = "plain") -> str:
    """Return the Verilog of an engine, without the leaf modules.

    Parameters
    ----------
    engine : EngineConfig
    pieces : mapping of str to tuple of Piece
        Of each ROM: ``weights``, ``params``, ``codebook``.
    interface : str
        ``plain`` or ``axi``: a key of `TOPS`.

    Raises
    ------
    SqhwError
        If there is no such interface.
    """
    if interface not in TOPS:
        raise unknown_name("interface", interface, TOPS)
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"  # the yosys of the wheel, whatever is on PATH
    from amaranth.back import verilog

    component = Engine if interface == "plain" else AxiEngine
    text = verilog.convert(
        component(engine, pieces), name=TOPS[interface], strip_internal_attrs=True
    )
    return TRIGGER.sub(ICARUS_TRIGGER, text)


def leaf_verilog(name: str) -> str:
    """Return the text of a leaf module."""
    return files("sqhw.rtl").joinpath("verilog", name).read_text()
