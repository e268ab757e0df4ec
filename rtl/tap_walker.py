"""Walks over the taps of a kernel, up to two an entry."""

from amaranth.hdl import C, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig
from sqhw.rtl.position_walker import MapSteps, PositionWalker, map_layout, point_layout


class TapWalker(wiring.Component):
    """A `PositionWalker` that also goes two positions at once and may begin at the second one.

    Lines of one position are walked one at a time only.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    map, batch, first_x, last_x, first_phase_x : In
        As those of the `PositionWalker`.
    start : In(point_layout)
        The first position of a line.
    load : In(1)
        Go to `start`.
    second : In(1)
        With `load`: go to the position behind `start` instead.
    step, step_two : In(1)
        Go to the next position or to the next but one. Ignored in the cycle of `load`.
    point : Out(point_layout)
        Where the walker is; one cycle after `load`, `step` or `step_two`.
    """

    SETTLE_CYCLES = PositionWalker.SETTLE_CYCLES + 1

    def __init__(self, engine: EngineConfig) -> None:
        point = point_layout(engine)
        self._batched = max(engine.max_batch, engine.requantizers) > 1
        # Two steps carry twice out of the lanes where the images of a run fill them.
        self._carries_twice = engine.max_batch == engine.lanes
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
                "second": In(1),
                "step": In(1),
                "step_two": In(1),
                "point": Out(point),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the walker."""
        m = Module()
        here, start, plane, two = self.point, self.start, self.map, self.step_two
        batch = self.batch if self._batched else C(1)
        steps = MapSteps(m, plane, batch)

        # Two steps along a split line are one within its phase.
        rows, lanes = len(here.row), len(here.lane)
        lanes_two, wide = Signal(lanes + 1), Signal(lanes + 1)
        on_two, carry_two = Signal(rows), Signal(rows)
        twice = ~plane.split & batch[-1] if self._carries_twice else 0
        m.d.sync += [
            lanes_two.eq(Mux(plane.split, batch, batch << 1)),
            on_two.eq(Mux(twice, plane.channels << 1, 0)),
            carry_two.eq(plane.channels),
        ]
        m.d.comb += wide.eq(here.lane + lanes_two)
        add, lane = steps.along(here.lane, here.phase_x)
        further, further_lane = Signal(rows), Signal(lanes)
        m.d.comb += [
            further.eq(here.row + Mux(two, Mux(wide[-1], carry_two, on_two), add)),
            further_lane.eq(Mux(two, wide[:-1], lane)),
        ]

        # The first two positions of the next line, or of the first one.
        second_x, last_x, last_but_one = (
            Signal.like(self.last_x, name=name) for name in ("second_x", "last_x", "last_but_one")
        )
        second_row, second_lane = Signal(rows), Signal(lanes)
        start_row, start_lane = Signal(rows), Signal(lanes)
        add, lane = steps.along(start.lane, start.phase_x)
        m.d.sync += [
            second_x.eq(self.first_x + 1),
            last_x.eq(self.last_x),
            last_but_one.eq(self.last_x - 1),
            start_row.eq(start.row + add),
            start_lane.eq(lane),
        ]
        add, lane = steps.across(here.line_lane, here.phase_y)
        row_one, lane_one = Signal(rows), Signal(lanes)
        m.d.comb += [
            row_one.eq(Mux(self.load, start.row, here.line_row + add)),
            lane_one.eq(Mux(self.load, start.lane, lane)),
        ]
        add, lane = steps.across(second_lane, here.phase_y)
        row_two, lane_two = Signal(rows), Signal(lanes)
        m.d.comb += [
            row_two.eq(Mux(self.load, start_row, second_row + add)),
            lane_two.eq(Mux(self.load, start_lane, lane)),
        ]

        ends, turns, to_second = Signal(), Signal(), Signal()
        m.d.comb += [
            ends.eq((here.x == last_x) | (two & (here.x == last_but_one))),
            turns.eq(self.load | ((self.step | two) & ends)),
            to_second.eq(Mux(self.load, self.second, two & (here.x == last_x))),
        ]
        with m.If(turns):
            m.d.sync += [
                here.x.eq(Mux(to_second, second_x, self.first_x)),
                here.y.eq(Mux(self.load, start.y, here.y + 1)),
                here.phase_x.eq(self.first_phase_x ^ (to_second & steps.split)),
                here.phase_y.eq(Mux(self.load, start.phase_y, here.phase_y ^ steps.split)),
                here.row.eq(Mux(to_second, row_two, row_one)),
                here.lane.eq(Mux(to_second, lane_two, lane_one)),
                here.line_row.eq(row_one),
                here.line_lane.eq(lane_one),
                second_row.eq(row_two),
                second_lane.eq(lane_two),
            ]
        with m.Elif(self.step | two):
            m.d.sync += [
                here.x.eq(here.x + Mux(two, 2, 1)),
                here.phase_x.eq(here.phase_x ^ (steps.split & ~two)),
                here.row.eq(further),
                here.lane.eq(further_lane),
            ]
        return m
