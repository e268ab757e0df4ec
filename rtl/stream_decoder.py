"""Turns stream entries into kernel positions, one entry a cycle."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import MAX_CODE_BITS, Dense, Gap, Rice, StreamFormat
from sqhw.machine.timing import decode_cycles, is_deep


class StreamDecoder(wiring.Component):
    """Splits an entry into gap and code and advances the position in the kernel by the gap.

    A position is (kernel tap, input channel), the channel innermost. An entry passes the end of
    the channels at most `taps_per_entry` times (`sqhw.machine.stream.gap.max_gap_bits`). The
    position is thus one of ``taps_per_entry + 1`` sums: not wrapped, wrapped once, wrapped twice.

    The decoder reads the formats of `FORMATS`, Golomb-Rice streams if the engine has
    `quotient_ones`. A dense stream is one without a gap field.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    gap_bits, code_bits, channels : In
        Format of the layer and the input channels of a group; stable while the layer runs.
    issue, first : In(1)
        An entry is in `entry`; it is the first of its output channel.
    skip : In(1)
        There is a channel of the residual instead of an entry. The position stays as it is.
    entry : In(word_bits)
        Gap or remainder in the low bits, code above it. Higher bits are ignored.
    split : In(1)
        The stream is a Golomb-Rice one; stable while the layer runs. These three are missing in an
        engine without `quotient_ones`.
    quotient : In(4)
        Bits of the gap above the remainder; 0 in other streams.
    filler : In(1)
        The entry is a filler of a Golomb-Rice stream, and there is nothing in `entry`.
    valid, start, step : Out(1)
        An entry or residual comes out, `sqhw.machine.timing.decode_cycles` after it went in; it
        begins at the first kernel tap; it moves on to the next tap, with `start` from the first one
        to the second.
    step_two : Out(1)
        With `step`: it moves on by two taps. Never with `start`. Missing if an entry passes one
        tap at most.
    residual : Out(1)
        It is a channel of the residual.
    weight : Out(1)
        The entry carries a weight (it is no filler).
    code : Out(8)
    location : Out(row_bits)
        Input channel within the group if there is a weight, 0 for the residual.
    """

    FORMATS: tuple[type[StreamFormat], ...] = (Dense, Gap, Rice)

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self._two = engine.taps_per_entry > 1
        self.latency = decode_cycles(engine)
        quotients = {"split": In(1), "quotient": In(4), "filler": In(1)}
        super().__init__(
            ({"step_two": Out(1)} if self._two else {})
            | (quotients if engine.quotient_ones else {})
            | {
                "gap_bits": In(4),
                "code_bits": In(4),
                "channels": In(engine.row_bits),
                "issue": In(1),
                "first": In(1),
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

    def connect_format(self, layer: Any) -> list[Any]:
        """Return the assignments that take the format from a layer's descriptor."""
        gap_bits = layer.gap_bits if self._engine.max_gap_bits else C(0)
        found = [self.gap_bits.eq(gap_bits), self.code_bits.eq(layer.entry_bits - gap_bits)]
        if self._engine.quotient_ones:
            found.append(self.split.eq(layer.filler_ones != 0))
        return found

    def elaborate(self, platform: object) -> Module:
        """Build the decoder."""
        m = Module()
        engine = self._engine
        wide = engine.row_bits + 2
        gap_mask = Signal(max(1, engine.max_gap_bits), name="gap_mask", reset_less=True)
        code_mask = Signal(MAX_CODE_BITS, name="code_mask", reset_less=True)
        issue = Signal(name="issue")
        first, skip = Signal(name="first", reset_less=True), Signal(name="skip", reset_less=True)
        entry = Signal(engine.word_bits, name="entry", reset_less=True)
        no_gaps = Signal(name="no_gaps", reset_less=True)
        m.d.sync += [
            gap_mask.eq((1 << self.gap_bits) - 1),
            code_mask.eq((1 << self.code_bits) - 1),
            no_gaps.eq(self.gap_bits == 0),
            issue.eq(self.issue),
            first.eq(self.first),
            entry.eq(self.entry),
            skip.eq(self.skip),
        ]

        # Summands of the position: the gap, and the gap minus once and twice the channels.
        gap = Signal(max(1, engine.max_gap_bits), name="gap")
        taps = range(1, engine.taps_per_entry + 1)
        beyond = [Signal(wide, name=f"beyond_{tap}") for tap in taps]
        carries, code = Signal(name="carries"), Signal(MAX_CODE_BITS, name="code")
        own = entry & gap_mask
        is_weight = (gap != gap_mask) | no_gaps
        if engine.quotient_ones:
            above = Signal.like(gap, name="above", reset_less=True)
            filler = Signal(name="filler", reset_less=True)
            split = Signal(name="its_split", reset_less=True)
            m.d.sync += [
                above.eq(self.quotient << self.gap_bits),
                filler.eq(self.filler),
                split.eq(self.split),
            ]
            own = Mux(filler, 0, own) | above
            is_weight = (is_weight | split) & ~filler
        m.d.comb += [
            gap.eq(own),
            *(part.eq(gap - tap * self.channels) for part, tap in zip(beyond, taps, strict=True)),
            carries.eq(is_weight),
            code.eq((entry >> self.gap_bits) & code_mask),
        ]
        if is_deep(engine):
            parts = [issue, first, skip, gap, carries, code, *beyond]
            late = [
                Signal.like(part, name=f"late_{part.name}", reset_less=part is not issue)
                for part in parts
            ]
            m.d.sync += [after.eq(part) for after, part in zip(late, parts, strict=True)]
            issue, first, skip, gap, carries, code, *beyond = late

        # `position` is the channel of the last weight, -1 at the beginning. The next weight is its
        # gap plus one ahead. A filler ends one channel before the place of such a weight.
        position, here = Signal(wide, name="position", reset_less=True), Signal(wide, name="here")
        ahead = Signal(wide, name="ahead")
        wrapped = [Signal(wide, name=f"wrapped_{tap}") for tap in taps]
        m.d.comb += [
            here.eq(position | first.replicate(wide)),
            # The lowest bits make the carry into the sum: one adder each.
            ahead.eq((Cat(1, here) + Cat(carries, gap)) >> 1),
            *(
                there.eq((Cat(1, here) + Cat(carries, part)) >> 1)
                for there, part in zip(wrapped, beyond, strict=True)
            ),
        ]
        wrap = ~wrapped[0][-1]
        moved = Mux(wrap, wrapped[0], ahead)
        if self._two:
            wrap_two = ~wrapped[1][-1]
            moved = Mux(wrap_two, wrapped[1], moved)
            m.d.sync += self.step_two.eq(wrap_two)
        with m.If(issue & ~skip):
            m.d.sync += position.eq(moved)
        m.d.sync += [
            self.valid.eq(issue),
            self.start.eq(first & ~skip),
            self.step.eq(wrap & ~skip),
            self.residual.eq(skip),
            self.weight.eq(carries),
            self.code.eq(code),
        ]
        m.d.comb += self.location.eq(Mux(self.residual, 0, position))
        return m
