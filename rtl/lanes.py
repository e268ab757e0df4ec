"""The multiply-accumulate lanes: all take the same weight, each its own activation."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import LANES_CYCLES


class Lanes(wiring.Component):
    """``acc = weight * x``, ``acc += weight * x`` or ``acc = max(acc, x)`` in every lane.

    The first `lut_lanes` lanes multiply in LUTs, by the digits of the weight. The others leave the
    multiplication to the synthesis tool, which uses a DSP block where there is one. Only control is
    reset, so that the registers inside the DSP block can be used.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    vector : In(ArrayLayout(8, lanes))
        Activations.
    inside : In(lanes)
        Masks of the lanes. The activation of a lane with a 0 is padding, hence 0.
    in_signed, pool : In(1)
        Activations are two's complement; take the maximum (the weight must be 1).
    weight : In(signed(8))
    valid, first : In(1)
        There is a vector; it is the first of its accumulation.
    acc : Out(ArrayLayout(signed(acc_bits), lanes))
        Accumulators, `LATENCY` after the vector.
    """

    LATENCY = LANES_CYCLES

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "vector": In(ArrayLayout(8, engine.lanes)),
                "inside": In(engine.lanes),
                "in_signed": In(1),
                "pool": In(1),
                "weight": In(signed(8)),
                "valid": In(1),
                "first": In(1),
                "acc": Out(ArrayLayout(signed(engine.acc_bits), engine.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build three stages: mask and extend, multiply, accumulate."""
        m = Module()
        valid = [Signal(name=f"valid_{stage}") for stage in range(2)]
        first = [Signal(name=f"first_{stage}") for stage in range(2)]
        weight = Signal(signed(8), name="weight", reset_less=True)
        m.d.sync += [
            Cat(valid).eq(Cat(self.valid, valid)),
            Cat(first).eq(Cat(self.first, first)),
            weight.eq(self.weight),
        ]
        luts = self._engine.lut_lanes
        digits, lacking = self._digits(m) if luts else ([], 0)
        for lane in range(self._engine.lanes):
            x = Signal(signed(9), name=f"x_{lane}", reset_less=True)
            product = Signal(signed(17), name=f"product_{lane}", reset_less=True)
            acc = Signal(signed(self._engine.acc_bits), name=f"acc_{lane}", reset_less=True)
            byte = self.vector[lane]
            m.d.comb += self.acc[lane].eq(acc)
            m.d.sync += [
                x.eq(Mux(self.inside[lane], Cat(byte, byte[7] & self.in_signed).as_signed(), 0)),
                product.eq(
                    _times(x, digits, lacking) if lane < self._engine.lut_lanes else x * weight
                ),
            ]
            if not self._engine.maxpool:
                with m.If(valid[1]):
                    m.d.sync += acc.eq(Mux(first[1], product, acc + product))
                continue
            # A pooling accumulator is a 9-bit number, sign-extended.
            larger = Signal(name=f"larger_{lane}")
            m.d.comb += larger.eq(product[:9].as_signed() > acc[:9].as_signed())
            with m.If(valid[1]):
                with m.If(first[1] | (self.pool & larger)):
                    m.d.sync += acc.eq(product)
                with m.Elif(~self.pool):
                    m.d.sync += acc.eq(acc + product)
        return m

    def _digits(self, m):
        """Return the weight to the base 4, lowest digit first, and what `_times` lacks.

        The lower digits are -1, 0, 1 and 2, with 1 added, which makes the carries right; the
        highest one is -2 to 2. ``~x`` stands for ``-x`` and lacks a 1 at its digit.
        """
        spread = Signal(signed(9), name="spread")
        low = [Signal(2, name=f"digit_{position}", reset_less=True) for position in range(3)]
        high = Signal(signed(3), name="digit_3", reset_less=True)
        # Single bits: in one wide register the unused bits would keep their power-up values.
        lacks = [Signal(name=f"lacks_{position}", reset_less=True) for position in range(4)]
        m.d.comb += spread.eq(self.weight + 0b010101)
        m.d.sync += [Cat(*low, high).eq(spread), lacks[3].eq(spread[-1])]
        for position in range(3):
            m.d.sync += lacks[position].eq(spread.word_select(position, 2) == 0)
        zero = C(0, 1)
        return [*low, high], Cat(lacks[0], zero, lacks[1], zero, lacks[2], zero, lacks[3])


def _times(x, digits, lacking):
    """Return an activation times the weight of these digits."""
    total = lacking
    for position, digit in enumerate(digits[:-1]):
        multiple = Mux(digit[1], Mux(digit[0], x << 1, x), Mux(digit[0], 0, ~x))
        total = total + (multiple << 2 * position)
    high = digits[-1]
    multiple = Mux(high[1], x << 1, Mux(high[0], x, 0))  # -1 is 7 and 1 is 1, -2 is 6, 2 is 2
    multiple = Mux(high[2], Mux(high[0], ~x, ~(x << 1)), multiple)
    return total + (multiple << 6)
