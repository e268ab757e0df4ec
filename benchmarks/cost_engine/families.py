"""The families that the model is calibrated for, and how their engines are built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cost_engine.design import Point, draw_points
from sqhw.cost_models.device import Device, find_device
from sqhw.synth.tools import FLOWS, Flow


@dataclass(frozen=True)
class Mapped:
    """How a device is synthesized for which nothing is placed: what yosys' cells count as.

    Parameters
    ----------
    synth : str
        The yosys command.
    luts : mapping of str to int
        LUTs of each cell; an adder's are counted as on the other families.
    ff_prefix : str
        What the names of flip-flops begin with.
    brams, dsps : mapping of str to int
        Memory blocks and multipliers of each cell.
    """

    synth: str
    luts: Mapping[str, int]
    ff_prefix: str
    brams: Mapping[str, int]
    dsps: Mapping[str, int]

    def counts(self, cells: Mapping[str, int]) -> dict[str, int]:
        """Return ``luts``, ``ffs``, ``brams`` and ``dsps`` of yosys' cell counts."""
        found = {
            key: sum(table.get(cell, 0) * number for cell, number in cells.items())
            for key, table in (("luts", self.luts), ("brams", self.brams), ("dsps", self.dsps))
        }
        ffs = sum(number for cell, number in cells.items() if cell.startswith(self.ff_prefix))
        return found | {"ffs": ffs}


@dataclass(frozen=True)
class Family:
    """A family, and the engines that are drawn for it.

    Parameters
    ----------
    name : str
        Of its calibration file.
    device_name : str
        The device that is placed and routed, or whose tools map the logic.
    points, held_out : int
        Engines that are fitted, and those that are held out.
    placed : int
        All that are held out, and so many of the others at most, of all numbers of lanes, are
        placed and routed as well; none if it is 0.
    levels : mapping of str to sequence
        Numbers of lanes, and what differs from `benchmarks.cost_engine.design.LEVELS`.
    clock_devices : tuple of str
        Devices of the same silicon and speed grade.
    """

    name: str
    device_name: str
    points: int
    held_out: int
    placed: int
    levels: Mapping[str, Sequence[Any]]
    clock_devices: tuple[str, ...]

    def draw(self) -> tuple[Point, ...]:
        """Return its engines."""
        fitted = draw_points(self.name, self.points, self.levels, held_out=False)
        return fitted + draw_points(self.name, self.held_out, self.levels, held_out=True)

    def to_place(self) -> tuple[Point, ...]:
        """Return those that are placed and routed, the small ones first."""
        if not self.placed:
            return ()
        points = sorted(self.draw(), key=lambda point: (point.engine.lanes, point.number))
        others = [point for point in points if not point.held_out]
        others = others[:: -(-len(others) // self.placed)]
        return tuple(point for point in points if point.held_out or point in others)

    @property
    def device(self) -> Device:
        """The device."""
        return find_device(self.device_name)

    @property
    def flow(self) -> Flow | Mapped:
        """How it is synthesized, and placed and routed if that is set up."""
        return FLOWS.get(self.device_name) or MAPPED[self.device_name]


MAPPED = {
    "LIFCL-40": Mapped(
        "synth_lattice -family lifcl",
        {"LUT4": 1, "CCU2": 2},
        "FD1P3",
        {"PDPSC16K": 1, "PDP16K": 1, "DP16K": 1},
        {"MULT9X9": 1, "MULT18X18": 1},
    ),
    "GW2AR-18C": Mapped(
        "synth_gowin -family gw2a",
        {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1},
        "DFF",
        dict.fromkeys(("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9"), 1),
        {"MULT9X9": 1, "MULT18X18": 1},
    ),
    "XC7A35T": Mapped(
        "synth_xilinx -family xc7 -noiopad -noclkbuf",
        {f"LUT{inputs}": 1 for inputs in range(1, 7)} | {"SRL16E": 1, "SRLC32E": 1},
        "FD",
        {"RAMB18E1": 1, "RAMB36E1": 2},
        {"DSP48E1": 1},
    ),
}
#: An iCE40UP5K holds small engines only: 5,280 logic cells, 30 block RAMs, 8 DSPs.
_UP5K = {
    "lanes": (4, 4, 8),
    "bank_depth": (256, 512, 512, 1024),
    "acc_bits": tuple(range(18, 27)),
    "mult_bits": tuple(range(4, 13)),
    "dim_bits": (5, 6),
    "word_bits": (16,),
    "weight_addr_bits": (10, 11, 12),
    "param_addr_bits": (9, 10),
    "codebook_addr_bits": (7, 8, 9),
    "max_batch": (1, 1, 1, 2),
    "requantizers": (1, 1, 1, 2),
    "taps_per_entry": (1, 1, 2),
    "lut_share": (0, 0, 0, 0.25),
    "groups": (False, False, True),
    "residuals": (False, False, True),
}
_MAPPED = {"lanes": (4, 8, 16)}
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ecp5",
            "LFE5U-85F",
            21,
            7,
            8,
            {"lanes": (4, 4, 8, 8, 16, 16, 32)},
            ("LFE5U-12F", "LFE5U-25F", "LFE5U-45F", "LFE5U-85F"),
        ),
        Family("ice40", "iCE40UP5K", 18, 6, 8, _UP5K, ("iCE40UP5K",)),
        Family("nexus", "LIFCL-40", 12, 4, 0, _MAPPED, ()),
        Family("gowin", "GW2AR-18C", 12, 4, 0, _MAPPED, ()),
        Family("xc7", "XC7A35T", 12, 4, 0, _MAPPED, ()),
    )
}
