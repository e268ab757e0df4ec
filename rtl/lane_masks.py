"""Tells for every lane whether the input position it reads lies inside the map."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import mask_cycles


class LaneMasks(wiring.Component):
    """Keeps the output coordinates of every lane and compares the input coordinates.

    Lane `i` computes output position ``(x_i, y_i)`` of one image of the run. It reads input
    position ``(stride * x_i + dx, stride * y_i + dy)``. Outside of the map the input is padding.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    last_x, last_y, split : In
        Largest coordinates of the input map; whether it is split into phases, for stride 2.
    pitch_last_x : In
        Pitch of the positions - 1.
    batch_shift : In
        Logarithm to the base 2 of the images of a run. Missing in an engine that runs single
        images.
    clear, fill : In(1)
        Begin a layer: `clear` for one cycle, then `fill` for `FILL_BEATS` cycles for each bit of
        a lane number.
    advance : In(1)
        Go to the next tile, whose first tap this is. Never high in two cycles in a row.
    dx, dy : In(signed)
        Offset of the kernel tap.
    inside : Out(lanes)
        One bit a lane, `mask_cycles` of `sqhw.machine.timing` after `dx` and `dy`.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        dim = engine.dim_bits
        batch = {"batch_shift": In(engine.batch_bits.bit_length())} if engine.max_batch > 1 else {}
        super().__init__(
            {
                "last_x": In(dim),
                "last_y": In(dim),
                "split": In(1),
                "pitch_last_x": In(dim),
                **batch,
                "clear": In(1),
                "fill": In(1),
                "advance": In(1),
                "dx": In(signed(dim + 1)),
                "dy": In(signed(dim + 1)),
                "inside": Out(engine.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build coordinates and comparators.

        The coordinate `x` counts elements of a row: ``x * batch + image``.
        """
        m = Module()
        engine = self._engine
        dim, lanes = engine.dim_bits, engine.lanes
        wide = dim + engine.batch_bits
        last = Signal(wide, name="last")
        m.d.comb += last.eq(self._elements(self.pitch_last_x, ones=True))

        # Steps of an advance in x and y, and `back`, the step in x to another row. While a layer
        # begins they double from one element to `lanes`. With each doubling the lanes that have
        # coordinates give theirs, advanced, to as many others. Nothing changes in two cycles in a
        # row, so the end of a row may be known a cycle late.
        step_x, step_y = Signal(wide, name="step_x"), Signal(dim, name="step_y")
        back = Signal(signed(wide + 2), name="back")
        turn = Signal(engine.lane_bits + 1, name="turn")  # one hot
        double = Signal(name="double")
        _, further, over = self._ahead(m, step_x, step_x, back, "step")
        with m.If(self.clear):
            m.d.sync += [step_x.eq(last != 0), step_y.eq(last == 0), turn.eq(1), double.eq(0)]
            m.d.sync += back.eq(Mux(last != 0, -last, -1))
        with m.Elif(self.fill):
            m.d.sync += double.eq(~double)
        with m.If(double):
            m.d.sync += [
                step_x.eq(Mux(over, further, step_x << 1)),
                step_y.eq((step_y << 1) + over),
                back.eq(Mux(over, further - last - 1, further)),
                turn.eq(turn << 1),
            ]

        low_x, high_x = self._bounds(m, self.dx, self.last_x, "x")
        low_y, high_y = self._bounds(m, self.dy, self.last_y, "y")
        xs = [Signal(wide, name=f"x_{lane}") for lane in range(lanes)]
        ys = [Signal(dim, name=f"y_{lane}") for lane in range(lanes)]
        ahead = []
        for lane, (x, y) in enumerate(zip(xs, ys, strict=True)):
            next_x, _, over = self._ahead(m, x, step_x, back, str(lane))
            ahead.append((next_x, (Cat(1, y) + Cat(over, step_y)) >> 1))
        inside = []
        for lane, (x, y) in enumerate(zip(xs, ys, strict=True)):
            half = lane.bit_length() - 1
            with m.If(self.advance):
                m.d.sync += [x.eq(ahead[lane][0]), y.eq(ahead[lane][1])]
            if lane == 0:
                with m.If(self.clear):
                    m.d.sync += [x.eq(0), y.eq(0)]
            else:
                with m.If(double & turn[half]):
                    before = ahead[lane - (1 << half)]
                    m.d.sync += [x.eq(before[0]), y.eq(before[1])]
            inside.append((x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y))
        domain = m.d.sync if mask_cycles(engine) > 1 else m.d.comb
        domain += self.inside.eq(Cat(inside))
        return m

    def _ahead(self, m, x, step, back, name: str):
        """Return x after a step, x if the step leads to another row, and whether it does."""
        further = Signal(len(back), name=f"further_{name}")
        over = Signal(name=f"over_{name}")
        m.d.comb += further.eq(x + back)
        m.d.sync += over.eq(~further[-1])
        return Mux(over, further, x + step), further, over

    def _elements(self, position, ones: bool):
        """Return the first or (`ones`) the last element of a position of a row."""
        if self._engine.max_batch == 1:
            return position
        rest = (1 << self.batch_shift) - 1 if ones else 0
        return (position << self.batch_shift) | rest

    def _bounds(self, m, d, last, axis: str):
        """Return the least and the greatest coordinate with ``0 <= stride * it + d <= last``.

        They are registered and the same for all lanes. If no coordinate fits, least > greatest.
        """
        dim = self._engine.dim_bits
        wide = dim + 2
        minus = Signal(signed(wide), name=f"minus_{axis}")
        room = Signal(signed(wide), name=f"room_{axis}")
        least = Signal(wide, name=f"least_{axis}")
        greatest = Signal(wide, name=f"greatest_{axis}")
        m.d.comb += [
            minus.eq(-d),
            room.eq(last - d),
            least.eq(Mux(minus > 0, Mux(self.split, (minus + 1) >> 1, minus), 0)),
            greatest.eq(Mux(self.split, room >> 1, room)),
        ]
        bits = dim + 1 + (self._engine.batch_bits if axis == "x" else 0)
        low, high = Signal(bits, name=f"low_{axis}"), Signal(bits, name=f"high_{axis}")
        least, greatest = least[: dim + 1], greatest[: dim + 1]
        if axis == "x":
            least, greatest = self._elements(least, False), self._elements(greatest, True)
        none = room < 0
        m.d.sync += [low.eq(Mux(none, -1, least)), high.eq(greatest)]
        return low, high
