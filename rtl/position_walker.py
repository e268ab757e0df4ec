"""Walks over the positions of a feature map and gives the bank row and bank of each.

The images of a run lie side by side: a position has as many elements, of which the first is meant.
"""

from amaranth.hdl import C, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig


def map_layout(engine: EngineConfig) -> data.StructLayout:
    """Return how a map lies in the banks, as the walker needs it.

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


class PositionWalker(wiring.Component):
    """Steps along a line of positions and on to the next line.

    Rows are modulo the bank depth, so a walk may begin above or left of the map. The map and the
    ends of its lines must be stable for `SETTLE_CYCLES` before the first step.

    Parameters
    ----------
    engine : EngineConfig
    steps : {1, 2}
        With 2 it also goes two positions at once, and may begin at the second position. Neither
        may be asked for where a line has only one.

    Members
    -------
    map : In(map_layout)
        The map that is walked over.
    batch : In(lane_bits + 1)
        Images of the run; missing in an engine that runs single images.
    first_x, last_x : In(signed)
        The `x` at which a line begins and the one after which the next begins.
    first_phase_x : In(1)
        The phase in which a line begins.
    start : In(point_layout)
    load : In(1)
        Go to `start`.
    step : In(1)
        Go to the next position. Ignored in the cycle of `load`.
    step_two : In(1)
        Go to the next but one, not with `step`. Ignored in the cycle of `load`.
    second : In(1)
        With `load`: go to the position behind `start`, at which the first line begins. Map and
        start must be stable for a cycle more then.
    point : Out(point_layout)
        Where the walker is; one cycle after `load` or `step`.
    next : Out(point_layout)
        Where a step would lead.
    """

    SETTLE_CYCLES = 2

    def __init__(self, engine: EngineConfig, steps: int = 1) -> None:
        point = point_layout(engine)
        self._two = steps > 1
        self._batched = engine.max_batch > 1
        #: Two steps carry twice out of the lanes if the images of a run fill them.
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
                "step": In(1),
                **({"step_two": In(1), "second": In(1)} if self._two else {}),
                "point": Out(point),
                "next": Out(point),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the walker."""
        m = Module()
        here, there, plane = self.point, self.next, self.map
        last_x = Signal.like(self.last_x)
        split, pitch_lane = Signal(), Signal(len(here.lane))
        m.d.sync += [
            last_x.eq(self.last_x),
            split.eq(plane.split),
            pitch_lane.eq(plane.pitch_lane),
        ]

        # In a split map a step along the line goes to the odd phase and back to the next position
        # of the even one; a step to the next line does the same two phases apart. What a step
        # adds to the row is one of three constants of the map: to the odd phase, on, and on with
        # a carry out of the lanes.
        rows = len(here.row)
        apart, on_x, carry_x = (Signal(rows, name=name) for name in ("apart", "on_x", "carry_x"))
        on_y, carry_y = (Signal(rows, name=name) for name in ("on_y", "carry_y"))
        back = Mux(plane.split, -plane.phase_rows, 0)
        back_y = plane.pitch_rows + (back << 1)
        m.d.sync += [
            apart.eq(plane.phase_rows),
            on_x.eq(back),
            carry_x.eq(on_x + plane.channels),
            on_y.eq(back_y),
            carry_y.eq(on_y + plane.channels),
        ]

        def advance(row, lane, apart, lanes, constants):
            """Return where a step leads: to the odd phase or by `lanes` positions."""
            to_odd, on, carry = constants
            wide = Signal(len(lane) + 1)
            m.d.comb += wide.eq(lane + lanes)
            add = Mux(apart, to_odd, Mux(wide[-1], carry, on))
            return (row + add)[:rows], Mux(apart, lane, wide[:-1])

        batch = self.batch if self._batched else C(1)

        def along(row, lane, phase):
            """Return the place behind this one on the line."""
            return advance(row, lane, split & ~phase, batch, (apart, on_x, carry_x))

        def across(row, lane):
            """Return the place in the next line."""
            return advance(
                row, lane, split & ~here.phase_y, pitch_lane, (apart << 1, on_y, carry_y)
            )

        along_row, along_lane = along(here.row, here.lane, here.phase_x)
        line_row, line_lane = across(here.line_row, here.line_lane)

        def turn(point, x, phase_x, row, lane):
            """Return the assignments that take `point` to a place in the next line."""
            return [
                point.x.eq(x),
                point.y.eq(here.y + 1),
                point.phase_x.eq(phase_x),
                point.phase_y.eq(here.phase_y ^ split),
                point.row.eq(row),
                point.lane.eq(lane),
                point.line_row.eq(line_row),
                point.line_lane.eq(line_lane),
            ]

        first = self.first_x, self.first_phase_x
        m.d.comb += there.eq(here)
        with m.If(here.x == last_x):
            m.d.comb += turn(there, *first, line_row, line_lane)
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
        if not self._two:
            return m

        # Two steps along a split line are one within its phase.
        lanes, on_two, carry_two = Signal(len(here.lane) + 1), Signal(rows), Signal(rows)
        twice = ~plane.split & batch[-1] if self._carries_twice else 0
        m.d.sync += [
            lanes.eq(Mux(plane.split, batch, batch << 1)),
            on_two.eq(Mux(twice, plane.channels << 1, 0)),
            carry_two.eq(plane.channels),
        ]
        far_row, far_lane = advance(here.row, here.lane, 0, lanes, (0, on_two, carry_two))

        # The second position goes from line to line as the first one does.
        second_row, second_lane = Signal(rows), Signal.like(here.lane)
        start_row, start_lane = Signal(rows), Signal.like(here.lane)
        second_x, last_but_one = Signal.like(last_x), Signal.like(last_x)
        second = second_x, self.first_phase_x ^ split
        behind_start = along(self.start.row, self.start.lane, self.start.phase_x)
        beyond_row, beyond_lane = across(second_row, second_lane)
        m.d.sync += [
            second_x.eq(self.first_x + 1),
            last_but_one.eq(self.last_x - 1),
            start_row.eq(behind_start[0]),
            start_lane.eq(behind_start[1]),
        ]
        far, turns = Signal.like(here), Signal()
        m.d.comb += far.eq(here)
        with m.If(here.x == last_x):
            m.d.comb += turn(far, *second, beyond_row, beyond_lane)
            m.d.comb += turns.eq(self.step | self.step_two)
        with m.Elif(here.x == last_but_one):
            m.d.comb += turn(far, *first, line_row, line_lane)
            m.d.comb += turns.eq(self.step_two)
        with m.Else():
            m.d.comb += [far.x.eq(here.x + 2), far.row.eq(far_row), far.lane.eq(far_lane)]
        with m.If(self.load):
            m.d.sync += [second_row.eq(start_row), second_lane.eq(start_lane)]
            with m.If(self.second):
                m.d.sync += [
                    here.x.eq(second[0]),
                    here.phase_x.eq(second[1]),
                    here.row.eq(start_row),
                    here.lane.eq(start_lane),
                ]
        with m.Else():
            with m.If(self.step_two):
                m.d.sync += here.eq(far)
            with m.If(turns):
                m.d.sync += [second_row.eq(beyond_row), second_lane.eq(beyond_lane)]
        return m
