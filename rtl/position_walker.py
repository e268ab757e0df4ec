"""Walks over the positions of a feature map and gives the bank row and bank of each.

The images of a run lie side by side: a position has one element for each image. A walker gives the
place of the first element.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig


def map_layout(engine: EngineConfig) -> data.StructLayout:
    """Return the layout of a map in the banks, as the walker needs it.

    ``channels``: rows of one vector of positions; ``split``: stored as four phases;
    ``phase_rows``: rows of a phase; ``pitch_rows``, ``pitch_lane``: the pitch in elements as
    ``(pitch // lanes) * channels`` and ``pitch % lanes``.
    """
    return data.StructLayout(
        {
            "channels": engine.row_bits,
            "split": 1,
            "phase_rows": engine.row_bits,
            "pitch_rows": engine.row_bits,
            "pitch_lane": engine.lane_bits,
        }
    )


def point_layout(engine: EngineConfig) -> data.StructLayout:
    """Return a walker's state: coordinates, phase, and place in the banks.

    ``x``, ``y`` are in the map (``y`` counts on past the last tile); ``row``, ``lane`` are the
    place of the position, ``line_row``, ``line_lane`` that of the first position of its line.
    """
    return data.StructLayout(
        {
            "x": signed(engine.dim_bits + 1),
            "y": signed(engine.dim_bits + engine.lane_bits + 1),
            "phase_x": 1,
            "phase_y": 1,
            "row": engine.row_bits,
            "lane": engine.lane_bits,
            "line_row": engine.row_bits,
            "line_lane": engine.lane_bits,
        }
    )


def map_fields(plane, layer, side: str):
    """Return the assignments that give a walker the layer's input or output map.

    Parameters
    ----------
    plane : View of map_layout
    layer : View of the layer's descriptor
    side : {"in", "out"}
    """
    return [
        getattr(plane, field).eq(getattr(layer, f"{side}_{field}"))
        for field in ("channels", "split", "phase_rows", "pitch_rows", "pitch_lane")
    ]


class MapSteps:
    """The constants of a map, registered, and where one step from a place leads.

    In a split map a step along the line goes to the odd phase, and from there to the next position
    of the even phase. A step to the next line does the same two phases apart. A step adds one of
    three constants of the map to the row: to the odd phase, to the next position, and to the next
    position with a carry out of the lanes. They are valid two cycles after the map.

    Parameters
    ----------
    m : Module
        Module that the logic is added to.
    plane : View of map_layout
    batch : Value
        Images of the run.
    fast : bool
        Whether the rows of all possible steps are computed and one is chosen late. That takes more
        adders. Each works beside the adder of the lanes instead of downstream of it.
    """

    def __init__(self, m, plane, batch, fast: bool = False) -> None:
        self._m, self._batch, self._fast = m, batch, fast
        self.split = Signal(name="split")
        self._pitch_lane = Signal(len(plane.pitch_lane), name="pitch_lane")
        names = ("apart", "on_x", "carry_x", "on_y", "carry_y")
        constants = [Signal(len(plane.channels), name=name) for name in names]
        apart, on_x, carry_x, on_y, carry_y = constants
        self.x, self._y = (apart, on_x, carry_x), (apart << 1, on_y, carry_y)
        back = Mux(plane.split, -plane.phase_rows, 0)
        m.d.sync += [
            self.split.eq(plane.split),
            self._pitch_lane.eq(plane.pitch_lane),
            apart.eq(plane.phase_rows),
            on_x.eq(back),
            carry_x.eq(on_x + plane.channels),
            on_y.eq(plane.pitch_rows + (back << 1)),
            carry_y.eq(on_y + plane.channels),
        ]

    def along(self, row, lane, phase_x):
        """Return row and lane of the next position of the line."""
        return self.step(row, lane, self.split & ~phase_x, lane + self._batch, self.x)

    def across(self, row, lane, phase_y):
        """Return row and lane in the next line."""
        return self.step(row, lane, self.split & ~phase_y, lane + self._pitch_lane, self._y)

    def step(self, row, lane, apart, ahead, constants):
        """Return row and lane of the odd phase if `apart`, else at the lane `ahead`."""
        to_odd, on, carry = constants
        wide = Signal(len(lane) + 1, name="wide")
        self._m.d.comb += wide.eq(ahead)
        further = Mux(apart, lane, wide[:-1])
        if self._fast:
            sums = row + carry, row + Mux(apart, to_odd, on)
            return Mux(wide[-1] & ~apart, *sums)[: len(row)], further
        return (row + Mux(apart, to_odd, Mux(wide[-1], carry, on)))[: len(row)], further


class PositionWalker(wiring.Component):
    """Steps along a line of positions and on to the next line.

    Rows are modulo the bank depth, so a walk may begin above or left of the map. The map and the
    ends of its lines must be stable for `SETTLE_CYCLES` before the first step.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    map : In(map_layout)
        The map that is walked over.
    batch : In(lane_bits + 1)
        Elements of a position: images of the run, or elements written at once. Missing in an
        engine that has neither.
    first_x, last_x : In(signed)
        The `x` at which a line begins and the one after which the next begins.
    first_phase_x : In(1)
        The phase in which a line begins.
    start : In(point_layout)
    load : In(1)
        Go to `start`.
    step : In(1)
        Go to the next position. Ignored in the cycle of `load`.
    point : Out(point_layout)
        Place of the walker, one cycle after `load` or `step`.
    next : Out(point_layout)
        Place after a step.
    """

    SETTLE_CYCLES = 2

    def __init__(self, engine: EngineConfig) -> None:
        point = point_layout(engine)
        self._batched = max(engine.max_batch, engine.requantizers) > 1
        batch = {"batch": In(engine.lane_bits + 1)} if self._batched else {}
        super().__init__(
            {
                "map": In(map_layout(engine)),
                **batch,
                "first_x": In(signed(engine.dim_bits + 1)),
                "last_x": In(signed(engine.dim_bits + 1)),
                "first_phase_x": In(1),
                "start": In(point),
                "load": In(1),
                "step": In(1),
                "point": Out(point),
                "next": Out(point),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the walker."""
        m = Module()
        here, there = self.point, self.next
        last_x = Signal.like(self.last_x, name="last_x")
        m.d.sync += last_x.eq(self.last_x)
        steps = MapSteps(m, self.map, self.batch if self._batched else 1)
        split = steps.split
        along_row, along_lane = steps.along(here.row, here.lane, here.phase_x)
        line_row, line_lane = steps.across(here.line_row, here.line_lane, here.phase_y)
        m.d.comb += there.eq(here)
        with m.If(here.x == last_x):
            m.d.comb += [
                there.x.eq(self.first_x),
                there.y.eq(here.y + 1),
                there.phase_x.eq(self.first_phase_x),
                there.phase_y.eq(here.phase_y ^ split),
                there.row.eq(line_row),
                there.lane.eq(line_lane),
                there.line_row.eq(line_row),
                there.line_lane.eq(line_lane),
            ]
        with m.Else():
            m.d.comb += [
                there.x.eq(here.x + 1),
                there.phase_x.eq(here.phase_x ^ split),
                there.row.eq(along_row),
                there.lane.eq(along_lane),
            ]
        with m.If(self.load):
            m.d.sync += here.eq(self.start)
        with m.Elif(self.step):
            m.d.sync += here.eq(there)
        return m
