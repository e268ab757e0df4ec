"""Tells for every lane whether the input position it reads lies inside the map."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig
from sqhw.timing import mask_cycles


class LaneMasks(wiring.Component):
    """Keeps the output coordinates of every lane and compares the input coordinates.

    Lane `i` computes output position ``(x_i, y_i)`` and reads input position
    ``(stride * x_i + dx, stride * y_i + dy)``; outside of the map the input is padding.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    last_x, last_y, split : In
        Input map: largest coordinates; split into phases, which means stride 2.
    pitch_last_x, tile_dx, tile_dy : In
        Pitch of the positions - 1, and what a tile advances: ``lanes % pitch``,
        ``lanes // pitch``.
    clear, fill : In(1)
        Begin a layer: `clear` for one cycle, then `fill` for `lanes` cycles.
    advance : In(1)
        Go to the next tile; not in two cycles that follow each other.
    dx, dy : In(signed)
        Offset of the kernel tap.
    inside : Out(lanes)
        One bit a lane, `mask_cycles` of `sqhw.timing` after `dx` and `dy`.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self.latency = mask_cycles(engine)
        dim = engine.dim_bits
        super().__init__(
            {
                "last_x": In(dim),
                "last_y": In(dim),
                "split": In(1),
                "pitch_last_x": In(dim),
                "tile_dx": In(dim),
                "tile_dy": In(engine.lane_bits + 1),
                "clear": In(1),
                "fill": In(1),
                "advance": In(1),
                "dx": In(signed(dim + 1)),
                "dy": In(signed(dim + 1)),
                "inside": Out(engine.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build coordinates and comparators."""
        m = Module()
        dim, lanes = self._engine.dim_bits, self._engine.lanes
        xs = [Signal(dim, name=f"x_{lane}") for lane in range(lanes)]
        ys = [Signal(dim, name=f"y_{lane}") for lane in range(lanes)]

        # At the start of a layer the coordinates of positions 0, 1, 2... are shifted in.
        fill_x, fill_y = Signal(dim), Signal(dim)
        with m.If(self.clear):
            m.d.sync += [fill_x.eq(0), fill_y.eq(0)]
        with m.Elif(self.fill):
            with m.If(fill_x == self.pitch_last_x):
                m.d.sync += [fill_x.eq(0), fill_y.eq(fill_y + 1)]
            with m.Else():
                m.d.sync += fill_x.eq(fill_x + 1)

        advance = self.advance
        if self.latency > 1:  # the bounds of the last tap are still on their way
            advance = Signal()
            m.d.sync += advance.eq(self.advance)
        low_x, high_x, some_x = self._bounds(m, self.dx, self.last_x, "x")
        low_y, high_y, some_y = self._bounds(m, self.dy, self.last_y, "y")
        inside = []
        # What a tile adds to x if that leads to another line: a negative x tells that it does not.
        back = Signal(signed(dim + 2), reset_less=True)
        m.d.sync += back.eq(self.tile_dx - self.pitch_last_x - 1)
        for lane, (x, y) in enumerate(zip(xs, ys, strict=True)):
            behind = Signal(signed(dim + 2), name=f"behind_{lane}")
            over = Signal(name=f"over_{lane}")
            m.d.comb += behind.eq(x + back)
            m.d.sync += over.eq(~behind[-1])  # tiles are several cycles apart
            with m.If(self.fill):
                last = lane == lanes - 1
                m.d.sync += [
                    x.eq(fill_x if last else xs[lane + 1]),
                    y.eq(fill_y if last else ys[lane + 1]),
                ]
            with m.Elif(advance):
                m.d.sync += [
                    x.eq(Mux(over, behind, x + self.tile_dx)),
                    y.eq((Cat(1, y) + Cat(over, self.tile_dy)) >> 1),
                ]
            inside.append((x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y))
        m.d.sync += self.inside.eq(Mux(some_x & some_y, Cat(inside), 0))
        return m

    def _bounds(self, m, d, last, axis: str):
        """Return the output coordinates for which ``0 <= stride * coordinate + d <= last``.

        The result is (least, greatest, whether there are any), the same for all lanes.
        """
        wide = self._engine.dim_bits + 2
        minus = Signal(signed(wide), name=f"minus_{axis}")
        room = Signal(signed(wide), name=f"room_{axis}")
        low = Signal(wide, name=f"low_{axis}")
        high = Signal(wide, name=f"high_{axis}")
        m.d.comb += [
            minus.eq(-d),
            room.eq(last - d),
            low.eq(Mux(minus > 0, Mux(self.split, (minus + 1) >> 1, minus), 0)),
            high.eq(Mux(self.split, room >> 1, room)),
        ]
        bounds = low[:-1], high[:-1], room >= 0
        if self.latency == 1:
            return bounds
        late = [
            Signal(len(bound), name=f"late_{axis}_{index}", reset_less=True)
            for index, bound in enumerate(bounds)
        ]
        m.d.sync += Cat(late).eq(Cat(bounds))
        return late
