"""Writes the engine as Verilog."""

import os
import re
from importlib.resources import files

from amaranth.lib import wiring

from sqhw.environment.wasm_cache import wasm_cache
from sqhw.errors import unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, core_module, top_module
from sqhw.machine.rom_pieces import Pieces
from sqhw.rtl.axi_engine import AxiEngine
from sqhw.rtl.cluster import Cluster
from sqhw.rtl.engine import Engine

#: Interfaces of the top module.
INTERFACES = ("plain", "axi")
#: Names of registers that yosys takes from a line of its own source.
TRIGGER_NAME = re.compile(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module(\$\d+) ")
#: Declarations of these registers. yosys adds them to modules with combinational blocks, so that
#: the blocks run once at time 0. In SystemVerilog (``iverilog -g2012``) the value in a declaration
#: is no event: blocks whose inputs never change would stay undefined. A change after time 0 wakes
#: them.
TRIGGER = re.compile(r"^  reg (\\\$wake\$\d+) += 0;\n", re.MULTILINE)
ICARUS_TRIGGER = r"\g<0>`ifdef __ICARUS__\n  initial #0 \1 = 1;\n`endif\n"
#: Register with an initial value. Linters (PROCASSINIT of Verilator) take a value in the
#: declaration for a constant. A statement of its own means the same.
REGISTER = re.compile(r"^  reg ((?:\[\d+:0\] )?)(\\\S+ |\w+) += (\d+'\w+);\n", re.MULTILINE)
INITIAL = r"  reg \1\2;\n  initial \2 = \3;\n"
#: Waivers of the lint rules that Verilog from yosys breaks. It keeps all others. The names are
#: known to Verilator from version 4 on.
WAIVERS = """\
/* verilator lint_save */
/* verilator lint_off CASEINCOMPLETE */ // what a case leaves out has its value from before the case
/* verilator lint_off DECLFILENAME */   // all modules of the engine in one file
/* verilator lint_off UNUSED */         // carries of sums, and bytes of arrays that go as a whole
/* verilator lint_off WIDTH */          // sums widen their operands; ! of a number: is it zero
"""
RESTORE = "/* verilator lint_restore */\n"


def engine_verilog(
    engine: EngineConfig, pieces: Pieces, interface: str = "plain", name: str = DEFAULT_NAME
) -> str:
    """Return the Verilog of an engine, without the leaf modules.

    Parameters
    ----------
    engine : EngineConfig
    pieces : mapping of str to tuple of Piece
        Memories of the ROMs ``weights``, ``params`` and ``codebook``.
    interface : str
        ``plain`` or ``axi``: one of `INTERFACES`.
    name : str
        Prefix of the modules and of ROM images, from `sqhw.machine.naming.check_name`.

    Raises
    ------
    SqhwError
        If `interface` is not one of `INTERFACES`.
    """
    if interface not in INTERFACES:
        raise unknown_name("interface", interface, INTERFACES)
    component: wiring.Component
    if interface == "axi":
        component = AxiEngine(engine, pieces, name)
    elif engine.cores > 1:
        component = Cluster(engine, name)
    else:
        component = Engine(engine, pieces, name)
    text = component_verilog(component, top_module(name, interface))
    if engine.cores > 1:
        text += component_verilog(Engine(engine, pieces, name), core_module(name))
    return text


def component_verilog(component: wiring.Component, top: str) -> str:
    """Return the Verilog of a component, whose modules all begin with the name `top`.

    Parameters
    ----------
    component : Component
        An engine, or a design that has one or several of them.
    top : str
        Name of its module.
    """
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"  # the yosys of the wheel, whatever is on PATH
    from amaranth.back import verilog

    with wasm_cache():
        text = verilog.convert(component, name=top, strip_internal_attrs=True)
    text = TRIGGER.sub(ICARUS_TRIGGER, TRIGGER_NAME.sub(r"\\$wake\1 ", text))
    text = REGISTER.sub(INITIAL, text)
    head, modules = text.split("\n", 1)
    return f"{head}\n{WAIVERS}{modules}{RESTORE}"


def leaf_verilog(file: str, name: str = DEFAULT_NAME) -> str:
    """Return the text of a file of leaf modules, whose names begin with `name`."""
    text = files("sqhw.rtl").joinpath("verilog", file).read_text()
    return text.replace(f"module {DEFAULT_NAME}_", f"module {name}_")
