"""The requantizers: they turn accumulators into bytes, one or several lanes a cycle."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import SHIFT_BITS
from sqhw.machine.timing import requantize_cycles, requantize_digits


class Requantizer(wiring.Component):
    """``y = clamp(((acc + bias) * multiplier + 2**(shift - 1)) >> shift, lo, hi)``.

    `load` copies the vector, so the lanes go on. Its elements come out in lane order. The
    multiplication is made of adders and uses no DSP block. The multiplier is written to the base 4
    with the digits -1, 0, 1 and 2, which takes one LUT for each bit and digit on any FPGA.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    load : In(1)
        Take `acc` and the constants. Low until all elements of the last vector have come out.
    serial : In(1)
        Give one element a cycle; otherwise as many as there are requantizers.
    acc : In(ArrayLayout(signed(acc_bits), lanes))
    bias, multiplier, shift : In
        Constants of the channel.
    clamp_lo, clamp_hi : In
        -128..0 and 0..255; stable while the layer runs.
    y : Out(ArrayLayout(8, requantizers))
        Results. The first ones come `sqhw.machine.timing.requantize_cycles` after `load`, the
        others in the cycles that follow.
    """

    #: Width that holds -128..255 and a rounding bit, and values outside that still saturate.
    NARROW_BITS = 11

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self.latency = requantize_cycles(engine)
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
        """Build the shift register and the pipeline downstream of it."""
        m = Module()
        acc_bits, mult_bits = self._engine.acc_bits, self._engine.mult_bits
        lanes, count = self._engine.lanes, self._engine.requantizers
        # Cycle 1: the vector moves down one lane a cycle; element 0 is the head. The constants
        # travel along with it, the next vector may come.
        queue = [
            Signal(signed(acc_bits), name=f"queue_{lane}", reset_less=True) for lane in range(lanes)
        ]
        bias = Signal(signed(acc_bits), name="bias", reset_less=True)
        multiplier = Signal(mult_bits, name="multiplier", reset_less=True)
        shift = Signal(SHIFT_BITS, name="shift", reset_less=True)
        with m.If(self.load):
            m.d.sync += [element.eq(self.acc[lane]) for lane, element in enumerate(queue)]
            m.d.sync += [
                bias.eq(self.bias),
                multiplier.eq(self.multiplier),
                shift.eq(self.shift),
            ]
        with m.Else():
            for lane in range(lanes):
                one = queue[lane + 1] if lane + 1 < lanes else queue[lane]
                more = queue[lane + count] if lane + count < lanes else queue[lane]
                m.d.sync += queue[lane].eq(one if count == 1 else Mux(self.serial, one, more))

        # Cycle 2: the digits of the multiplier, each with 1 added, which makes the carries right.
        spread = Signal(2 * requantize_digits(self._engine), name="spread", reset_less=True)
        m.d.sync += spread.eq(multiplier + int("01" * (len(spread) // 2), 2))
        shifts = [shift]
        for cycle in range(self.latency - 4):
            late = Signal(SHIFT_BITS, name=f"shift_{cycle + 1}", reset_less=True)
            m.d.sync += late.eq(shifts[-1])
            shifts.append(late)
        for index in range(count):
            self._pipeline(m, queue[index], bias, spread, shifts[-2:], self.y[index], index)
        return m

    def _pipeline(self, m, head, bias, spread, shifts, y, index: int) -> None:
        """Build one requantizer downstream of an element of the queue."""
        acc_bits, mult_bits = self._engine.acc_bits, self._engine.mult_bits

        def register(shape, name: str, value):
            signal = Signal(shape, name=f"{name}_{index}", reset_less=True)
            m.d.sync += signal.eq(value)
            return signal

        # Cycle 2: bias.
        total = register(signed(acc_bits), "total", head + bias)

        # Cycle 3: the multiples by each digit. -x is ~x and a 1 that the adders bring in.
        terms = []
        for low in range(0, len(spread), 2):
            digit = spread[low : low + 2]
            multiple = Mux(digit[1], Mux(digit[0], total << 1, total), Mux(digit[0], 0, ~total))
            part = register(signed(acc_bits + 1), f"part_{low}", multiple)
            terms.append((part, 1, register(1, f"lacks_{low}", digit == 0)))

        # Cycles from 4 on: their sum. A sum of some digits lacks the 1 of its last one, and
        # the bits below the sum that is added to it have room for that.
        level = 0
        while len(terms) > 1:
            sums: list[tuple[Any, int, Any]] = []
            for left, right in zip(terms[::2], [*terms[1::2], None], strict=False):
                value, digits, lacks = left
                if right is not None:
                    below = Cat(C(0, 2 * digits - 2), lacks, C(0, 1))
                    value, lacks = value + Cat(below, right[0]).as_signed(), right[2]
                    digits += right[1]
                bits = min(acc_bits + 2 * digits, acc_bits + mult_bits)
                name = f"{level}_{len(sums)}"
                sums.append(
                    (
                        register(signed(bits), f"sum_{name}", value),
                        digits,
                        register(1, f"lacking_{name}", lacks),
                    )
                )
            terms, level = sums, level + 1
        product = terms[0][0]

        # Two cycles: shift by eights, then by ones, keeping one bit below the result for the
        # rounding. Nothing beyond the range of a byte survives the clamp, so few bits matter.
        doubled = Signal(signed(acc_bits + mult_bits + 1), name=f"doubled_{index}")
        kept = self.NARROW_BITS + 6  # and the sign
        near = Signal(signed(kept + 1), name=f"near_{index}", reset_less=True)
        over = Signal(name=f"over_{index}", reset_less=True)
        m.d.comb += doubled.eq(product << 1)
        m.d.sync += near[-1].eq(doubled[-1])
        with m.Switch(shifts[0][3:]):
            for eights in range(4):
                rest = doubled[min(8 * eights + kept, len(doubled) - 1) :]
                with m.Case(eights):
                    m.d.sync += [
                        near[:-1].eq(doubled >> 8 * eights),
                        over.eq(rest.any() & ~rest.all()),
                    ]
        shifted = register(signed(kept + 1), "shifted", near >> shifts[1][:3])
        far = register(1, "far", over)

        # Saturate to few bits and round half up.
        narrow = Signal(signed(self.NARROW_BITS), name=f"narrow_{index}")
        sign = shifted[-1]
        rest = shifted[self.NARROW_BITS - 1 : -1]
        with m.If(sign & (far | ~rest.all())):
            m.d.comb += narrow.eq(-(1 << (self.NARROW_BITS - 1)))
        with m.Elif(~sign & (far | rest.any())):
            m.d.comb += narrow.eq((1 << (self.NARROW_BITS - 1)) - 1)
        with m.Else():
            m.d.comb += narrow.eq(shifted)
        rounded = register(signed(self.NARROW_BITS), "rounded", (narrow + 1) >> 1)

        # The last cycle: clamp.
        with m.If(rounded < self.clamp_lo):
            m.d.sync += y.eq(self.clamp_lo)
        with m.Elif(rounded > self.clamp_hi):
            m.d.sync += y.eq(self.clamp_hi)
        with m.Else():
            m.d.sync += y.eq(rounded)
