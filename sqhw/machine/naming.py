"""Names of an engine's Verilog modules and files; a prefix keeps engines of one design apart."""

import re

from sqhw.errors import SqhwError, shown

#: Default prefix of modules and Verilog files; with it ROM images have no prefix.
DEFAULT_NAME = "sqhw"
MAX_LENGTH = 32
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
#: Key words of IEEE 1364-2005, which no part of a design can have as a name.
KEYWORDS = frozenset(
    """
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
    default defparam design disable edge else end endcase endconfig endfunction endgenerate
    endmodule endprimitive endspecify endtable endtask event for force forever fork function
    generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer
    join large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1
    pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat
    rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam
    strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand
    trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
    """.split()
)
#: Suffix of the top module of each interface.
TOPS = {"plain": "engine", "axi": "axi"}
#: Suffixes of the hand-written modules that an engine instantiates.
_LEAVES = ("rom", "ram")
#: Sources in this package of leaf modules for banks of a single port. The files that are written
#: and the modules have the names of the others.
SINGLE_PORT_LEAVES = {f"{DEFAULT_NAME}_ram.v": f"{DEFAULT_NAME}_ram_single_port.v"}


def check_name(name: str) -> str:
    """Return a name that modules and files may begin with.

    Raises
    ------
    SqhwError
        If it is no Verilog identifier of letters, digits and underscores that begins with a
        letter, or longer than `MAX_LENGTH`, or a key word.
    """
    if not isinstance(name, str):
        raise SqhwError(f"the name {shown(name)} cannot begin Verilog modules; give a string")
    if not _IDENTIFIER.fullmatch(name) or len(name) > MAX_LENGTH:
        cut = name if len(name) <= MAX_LENGTH else f"{name[:MAX_LENGTH]}..."
        raise SqhwError(
            f"the name {cut!r} cannot begin Verilog modules; give a letter and up to "
            f"{MAX_LENGTH - 1} letters, digits and underscores"
        )
    if name in KEYWORDS:
        raise SqhwError(f"the name {name!r} is a key word of Verilog; give another one")
    return name


def top_module(name: str, interface: str = "plain") -> str:
    """Return the top module of an engine: ``NAME_engine``, or ``NAME_axi``."""
    return f"{name}_{TOPS[interface]}"


def core_module(name: str) -> str:
    """Return the module of one core of an engine of several: ``NAME_core``."""
    return f"{name}_core"


def leaf_files(name: str) -> dict[str, str]:
    """Return the files of the hand-written modules, by their names in this package."""
    return {f"{DEFAULT_NAME}_{leaf}.v": f"{name}_{leaf}.v" for leaf in _LEAVES}


def verilog_files(name: str, interface: str = "plain") -> tuple[str, ...]:
    """Return the Verilog files of an engine, that of the top module first."""
    return (f"{top_module(name, interface)}.v", *leaf_files(name).values())


def image_name(name: str, rom: str) -> str:
    """Return the name of the image of a ROM: ``weights``, with another name ``NAME_weights``."""
    return rom if name == DEFAULT_NAME else f"{name}_{rom}"
