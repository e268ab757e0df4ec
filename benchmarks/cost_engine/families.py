"""The families that the model is calibrated for, and how their engines are built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cost_engine.design import Point, draw_points
from sqhw.cost_models.device import Device, find_device
from sqhw.synth.tools import FLOWS, Flow


@dataclass(frozen=True)
class Family:
    """A family, and the engines that are drawn for it.

    Parameters
    ----------
    name : str
        Of its calibration file.
    device_name : str
        The device that is placed and routed, or whose tools map the logic.
    points : int
        Engines that are synthesized.
    placed : int
        All that are held out, and the first so many of the others, are placed and routed as well.
    levels : mapping of str to sequence
        Numbers of lanes, and what differs from `benchmarks.cost_engine.design.LEVELS`.
    clock_devices : tuple of str
        Devices of the same silicon and speed grade.
    """

    name: str
    device_name: str
    points: int
    placed: int
    levels: Mapping[str, Sequence[Any]]
    clock_devices: tuple[str, ...]

    def draw(self) -> tuple[Point, ...]:
        """Return its engines."""
        return draw_points(self.name, self.points, self.levels)

    def to_place(self) -> tuple[Point, ...]:
        """Return those that are placed and routed, the small ones first."""
        points = self.draw()
        held_out = [point for point in points if point.held_out]
        others = [point for point in points if not point.held_out]
        chosen = [*held_out, *others[: self.placed]]
        return tuple(sorted(chosen, key=lambda point: (point.engine.lanes, point.number)))

    @property
    def device(self) -> Device:
        """The device."""
        return find_device(self.device_name)

    @property
    def flow(self) -> Flow:
        """How it is synthesized, placed and routed."""
        return FLOWS[self.device_name]


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
    "lut_share": (0, 0, 0, 0.25),
    "groups": (False, False, True),
    "residuals": (False, False, True),
}
FAMILIES = {
    family.name: family
    for family in (
        Family(
            "ecp5",
            "LFE5U-25F",
            21,
            9,
            {"lanes": (4, 4, 8, 8, 16, 16, 32)},
            ("LFE5U-12F", "LFE5U-25F", "LFE5U-45F", "LFE5U-85F"),
        ),
        Family("ice40", "iCE40UP5K", 18, 9, _UP5K, ("iCE40UP5K",)),
    )
}
