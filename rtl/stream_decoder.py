"""Turns stream entries into kernel positions, one entry a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig

MAX_CODE_BITS = 8


class StreamDecoder(wiring.Component):
    """Splits an entry into gap and code and advances the position in the kernel by the gap.

    A position is (kernel tap, input channel), the channel innermost. An entry passes the end of
    the channels at most once (``2**gap_bits - 1 <= channels``), so one subtraction wraps it.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    gap_bits, code_bits, channels : In
        Format of the layer and the input channels of a group; stable while the layer runs.
    issue, first : In(1)
        An entry is in `entry`; it is the first of its output channel.
    offset : In
        Input channel at which the group begins.
    skip : In(1)
        No entry, but channel `offset` of the residual; positions stay as they are.
    entry : In(word_bits)
        Gap in the low bits, code above; higher bits are ignored.
    valid, start, step : Out(1)
        Something comes out; it begins at the first kernel tap; it moves on to the next tap.
    residual : Out(1)
        It is a channel of the residual.
    weight : Out(1)
        The entry carries a weight (it is no filler).
    code : Out(8)
    location : Out(row_bits)
        Input channel.
    """

    LATENCY = 2

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "gap_bits": In(4),
                "code_bits": In(4),
                "channels": In(engine.row_bits),
                "issue": In(1),
                "first": In(1),
                "offset": In(engine.row_bits),
                "skip": In(1),
                "entry": In(engine.word_bits),
                "valid": Out(1),
                "start": Out(1),
                "step": Out(1),
                "residual": Out(1),
                "weight": Out(1),
                "code": Out(MAX_CODE_BITS),
                "location": Out(engine.row_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the decoder."""
        m = Module()
        engine = self._engine
        gap_mask = Signal(engine.max_gap_bits)
        code_mask = Signal(MAX_CODE_BITS)
        issue, first = Signal(), Signal()
        entry = Signal(engine.word_bits)
        offset = Signal(engine.row_bits)
        skip = Signal()
        m.d.sync += [
            gap_mask.eq((1 << self.gap_bits) - 1),
            code_mask.eq((1 << self.code_bits) - 1),
            issue.eq(self.issue),
            first.eq(self.first),
            entry.eq(self.entry),
            offset.eq(self.offset),
            skip.eq(self.skip),
        ]

        # Second cycle. `position` is the channel behind the last weight, 0 to channels.
        wide = engine.row_bits + 1
        limit, position, reach, inside = Signal(wide), Signal(wide), Signal(wide), Signal(wide)
        gap = Signal(engine.max_gap_bits)
        filler, wrap = Signal(), Signal()
        m.d.comb += [
            limit.eq(self.channels),
            gap.eq(entry & gap_mask),
            filler.eq((gap == gap_mask) & (self.gap_bits != 0)),
            reach.eq(Mux(first, 0, position) + gap),
            wrap.eq(~first & (reach >= limit)),
            inside.eq(Mux(wrap, reach - limit, reach)),
        ]
        with m.If(issue & ~skip):
            m.d.sync += position.eq(Mux(filler, inside, inside + 1))
        m.d.sync += [
            self.valid.eq(issue),
            self.start.eq(first & ~skip),
            self.step.eq(wrap & ~skip),
            self.residual.eq(skip),
            self.weight.eq(~filler),
            self.code.eq((entry >> self.gap_bits) & code_mask),
            self.location.eq(Mux(skip, 0, inside[: engine.row_bits]) + offset),
        ]
        return m
