"""Facts for place and route: the tool of a family, and the names of a device in the tool."""

import re
from dataclasses import dataclass

from sqhw.cost_models.checks import (
    as_lists,
    check_bool,
    check_choice,
    check_int,
    check_text,
    check_texts,
)
from sqhw.errors import shown

#: Programs that place and route, without the prefix ``yowasp-``.
PLACE_TOOLS = ("nextpnr-ice40", "nextpnr-ecp5")
#: Forms of words that reach a command line or a yosys script: no space, no path, no second option.
PART = re.compile(r"(?=[^\d]*\d)[a-z0-9]+(-[a-z0-9]+)*")
NAME = re.compile(r"[A-Za-z0-9]+")
OPTION = re.compile(r"-?[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class PlaceTool:
    """The program that places and routes a family, and its names of cells.

    Parameters
    ----------
    program : {"nextpnr-ice40", "nextpnr-ecp5"}
    lut_cell, bram_cell, dsp_cell : str
        Names of the counted cells in the program.
    ff_prefix : str
        First part of the names of yosys' flip-flops.
    output_registers : bool
        Whether registers downstream of block RAM go into it, see `sqhw.synth.output_registers`.
    source : tuple of str
        Where the facts are from.
    single_port_cell : str or None
        Name of the single-port RAM beside the block RAM in the program.
    single_port_option : str or None
        Option of the yosys command with which it uses that RAM.
    """

    program: str
    lut_cell: str
    bram_cell: str
    dsp_cell: str
    ff_prefix: str
    output_registers: bool
    source: tuple[str, ...]
    single_port_cell: str | None = None
    single_port_option: str | None = None

    def __post_init__(self) -> None:
        if self.single_port_cell is not None:
            check_text("single_port_cell", self.single_port_cell)
        if self.single_port_option is not None:
            _check_word("single_port_option", self.single_port_option, OPTION, "-spram")
        check_choice("program", self.program, PLACE_TOOLS)
        for key in ("lut_cell", "bram_cell", "dsp_cell", "ff_prefix"):
            check_text(key, getattr(self, key))
        check_bool("output_registers", self.output_registers)
        check_texts("source", self.source, at_least=1)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Placement and routing of a device by the tool of its family.

    Parameters
    ----------
    part, package : str
        Names of the die and of the package in the tool, for example ``25k`` and ``CABGA381``.
    speed : str or None
        Speed grade, if the tool knows several.
    synth_options : tuple of str
        Options of the yosys command for the device.
    target_mhz : int, 1 or more
        Frequency that the tool works towards (unit: MHz); a higher one brings no more.
    source : tuple of str
        Where the facts are from.
    """

    part: str
    package: str
    speed: str | None = None
    synth_options: tuple[str, ...] = ()
    target_mhz: int
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_word("part", self.part, PART, "25k")
        _check_word("package", self.package, NAME, "CABGA381")
        if self.speed is not None:
            _check_word("speed", self.speed, NAME, "6")
        check_texts("synth_options", self.synth_options, at_least=0)
        for option in self.synth_options:
            _check_word("synth_options", option, OPTION, "-dsp")
        check_int("target_mhz", self.target_mhz, 1)
        check_texts("source", self.source, at_least=1)


def _check_word(key: str, value: object, form: re.Pattern[str], example: str) -> None:
    if not (isinstance(value, str) and form.fullmatch(value)):
        raise ValueError(
            f"{key} must be one word such as {example!r}, not {shown(as_lists(value))}"
        )
