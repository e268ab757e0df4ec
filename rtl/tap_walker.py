"""Walks over the taps of a kernel, up to two an entry."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
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
        Ports of the `PositionWalker`.
    start : In(point_layout)
        First position of a line.
    load : In(1)
        Go to `start`.
    second : In(1)
        With `load`: go to the position after `start` instead.
    step : In(1)
        Go to the next position. Ignored in the cycle of `load`.
    step_two : In(1)
        With `step`: go to the next but one instead.
    point : Out(point_layout)
        Place of the walker, one cycle after `load` or `step`.
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
        steps = MapSteps(m, plane, batch, fast=True)

        # Two steps along a split line are one within its phase.
        rows, lanes = len(here.row), len(here.lane)
        lanes_two = Signal(lanes + 1, name="lanes_two")
        on_two = Signal(rows, name="on_two")
        carry_two = Signal(rows, name="carry_two")
        twice = ~plane.split & batch[-1] if self._carries_twice else 0
        m.d.sync += [
            lanes_two.eq(Mux(plane.split, batch, batch << 1)),
            on_two.eq(Mux(twice, plane.channels << 1, 0)),
            carry_two.eq(plane.channels),
        ]
        apart, on, carry = steps.x
        further_row, further_lane = steps.step(
            here.row,
            here.lane,
            steps.split & ~here.phase_x & ~two,
            Mux(two, here.lane + lanes_two, here.lane + batch),
            (apart, Mux(two, on_two, on), Mux(two, carry_two, carry)),
        )

        # The first two positions of the next line, or of the first one.
        second_x, last_x, last_but_one = (
            Signal.like(self.last_x, name=name) for name in ("second_x", "last_x", "last_but_one")
        )
        second_row, second_lane = Signal(rows, name="second_row"), Signal(lanes, name="second_lane")
        start_row, start_lane = Signal(rows, name="start_row"), Signal(lanes, name="start_lane")
        m.d.sync += [
            second_x.eq(self.first_x + 1),
            last_x.eq(self.last_x),
            last_but_one.eq(self.last_x - 1),
            Cat(start_row, start_lane).eq(Cat(*steps.along(start.row, start.lane, start.phase_x))),
        ]
        row_one, lane_one = Signal(rows, name="row_one"), Signal(lanes, name="lane_one")
        row_two, lane_two = Signal(rows, name="row_two"), Signal(lanes, name="lane_two")
        with m.If(self.load):
            m.d.comb += [row_one.eq(start.row), lane_one.eq(start.lane)]
            m.d.comb += [row_two.eq(start_row), lane_two.eq(start_lane)]
        with m.Else():
            ones = steps.across(here.line_row, here.line_lane, here.phase_y)
            twos = steps.across(second_row, second_lane, here.phase_y)
            m.d.comb += [row_one.eq(ones[0]), lane_one.eq(ones[1])]
            m.d.comb += [row_two.eq(twos[0]), lane_two.eq(twos[1])]

        ends, turns, to_second = Signal(name="ends"), Signal(name="turns"), Signal(name="to_second")
        m.d.comb += [
            ends.eq((here.x == last_x) | (two & (here.x == last_but_one))),
            turns.eq(self.load | (self.step & ends)),
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
        with m.Elif(self.step):
            m.d.sync += [
                here.x.eq(here.x + Mux(two, 2, 1)),
                here.phase_x.eq(here.phase_x ^ (steps.split & ~two)),
                here.row.eq(further_row),
                here.lane.eq(further_lane),
            ]
        return m
