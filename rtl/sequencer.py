"""The control of the engine: frames, layers, tiles, channels and entries."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import COUNT_BITS
from sqhw.machine.timing import FILL_BEATS, Timing
from sqhw.rtl.interfaces import (
    EntryStream,
    Handshake,
    LayerLoops,
    ParameterCommands,
    Phases,
    ResultWalk,
    RunControl,
)
from sqhw.rtl.position_walker import PositionWalker


class Sequencer(wiring.Component):
    """Issues the entries of all channels of all tiles of all layers, one a cycle.

    Each channel has a slot of ``max(count, min_slot)`` cycles. The last cycle of a slot issues the
    last entry of the channel. Requantizer and record reader thus have enough time, and nothing ever
    stalls. The first slot of a tile is at least ``count + rewind`` long. `sqhw.machine.timing` has
    the numbers.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    control : In(RunControl)
    loops : In(LayerLoops)
    parameters : Out(ParameterCommands)
    phases : Out(Phases)
    entries : Out(EntryStream)
    results : Out(ResultWalk)
    handshake : Out(Handshake)
        Handshake of the results.
    """

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self._batched = engine.max_batch > 1
        super().__init__(
            {
                "control": In(RunControl(engine)),
                "loops": In(LayerLoops(engine)),
                "parameters": Out(ParameterCommands()),
                "phases": Out(Phases()),
                "entries": Out(EntryStream(engine)),
                "results": Out(ResultWalk(engine)),
                "handshake": Out(Handshake()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        engine, timing = self._engine, Timing.of(self._engine)
        control, parameters, loops = self.control, self.parameters, self.loops
        phases, entries = self.phases, self.entries
        results, handshake = self.results, self.handshake
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
        m.d.comb += end_of_group.eq(member == loops.group_last)
        is_last_image = results.image == loops.last_image if self._batched else C(1)
        # These follow the channel one cycle late, which no slot is short enough to notice.
        end_of_tile, end_of_layer = Signal(name="end_of_tile"), Signal(name="end_of_layer")
        next_is_end = Signal(name="next_is_end")
        wait_first = Signal.like(wait, name="wait_first")
        wait_other = Signal.like(wait, name="wait_other")
        single = Signal(name="single")
        # Whether `wait` is not 0, and whether the pauses that it begins with are not.
        waiting = Signal(name="waiting")
        waits_first = Signal(name="waits_first")
        waits_other = Signal(name="waits_other")
        # The first cycle of a state, the cycles that fill the masks, and the last cycle of a state.
        entered, filling = Signal(name="entered"), Signal(name="filling")
        loaded = Signal(name="loaded")
        at_rest = Signal(name="at_rest")
        prepared = Signal(name="prepared")
        drained = Signal(name="drained")
        pause_first, pause_other = self._pause(timing, timing.rewind), self._pause(timing, 0)
        m.d.sync += [
            end_of_tile.eq(entries.channel == loops.last_channel),
            end_of_layer.eq((entries.channel == loops.last_channel) & (tile == loops.last_tile)),
            next_channel.eq(Mux(entries.channel == loops.last_channel, 0, entries.channel + 1)),
            next_is_end.eq(next_channel == loops.last_channel),
            wait_first.eq(pause_first),
            wait_other.eq(pause_other),
            waits_first.eq(pause_first != 0),
            waits_other.eq(pause_other != 0),
            entered.eq(0),
            filling.eq(0),
            loaded.eq(timer == timing.load - 2),
            at_rest.eq(timer == settled - 2),
            prepared.eq(timer == timing.prepare - 2),
            drained.eq(timer == Mux(loops.serial, timing.drain_serial, timing.drain) - 2),
            single.eq(loops.count == 1),
        ]
        with m.If(entries.channel == loops.last_channel):
            m.d.sync += [next_offset.eq(0), next_member.eq(0)]
        with m.Elif(end_of_group):
            m.d.sync += [next_offset.eq(entries.offset + loops.group_channels), next_member.eq(0)]
        with m.Else():
            m.d.sync += [next_offset.eq(entries.offset), next_member.eq(member + 1)]
        m.d.sync += timer.eq(timer + 1)

        def go(state: str) -> None:
            """Go to a state and count its cycles from 0."""
            m.next = state
            m.d.sync += [timer.eq(0), entered.eq(1)]
            m.d.sync += [flag.eq(0) for flag in (loaded, at_rest, prepared, drained)]

        def open_slot(channel, group, is_end, first_of_tile) -> None:
            """Begin the slot of `channel` in the next cycle, with the present record."""
            m.d.comb += [entries.take.eq(1), parameters.fetch.eq(1), parameters.rewind.eq(is_end)]
            m.d.sync += [
                entries.channel.eq(channel),
                entries.offset.eq(group[0]),
                member.eq(group[1]),
                begun.eq(0),
                left.eq(loops.count),
                is_last.eq(single),
                wait.eq(Mux(first_of_tile, wait_first, wait_other)),
                waiting.eq(Mux(first_of_tile, waits_first, waits_other)),
                fresh.eq(1),
            ]

        m.d.comb += phases.fill.eq(filling)
        m.d.sync += control.cycles.eq(control.cycles + phases.busy)
        with m.FSM():
            with m.State("BOOT"):
                go("LOAD-FIRST")
            with m.State("LOAD-FIRST"):
                m.d.comb += [parameters.load.eq(entered), parameters.restart.eq(1)]
                with m.If(at_rest):
                    m.d.comb += phases.frame.eq(1)
                    m.next = "IDLE"
            with m.State("IDLE"):
                m.d.comb += phases.idle.eq(1)
                with m.If(control.start):
                    m.d.sync += [phases.busy.eq(1), control.cycles.eq(1)]
                    go("PREPARE")
                if engine.writable:
                    with m.Elif(control.reload):
                        m.next = "BOOT"
            with m.State("LOAD"):
                m.d.comb += parameters.load.eq(entered)
                with m.If(loaded):
                    go("PREPARE")
            with m.State("PREPARE"):
                m.d.comb += [
                    phases.prepare.eq(entered),
                    entries.rewind.eq(entered),
                ]
                m.d.sync += [tile.eq(0), filling.eq(timer < FILL_BEATS * engine.lane_bits)]
                with m.If(entered):
                    m.d.comb += [parameters.fetch.eq(1), parameters.rewind.eq(1)]
                with m.If(prepared):
                    open_slot(0, (0, 0), loops.last_channel == 0, 1)
                    go("RUN")
            with m.State("RUN"):
                with m.If(waiting):
                    m.d.sync += [wait.eq(wait - 1), waiting.eq(wait != 1)]
                with m.Else():
                    m.d.comb += [
                        entries.valid.eq(1),
                        entries.first.eq(fresh),
                        entries.skip.eq(fresh & loops.with_skip),
                        entries.begin.eq(~begun & ~entries.skip),
                        entries.last.eq(is_last),
                        entries.new_tile.eq(fresh & (entries.channel == 0) & (tile != 0)),
                    ]
                    with m.If(~entries.skip):
                        m.d.sync += begun.eq(1)
                    m.d.sync += [left.eq(left - 1), is_last.eq(left == 2), fresh.eq(0)]
                    with m.If(is_last):
                        with m.If(end_of_layer):
                            go("DRAIN")
                        with m.Else():
                            open_slot(
                                next_channel, (next_offset, next_member), next_is_end, end_of_tile
                            )
                            m.d.comb += entries.rewind.eq(end_of_tile)
                            m.d.sync += tile.eq(tile + end_of_tile)
            with m.State("DRAIN"):
                # The constants of the last channel move on as if a slot followed.
                m.d.comb += entries.take.eq(entered)
                with m.If(drained):
                    with m.If(loops.last_layer):
                        m.d.sync += phases.busy.eq(0)
                        go("DONE")
                    with m.Else():
                        go("LOAD")
            with m.State("DONE"):
                m.d.comb += [control.done.eq(1), results.active.eq(1), results.first.eq(1)]
                m.d.sync += entries.channel.eq(0)
                go("OUTPUT")
            with m.State("OUTPUT"):
                m.d.comb += [
                    results.active.eq(1),
                    handshake.valid.eq(timer >= timing.output),
                    end_of_image.eq(end_of_tile & results.end_of_map),
                    handshake.last.eq(end_of_image & is_last_image),
                ]
                with m.If(timer == timing.output):
                    m.d.sync += timer.eq(timer)
                    with m.If(handshake.ready):
                        m.d.sync += [timer.eq(0), entries.channel.eq(next_channel)]
                        m.d.comb += [
                            results.step.eq(end_of_tile),
                            results.first.eq(end_of_image),
                        ]
                        if self._batched:
                            image = results.image
                            next_image = Mux(is_last_image, 0, image + 1)
                            m.d.sync += image.eq(Mux(end_of_image, next_image, image))
                        with m.If(handshake.last):
                            m.next = "BOOT"
        return m

    def _pause(self, timing: Timing, least: int):
        """Return the cycles that a slot of `count` entries begins with."""
        loops = self.loops

        def pause(min_slot: int):
            short = Mux(loops.count < min_slot - least, min_slot - loops.count, least)
            return short[: min_slot.bit_length()]

        if timing.min_slot == timing.min_slot_serial:
            return pause(timing.min_slot)
        return Mux(loops.serial, pause(timing.min_slot_serial), pause(timing.min_slot))
