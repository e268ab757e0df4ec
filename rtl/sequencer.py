"""The control of the engine: frames, layers, tiles, channels and entries."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import COUNT_BITS
from sqhw.machine.timing import FILL_BEATS, Timing
from sqhw.rtl.position_walker import PositionWalker


class Sequencer(wiring.Component):
    """Issues the entries of all channels of all tiles of all layers, one a cycle.

    Each channel has a slot of ``max(count, min_slot)`` cycles whose last cycle issues its last
    entry, so that requantizer and record reader always have time enough and nothing ever stalls.
    The first slot of a tile is at least ``count + rewind`` long. `sqhw.machine.timing` has the
    numbers.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    start : In(1)
    reload : In(1)
        Read the first descriptor anew, when idle. Only if the engine is writable.
    idle, busy, done : Out(1)
    cycles : Out(32)
        Cycles from `start` to `done`.
    frame : Out(1)
        The cycle before `idle`: pixels are about to come.
    load, restart : Out(1)
        Read the descriptor of the next layer or of the first one.
    prepare, fill : Out(1)
        The first cycle of a layer; then as many as the lane masks need.
    fetch, fetch_first, take : Out(1)
        Read the next record or the first one; the record at hand is that of the next slot.
    count, last_layer, last_tile, last_channel : In
        From the record and the descriptor.
    issue, first, last, new_tile : Out(1)
        An entry; the first or last of its channel; the first of a tile that is not the first.
    with_skip : In(1)
        Each channel begins with an entry from the residual; `count` includes it.
    skip, begin : Out(1)
        The entry is that one; it is the first of the channel's stream.
    serial : In(1)
        The layer writes one byte a cycle.
    group_channels, group_last : In
        Input channels of a group and its output channels - 1.
    offset : Out
        Input channel at which the group of `channel` begins.
    rewind : Out(1)
        Back to the first entry of the layer.
    channel : Out
        Output channel of the entry, or of the result that goes out.
    output, output_first, output_step : Out(1)
        Results go out; go to the first position; go to the next position.
    end_of_map : In(1)
        The position is the last.
    last_image : In(batch_bits)
        Images of the run - 1; missing in an engine that runs single images, like the next.
    image : Out(batch_bits)
        Image whose results go out; otherwise 0.
    out_valid, out_last, out_ready
        Handshake of the results.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self._batched = engine.max_batch > 1
        batch = {"last_image": In(engine.batch_bits), "image": Out(engine.batch_bits)}
        super().__init__(
            ({"reload": In(1)} if engine.writable else {})
            | {
                "start": In(1),
                "idle": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "cycles": Out(32),
                "frame": Out(1),
                "load": Out(1),
                "restart": Out(1),
                "prepare": Out(1),
                "fill": Out(1),
                "fetch": Out(1),
                "fetch_first": Out(1),
                "take": Out(1),
                "count": In(COUNT_BITS),
                "last_layer": In(1),
                "last_tile": In(engine.row_bits),
                "last_channel": In(engine.row_bits),
                "issue": Out(1),
                "first": Out(1),
                "last": Out(1),
                "new_tile": Out(1),
                "with_skip": In(1),
                "skip": Out(1),
                "begin": Out(1),
                "serial": In(1),
                "group_channels": In(engine.row_bits),
                "group_last": In(engine.row_bits),
                "offset": Out(engine.row_bits),
                "rewind": Out(1),
                "channel": Out(engine.row_bits),
                "output": Out(1),
                "output_first": Out(1),
                "output_step": Out(1),
                "end_of_map": In(1),
                **(batch if self._batched else {}),
                "out_valid": Out(1),
                "out_last": Out(1),
                "out_ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        engine, timing = self._engine, Timing.of(self._engine)
        settled = timing.load + PositionWalker.SETTLE_CYCLES
        timer = Signal(
            range(max(settled, timing.prepare, timing.drain_serial, timing.output) + 1),
            name="timer",
        )
        wait = Signal(range(timing.min_slot_serial + 1), name="wait")
        left = Signal(COUNT_BITS, name="left")
        tile = Signal(engine.row_bits, name="tile")
        next_channel = Signal(engine.row_bits, name="next_channel")
        fresh = Signal(name="fresh")
        is_last = Signal(name="is_last")
        begun = Signal(name="begun")
        member = Signal(engine.row_bits, name="member")
        next_member = Signal(engine.row_bits, name="next_member")
        next_offset = Signal(engine.row_bits, name="next_offset")
        end_of_group, end_of_image = Signal(name="end_of_group"), Signal(name="end_of_image")
        m.d.comb += end_of_group.eq(member == self.group_last)
        is_last_image = self.image == self.last_image if self._batched else C(1)
        # These follow the channel one cycle late, which no slot is short enough to notice.
        end_of_tile, end_of_layer = Signal(name="end_of_tile"), Signal(name="end_of_layer")
        next_is_end = Signal(name="next_is_end")
        wait_first = Signal.like(wait, name="wait_first")
        wait_other = Signal.like(wait, name="wait_other")
        single = Signal(name="single")
        # `wait` is not 0; neither are the pauses that it may begin with.
        waiting = Signal(name="waiting")
        waits_first = Signal(name="waits_first")
        waits_other = Signal(name="waits_other")
        # The first cycle of a state; those that fill the masks; the last of a state.
        entered, filling = Signal(name="entered"), Signal(name="filling")
        loaded = Signal(name="loaded")
        at_rest = Signal(name="at_rest")
        prepared = Signal(name="prepared")
        drained = Signal(name="drained")
        pause_first, pause_other = self._pause(timing, timing.rewind), self._pause(timing, 0)
        m.d.sync += [
            end_of_tile.eq(self.channel == self.last_channel),
            end_of_layer.eq((self.channel == self.last_channel) & (tile == self.last_tile)),
            next_channel.eq(Mux(self.channel == self.last_channel, 0, self.channel + 1)),
            next_is_end.eq(next_channel == self.last_channel),
            wait_first.eq(pause_first),
            wait_other.eq(pause_other),
            waits_first.eq(pause_first != 0),
            waits_other.eq(pause_other != 0),
            entered.eq(0),
            filling.eq(0),
            loaded.eq(timer == timing.load - 2),
            at_rest.eq(timer == settled - 2),
            prepared.eq(timer == timing.prepare - 2),
            drained.eq(timer == Mux(self.serial, timing.drain_serial, timing.drain) - 2),
            single.eq(self.count == 1),
        ]
        with m.If(self.channel == self.last_channel):
            m.d.sync += [next_offset.eq(0), next_member.eq(0)]
        with m.Elif(end_of_group):
            m.d.sync += [next_offset.eq(self.offset + self.group_channels), next_member.eq(0)]
        with m.Else():
            m.d.sync += [next_offset.eq(self.offset), next_member.eq(member + 1)]
        m.d.sync += timer.eq(timer + 1)

        def go(state: str) -> None:
            """Go to a state and count its cycles from 0."""
            m.next = state
            m.d.sync += [timer.eq(0), entered.eq(1)]
            m.d.sync += [flag.eq(0) for flag in (loaded, at_rest, prepared, drained)]

        def open_slot(channel, group, is_end, first_of_tile) -> None:
            """Begin the slot of `channel` in the next cycle, with the record at hand."""
            m.d.comb += [self.take.eq(1), self.fetch.eq(1), self.fetch_first.eq(is_end)]
            m.d.sync += [
                self.channel.eq(channel),
                self.offset.eq(group[0]),
                member.eq(group[1]),
                begun.eq(0),
                left.eq(self.count),
                is_last.eq(single),
                wait.eq(Mux(first_of_tile, wait_first, wait_other)),
                waiting.eq(Mux(first_of_tile, waits_first, waits_other)),
                fresh.eq(1),
            ]

        m.d.comb += self.fill.eq(filling)
        m.d.sync += self.cycles.eq(self.cycles + self.busy)
        with m.FSM():
            with m.State("BOOT"):
                go("LOAD-FIRST")
            with m.State("LOAD-FIRST"):
                m.d.comb += [self.load.eq(entered), self.restart.eq(1)]
                with m.If(at_rest):
                    m.d.comb += self.frame.eq(1)
                    m.next = "IDLE"
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                with m.If(self.start):
                    m.d.sync += [self.busy.eq(1), self.cycles.eq(1)]
                    go("PREPARE")
                if self._engine.writable:
                    with m.Elif(self.reload):
                        m.next = "BOOT"
            with m.State("LOAD"):
                m.d.comb += self.load.eq(entered)
                with m.If(loaded):
                    go("PREPARE")
            with m.State("PREPARE"):
                m.d.comb += [
                    self.prepare.eq(entered),
                    self.rewind.eq(entered),
                ]
                m.d.sync += [tile.eq(0), filling.eq(timer < FILL_BEATS * engine.lane_bits)]
                with m.If(entered):
                    m.d.comb += [self.fetch.eq(1), self.fetch_first.eq(1)]
                with m.If(prepared):
                    open_slot(0, (0, 0), self.last_channel == 0, 1)
                    go("RUN")
            with m.State("RUN"):
                with m.If(waiting):
                    m.d.sync += [wait.eq(wait - 1), waiting.eq(wait != 1)]
                with m.Else():
                    m.d.comb += [
                        self.issue.eq(1),
                        self.first.eq(fresh),
                        self.skip.eq(fresh & self.with_skip),
                        self.begin.eq(~begun & ~self.skip),
                        self.last.eq(is_last),
                        self.new_tile.eq(fresh & (self.channel == 0) & (tile != 0)),
                    ]
                    with m.If(~self.skip):
                        m.d.sync += begun.eq(1)
                    m.d.sync += [left.eq(left - 1), is_last.eq(left == 2), fresh.eq(0)]
                    with m.If(is_last):
                        with m.If(end_of_layer):
                            go("DRAIN")
                        with m.Else():
                            open_slot(
                                next_channel, (next_offset, next_member), next_is_end, end_of_tile
                            )
                            m.d.comb += self.rewind.eq(end_of_tile)
                            m.d.sync += tile.eq(tile + end_of_tile)
            with m.State("DRAIN"):
                # The constants of the last channel move on as if a slot followed.
                m.d.comb += self.take.eq(entered)
                with m.If(drained):
                    with m.If(self.last_layer):
                        m.d.sync += self.busy.eq(0)
                        go("DONE")
                    with m.Else():
                        go("LOAD")
            with m.State("DONE"):
                m.d.comb += [self.done.eq(1), self.output.eq(1), self.output_first.eq(1)]
                m.d.sync += self.channel.eq(0)
                go("OUTPUT")
            with m.State("OUTPUT"):
                m.d.comb += [
                    self.output.eq(1),
                    self.out_valid.eq(timer >= timing.output),
                    end_of_image.eq(end_of_tile & self.end_of_map),
                    self.out_last.eq(end_of_image & is_last_image),
                ]
                with m.If(timer == timing.output):
                    m.d.sync += timer.eq(timer)
                    with m.If(self.out_ready):
                        m.d.sync += [timer.eq(0), self.channel.eq(next_channel)]
                        m.d.comb += [
                            self.output_step.eq(end_of_tile),
                            self.output_first.eq(end_of_image),
                        ]
                        if self._batched:
                            next_image = Mux(is_last_image, 0, self.image + 1)
                            m.d.sync += self.image.eq(Mux(end_of_image, next_image, self.image))
                        with m.If(self.out_last):
                            m.next = "BOOT"
        return m

    def _pause(self, timing: Timing, least: int):
        """Return the cycles that a slot of `count` entries begins with."""

        def pause(min_slot: int):
            short = Mux(self.count < min_slot - least, min_slot - self.count, least)
            return short[: min_slot.bit_length()]

        if timing.min_slot == timing.min_slot_serial:
            return pause(timing.min_slot)
        return Mux(self.serial, pause(timing.min_slot_serial), pause(timing.min_slot))
