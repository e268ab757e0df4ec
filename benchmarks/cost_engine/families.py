"""The families that the model is calibrated for, and how their engines are built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cost_engine.design import Point, draw_points
from sqhw.cost_models.device import Device, find_device
from sqhw.machine.config import EngineConfig
from sqhw.synth.tools import Flow, flow_for


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
        Name of its calibration file.
    device_name : str
        The device that is placed and routed, or whose tools map the logic.
    points, held_out : int
        Engines that are drawn to be fitted, and to be held out.
    usual : tuple of Point
        Engines that are added to them: those that `sqhw.compiler.device_engine` proposes.
    placed : tuple of int
        Numbers of those that are placed and routed as well, beside all that are held out; none at
        all if it is empty.
    levels : mapping of str to sequence
        Numbers of lanes, and what differs from `benchmarks.cost_engine.design.LEVELS`.
    clock_devices : tuple of str
        Devices of the same silicon and speed grade.
    """

    name: str
    device_name: str
    points: int
    held_out: int
    usual: tuple[Point, ...]
    placed: tuple[int, ...]
    levels: Mapping[str, Sequence[Any]]
    clock_devices: tuple[str, ...]

    def draw(self) -> tuple[Point, ...]:
        """Return its engines."""
        fitted = draw_points(self.name, self.points, self.levels, held_out=False)
        drawn = fitted + draw_points(self.name, self.held_out, self.levels, held_out=True)
        return drawn + self.usual

    def to_place(self) -> tuple[Point, ...]:
        """Return those that are placed and routed, the small ones first."""
        if not self.placed:
            return ()
        points = sorted(self.draw(), key=lambda point: (point.engine.lanes, point.number))
        return tuple(point for point in points if point.held_out or point.number in self.placed)

    @property
    def device(self) -> Device:
        """The device."""
        return find_device(self.device_name)

    @property
    def flow(self) -> Flow | Mapped:
        """How it is synthesized, and placed and routed if that is set up."""
        return MAPPED.get(self.device_name) or flow_for(self.device)


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
        "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
        {f"LUT{inputs}": 1 for inputs in range(1, 7)} | {"INV": 1, "SRL16E": 1, "SRLC32E": 1},
        "FD",
        {"RAMB18E1": 1, "RAMB36E1": 2},
        {"DSP48E1": 1},
    ),
}
#: Levels for an iCE40UP5K, which holds only small engines: 5,280 logic cells, 30 block RAMs, 8 DSP.
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
#: Parameters of engines for VGG16 and for a ResNet. The number of lanes and the width of addresses
#: follow from the device.
_VGG16 = {"bank_depth": 4096, "param_addr_bits": 15, "codebook_addr_bits": 12}
_RESNET = {"bank_depth": 2048, "groups": True, "residuals": True, "maxpool": False}
#: Parameters for any network of the zoo that such engines hold, with 8-bit weights.
_WIDEST = {"bank_depth": 4096, "param_addr_bits": 15, "codebook_addr_bits": 13}


def _usual(number: int, weights: int, held_out: bool = False, **fields: Any) -> Point:
    """Return an engine as `sqhw.compiler.device_engine` proposes it, with a depth of `weights`."""
    wide = {"lanes": 32, "requantizers": 4, "taps_per_entry": 2, "word_bits": 18}
    depths = {"weights": weights, "params": 2000, "codebook": 300}
    return Point(number, EngineConfig(**wide | fields), depths, held_out)


_DIGITS = {"weights": 4500, "params": 500, "codebook": 80}
#: Usual engines: that of ``sqhw demo`` is held out, the one for weights of 8 bits is fitted.
_UP5K_USUAL = (
    Point(50, EngineConfig(weight_addr_bits=13, codebook_addr_bits=11), _DIGITS, False),
    Point(150, EngineConfig(weight_addr_bits=13), _DIGITS, True),
)
#: Usual engines: those of an LFE5U-25F have 16 lanes, those of an LFE5U-85F have 32.
_ECP5_USUAL = (
    _usual(50, 100_000, weight_addr_bits=18, **_VGG16),
    _usual(51, 20_000, lanes=16, weight_addr_bits=18, **_WIDEST),
    _usual(150, 24_000, True, lanes=16, bank_depth=2048, weight_addr_bits=16),
    _usual(151, 60_000, True, weight_addr_bits=18, **_RESNET),
)
_MAPPED_USUAL = (
    _usual(50, 16_000, weight_addr_bits=19, **_WIDEST),
    _usual(150, 20_000, True, weight_addr_bits=17, **_RESNET),
)
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ecp5",
            "LFE5U-85F",
            21,
            7,
            _ECP5_USUAL,
            (0, 1, 5, 6, 8, 12, 13, 15, 20, 50, 51),
            {"lanes": (4, 4, 8, 8, 16, 16, 32)},
            ("LFE5U-12F", "LFE5U-25F", "LFE5U-45F", "LFE5U-85F"),
        ),
        Family(
            "ice40", "iCE40UP5K", 18, 6, _UP5K_USUAL, (*range(13), 17, 50), _UP5K, ("iCE40UP5K",)
        ),
        Family("nexus", "LIFCL-40", 12, 4, _MAPPED_USUAL, (), _MAPPED, ()),
        Family("gowin", "GW2AR-18C", 12, 4, _MAPPED_USUAL, (), _MAPPED, ()),
        Family("xc7", "XC7A35T", 12, 4, _MAPPED_USUAL, (), _MAPPED, ()),
    )
}
