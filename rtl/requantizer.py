"""The requantizers: from the lanes' accumulators to bytes, one or several lanes a cycle."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig
from sqhw.layout import SHIFT_BITS
from sqhw.timing import REQUANTIZE_CYCLES


class Requantizer(wiring.Component):
    """``y = clamp(((acc + bias) * multiplier + 2**(shift - 1)) >> shift, lo, hi)``.

    The vector is taken over when loaded, so the lanes go on; its elements come out in lane
    order. The multiplication is made of adders and uses no DSP block.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    load : In(1)
        Take `acc` and the constants; not again before all elements of the last have come out.
    serial : In(1)
        Give one element a cycle; otherwise as many as there are requantizers.
    acc : In(ArrayLayout(signed(acc_bits), lanes))
    bias, multiplier, shift : In
        Constants of the channel.
    clamp_lo, clamp_hi : In
        -128..0 and 0..255; stable while the layer runs.
    y : Out(ArrayLayout(8, requantizers))
        The first elements are there `LATENCY` after `load`, the others follow.
    """

    LATENCY = REQUANTIZE_CYCLES
    CHUNK = 4
    #: -128..255 and a rounding bit, with room to stay outside when saturated.
    NARROW_BITS = 11

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "load": In(1),
                "serial": In(1),
                "acc": In(ArrayLayout(signed(engine.acc_bits), engine.lanes)),
                "bias": In(signed(engine.acc_bits)),
                "multiplier": In(engine.mult_bits),
                "shift": In(SHIFT_BITS),
                "clamp_lo": In(signed(8)),
                "clamp_hi": In(8),
                "y": Out(ArrayLayout(8, engine.requantizers)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the shift register and the pipeline behind it."""
        m = Module()
        acc_bits, mult_bits = self._engine.acc_bits, self._engine.mult_bits
        lanes, count = self._engine.lanes, self._engine.requantizers
        # Cycle 1: the vector moves down one lane a cycle; element 0 is the head.
        queue = [Signal(signed(acc_bits), name=f"queue_{lane}") for lane in range(lanes)]
        bias = Signal(signed(acc_bits))
        multiplier = [Signal(mult_bits, name=f"multiplier_{stage}") for stage in range(2)]
        shift = [Signal(SHIFT_BITS, name=f"shift_{stage}") for stage in range(4)]
        with m.If(self.load):
            m.d.sync += [element.eq(self.acc[lane]) for lane, element in enumerate(queue)]
            m.d.sync += [
                bias.eq(self.bias),
                multiplier[0].eq(self.multiplier),
                shift[0].eq(self.shift),
            ]
        with m.Else():
            for lane in range(lanes):
                one = queue[lane + 1] if lane + 1 < lanes else queue[lane]
                more = queue[lane + count] if lane + count < lanes else queue[lane]
                m.d.sync += queue[lane].eq(one if count == 1 else Mux(self.serial, one, more))

        m.d.sync += multiplier[1].eq(multiplier[0])
        m.d.sync += [shift[stage + 1].eq(shift[stage]) for stage in range(3)]
        for index in range(count):
            self._pipeline(m, queue[index], bias, multiplier[1], shift[3], self.y[index], index)
        return m

    def _pipeline(self, m, head, bias, multiplier, shift, y, index: int) -> None:
        """Build one requantizer behind an element of the queue."""
        acc_bits, mult_bits = self._engine.acc_bits, self._engine.mult_bits
        # Cycle 2: bias. The constants travel along, the next vector may come.
        total = Signal(signed(acc_bits), name=f"total_{index}")
        m.d.sync += total.eq(head + bias)

        # Cycles 3 and 4: partial products by four bits of the multiplier, then their sum.
        parts = []
        for low in range(0, mult_bits, self.CHUNK):
            bits = min(self.CHUNK, mult_bits - low)
            part = Signal(signed(acc_bits + bits), name=f"part_{index}_{low}")
            terms = [Mux(multiplier[low + bit], total << bit, 0) for bit in range(bits)]
            m.d.sync += part.eq(sum(terms[1:], terms[0]))
            parts.append(part << low)
        product = Signal(signed(acc_bits + mult_bits), name=f"product_{index}")
        m.d.sync += product.eq(sum(parts[1:], parts[0]))

        # Cycle 5: shift, keeping one bit below the result for the rounding.
        doubled = Signal(signed(acc_bits + mult_bits + 1), name=f"doubled_{index}")
        m.d.sync += doubled.eq((product << 1) >> shift)

        # Cycle 6: round half up. Nothing beyond the range of a byte survives the clamp, so the
        # number is first saturated to few bits.
        narrow = Signal(signed(self.NARROW_BITS), name=f"narrow_{index}")
        sign = doubled[-1]
        rest = doubled[self.NARROW_BITS - 1 : -1]
        with m.If(sign & ~rest.all()):
            m.d.comb += narrow.eq(-(1 << (self.NARROW_BITS - 1)))
        with m.Elif(~sign & rest.any()):
            m.d.comb += narrow.eq((1 << (self.NARROW_BITS - 1)) - 1)
        with m.Else():
            m.d.comb += narrow.eq(doubled)
        rounded = Signal(signed(self.NARROW_BITS), name=f"rounded_{index}")
        m.d.sync += rounded.eq((narrow + 1) >> 1)

        # Cycle 7: clamp.
        with m.If(rounded < self.clamp_lo):
            m.d.sync += y.eq(self.clamp_lo)
        with m.Elif(rounded > self.clamp_hi):
            m.d.sync += y.eq(self.clamp_hi)
        with m.Else():
            m.d.sync += y.eq(rounded)
