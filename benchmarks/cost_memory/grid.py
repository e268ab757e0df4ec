"""What yosys made of memories and multipliers: the files in ``data``, and the model's answer."""

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.seal import read_sealed_text
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.memory import Mapping, map_ram, map_rom
from sqhw.cost_models.multiplier import map_multiplier

DATA = Path(__file__).parent / "data"
#: Devices by family, one of each that yosys maps memories for. The rules are those of the family.
DEVICES = {
    "ice40": "iCE40UP5K",
    "ecp5": "LFE5U-25F",
    "nexus": "LIFCL-40",
    "gowin": "GW1NR-9C",
    "gw5a": "GW5A-25A",
    "gatemate": "CCGM1A1",
    "efinix": "T8",
    "xc7": "XC7A35T",
    "xcup": "XCZU7EV",
    "cyclonev": "5CSEBA6",
}


@dataclass(frozen=True)
class Shape:
    """A memory.

    Parameters
    ----------
    family : str
    ports : {"rom", "1r1w", "1rw"}
    style : str
        As for `map_rom`.
    depth, width : int
        Words, and bits per word.
    """

    family: str
    ports: str
    style: str
    depth: int
    width: int

    @property
    def device(self) -> Device:
        """The device that stands for the family."""
        return find_device(DEVICES[self.family])

    def model(self) -> Mapping:
        """Return the model's mapping."""
        if self.ports == "rom":
            return map_rom(self.depth, self.width, self.device, style=self.style)
        return map_ram(self.depth, self.width, self.device, ports=self.ports, style=self.style)


def read_memories() -> list[tuple[Shape, int]]:
    """Return every memory of the grids with the blocks that yosys took."""
    return [
        (
            Shape(row["family"], row["ports"], row["style"], int(row["depth"]), int(row["width"])),
            int(row["blocks"]),
        )
        for name in ("rom_yosys.csv", "ram_yosys.csv")
        for row in _read(name)
    ]


def multiplier_points() -> list[tuple[str, bool]]:
    """Return the family of every multiplier of the grid, and whether the model has yosys's cell."""
    points = []
    for row in _read("multiplier_yosys.csv"):
        device = find_device(DEVICES[row["family"]])
        cell = map_multiplier(int(row["a_bits"]), int(row["b_bits"]), device)
        points.append((row["family"], row["cell"] == ("" if cell is None else cell.name)))
    return points


def _read(name: str) -> list[dict[str, str]]:
    lines = read_sealed_text(DATA / name).splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
