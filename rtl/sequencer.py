"""The control of the engine: frames, layers, tiles, channels and entries."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
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

    If the activation banks have a single port, everything here stands still while the bytes of a
    channel are written: as many cycles after its last entry as pass until its first byte comes,
    less those from an entry to the read of its vector.

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
                "parameters": Out(ParameterCommands(engine)),
                "phases": Out(Phases()),
                "entries": Out(EntryStream(engine)),
                "results": Out(ResultWalk(engine)),
                "handshake": Out(Handshake()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        self._declare()
        if self._engine.single_port:
            self._follow_writes(m)
        self._follow_entries(m)
        self._follow_groups(m)
        m.d.comb += self.phases.fill.eq(self._filling)
        m.d.sync += self.control.cycles.eq(self.control.cycles + self.phases.busy)
        with m.FSM():
            self._add_frame_states(m)
            self._add_layer_states(m)
            self._add_output_states(m)
        return m

    def _declare(self) -> None:
        """Declare the registers and the flags that states share."""
        self._after_load = "TABLE" if self._engine.tables else "PREPARE"
        engine, timing = self._engine, Timing.of(self._engine)
        self._timing = timing
        self._settled = timing.load + PositionWalker.SETTLE_CYCLES
        longest = max(
            self._settled, timing.prepare, timing.drain_serial, timing.output, timing.look_table
        )
        self._timer = Signal(range(longest + 1), name="timer")
        self._wait = Signal(range(timing.min_slot_serial + 1), name="wait")
        self._left = Signal(COUNT_BITS, name="left")
        self._tile = Signal(engine.row_bits, name="tile")
        self._next_channel = Signal(engine.row_bits, name="next_channel")
        self._fresh = Signal(name="fresh")
        self._is_last = Signal(name="is_last")
        self._begun = Signal(name="begun")
        self._member = Signal(engine.row_bits, name="member")
        self._next_member = Signal(engine.row_bits, name="next_member")
        self._next_offset = Signal(engine.row_bits, name="next_offset")
        self._end_of_group = Signal(name="end_of_group")
        # These follow the channel one cycle late, which no slot is short enough to notice.
        self._end_of_tile = Signal(name="end_of_tile")
        self._end_of_layer = Signal(name="end_of_layer")
        self._next_is_end = Signal(name="next_is_end")
        self._wait_first = Signal.like(self._wait, name="wait_first")
        self._wait_other = Signal.like(self._wait, name="wait_other")
        self._single = Signal(name="single")
        # Whether `wait` is not 0, and whether the pauses that it begins with are not.
        self._waiting = Signal(name="waiting")
        self._waits_first = Signal(name="waits_first")
        self._waits_other = Signal(name="waits_other")
        # The first cycle of a state, the cycles that fill the masks, and the last cycle of a state.
        self._entered, self._filling = Signal(name="entered"), Signal(name="filling")
        self._loaded = Signal(name="loaded")
        self._at_rest = Signal(name="at_rest")
        self._prepared = Signal(name="prepared")
        self._drained = Signal(name="drained")
        self._looked = Signal(name="looked")
        # The banks are written, in the place of reads.
        self._turn = Signal(name="turn")

    def _follow_writes(self, m: Module) -> None:
        """Give the banks to the bytes of each channel when these come."""
        timing, entries, turn = self._timing, self.entries, self._turn
        ends = Signal(timing.before_turn - 1, name="ends")
        left = Signal(range(timing.turn_serial), name="turn_left")
        serial = self.loops.serial
        m.d.sync += ends.eq(Cat(entries.valid & entries.last, ends))
        with m.If(ends[-1]):
            m.d.sync += [turn.eq(1), left.eq(Mux(serial, timing.turn_serial, timing.turn) - 1)]
        with m.Else():
            m.d.sync += [turn.eq(turn & (left != 0)), left.eq(left - 1)]

    def _follow_entries(self, m: Module) -> None:
        """Compute the flags of channel, tile, pauses and timer, a cycle ahead of their use."""
        timing, timer = self._timing, self._timer
        loops, entries = self.loops, self.entries
        pause_first, pause_other = self._pause(timing, timing.rewind), self._pause(timing, 0)
        m.d.comb += self._end_of_group.eq(self._member == loops.group_last)
        m.d.sync += [
            self._end_of_tile.eq(entries.channel == loops.last_channel),
            self._end_of_layer.eq(
                (entries.channel == loops.last_channel) & (self._tile == loops.last_tile)
            ),
            self._next_channel.eq(
                Mux(entries.channel == loops.last_channel, 0, entries.channel + 1)
            ),
            self._next_is_end.eq(self._next_channel == loops.last_channel),
            self._wait_first.eq(pause_first),
            self._wait_other.eq(pause_other),
            self._waits_first.eq(pause_first != 0),
            self._waits_other.eq(pause_other != 0),
            self._entered.eq(0),
            self._filling.eq(0),
            self._loaded.eq(timer == timing.load - 2),
            self._at_rest.eq(timer == self._settled - 2),
            self._prepared.eq(timer == timing.prepare - 2),
            *([self._looked.eq(timer == timing.look_table - 2)] if self._engine.tables else []),
            self._drained.eq(timer == Mux(loops.serial, timing.drain_serial, timing.drain) - 2),
            self._single.eq(loops.count == 1),
        ]

    def _follow_groups(self, m: Module) -> None:
        """Compute the place of the next channel in its group, and count the cycles of a state."""
        loops, entries, member, timer = self.loops, self.entries, self._member, self._timer
        next_offset, next_member = self._next_offset, self._next_member
        with m.If(entries.channel == loops.last_channel):
            m.d.sync += [next_offset.eq(0), next_member.eq(0)]
        with m.Elif(self._end_of_group):
            m.d.sync += [next_offset.eq(entries.offset + loops.group_channels), next_member.eq(0)]
        with m.Else():
            m.d.sync += [next_offset.eq(entries.offset), next_member.eq(member + 1)]
        m.d.sync += timer.eq(timer + ~self._turn if self._engine.single_port else timer + 1)

    def _go(self, m: Module, state: str) -> None:
        """Go to a state and count its cycles from 0."""
        m.next = state
        m.d.sync += [self._timer.eq(0), self._entered.eq(1)]
        flags = [self._loaded, self._at_rest, self._prepared, self._drained]
        if self._engine.tables:
            flags.append(self._looked)
        m.d.sync += [flag.eq(0) for flag in flags]

    def _open_slot(self, m: Module, channel, group, is_end, first_of_tile) -> None:
        """Begin the slot of `channel` in the next cycle, with the present record."""
        loops, parameters, entries = self.loops, self.parameters, self.entries
        m.d.comb += [entries.take.eq(1), parameters.fetch.eq(1), parameters.rewind.eq(is_end)]
        m.d.sync += [
            entries.channel.eq(channel),
            entries.offset.eq(group[0]),
            self._member.eq(group[1]),
            self._begun.eq(0),
            self._left.eq(loops.count),
            self._is_last.eq(self._single),
            self._wait.eq(Mux(first_of_tile, self._wait_first, self._wait_other)),
            self._waiting.eq(Mux(first_of_tile, self._waits_first, self._waits_other)),
            self._fresh.eq(1),
        ]

    def _add_frame_states(self, m: Module) -> None:
        """Add the states from power-up or the last result to the start of a run."""
        control, parameters, phases = self.control, self.parameters, self.phases
        with m.State("BOOT"):
            self._go(m, "LOAD-FIRST")
        with m.State("LOAD-FIRST"):
            m.d.comb += [parameters.load.eq(self._entered), parameters.restart.eq(1)]
            with m.If(self._at_rest):
                m.d.comb += phases.frame.eq(1)
                m.next = "IDLE"
        with m.State("IDLE"):
            m.d.comb += phases.idle.eq(1)
            with m.If(control.start):
                m.d.sync += [phases.busy.eq(1), control.cycles.eq(1)]
                self._go(m, self._after_load)
            if self._engine.writable:
                with m.Elif(control.reload):
                    m.next = "BOOT"

    def _add_layer_states(self, m: Module) -> None:
        """Add the states of a layer: descriptor, table, masks, entries, last results."""
        parameters, phases, loops, entries = self.parameters, self.phases, self.loops, self.entries
        entered, fill_cycles = self._entered, FILL_BEATS * self._engine.lane_bits
        with m.State("LOAD"):
            m.d.comb += parameters.load.eq(entered)
            with m.If(self._loaded):
                self._go(m, self._after_load)
        if self._engine.tables:
            with m.State("TABLE"):
                m.d.comb += parameters.table.eq(entered & loops.table)
                with m.If(~loops.table | self._looked):
                    self._go(m, "PREPARE")
        with m.State("PREPARE"):
            m.d.comb += [
                phases.prepare.eq(entered),
                entries.rewind.eq(entered),
            ]
            m.d.sync += [self._tile.eq(0), self._filling.eq(self._timer < fill_cycles)]
            with m.If(entered):
                m.d.comb += [parameters.fetch.eq(1), parameters.rewind.eq(1)]
            with m.If(self._prepared):
                self._open_slot(m, 0, (0, 0), loops.last_channel == 0, 1)
                self._go(m, "RUN")
        with m.State("RUN"):
            if self._engine.single_port:
                with m.If(~self._turn):
                    self._issue(m)
            else:
                self._issue(m)
        with m.State("DRAIN"):
            # The constants of the last channel move on as if a slot followed.
            m.d.comb += entries.take.eq(entered)
            with m.If(self._drained):
                with m.If(loops.last_layer):
                    m.d.sync += phases.busy.eq(0)
                    self._go(m, "DONE")
                with m.Else():
                    self._go(m, "LOAD")

    def _issue(self, m: Module) -> None:
        """Wait, or issue an entry; after the last of a channel begin the next slot or drain."""
        loops, entries, fresh = self.loops, self.entries, self._fresh
        wait, left, tile = self._wait, self._left, self._tile
        with m.If(self._waiting):
            m.d.sync += [wait.eq(wait - 1), self._waiting.eq(wait != 1)]
        with m.Else():
            m.d.comb += [
                entries.valid.eq(1),
                entries.first.eq(fresh),
                entries.skip.eq(fresh & loops.with_skip),
                entries.begin.eq(~self._begun & ~entries.skip),
                entries.last.eq(self._is_last),
                entries.new_tile.eq(fresh & (entries.channel == 0) & (tile != 0)),
            ]
            with m.If(~entries.skip):
                m.d.sync += self._begun.eq(1)
            m.d.sync += [left.eq(left - 1), self._is_last.eq(left == 2), fresh.eq(0)]
            with m.If(self._is_last):
                with m.If(self._end_of_layer):
                    self._go(m, "DRAIN")
                with m.Else():
                    group = self._next_offset, self._next_member
                    self._open_slot(
                        m, self._next_channel, group, self._next_is_end, self._end_of_tile
                    )
                    m.d.comb += entries.rewind.eq(self._end_of_tile)
                    m.d.sync += tile.eq(tile + self._end_of_tile)

    def _add_output_states(self, m: Module) -> None:
        """Add the states that give the results of a run."""
        timing, timer = self._timing, self._timer
        control, loops, entries = self.control, self.loops, self.entries
        results, handshake = self.results, self.handshake
        end_of_image = Signal(name="end_of_image")
        is_last_image = results.image == loops.last_image if self._batched else C(1)
        with m.State("DONE"):
            m.d.comb += [control.done.eq(1), results.active.eq(1), results.first.eq(1)]
            m.d.sync += entries.channel.eq(0)
            self._go(m, "OUTPUT")
        with m.State("OUTPUT"):
            m.d.comb += [
                results.active.eq(1),
                handshake.valid.eq(timer >= timing.output),
                end_of_image.eq(self._end_of_tile & results.end_of_map),
                handshake.last.eq(end_of_image & is_last_image),
            ]
            with m.If(timer == timing.output):
                m.d.sync += timer.eq(timer)
                with m.If(handshake.ready):
                    m.d.sync += [timer.eq(0), entries.channel.eq(self._next_channel)]
                    m.d.comb += [
                        results.step.eq(self._end_of_tile),
                        results.first.eq(end_of_image),
                    ]
                    if self._batched:
                        image = results.image
                        next_image = Mux(is_last_image, 0, image + 1)
                        m.d.sync += image.eq(Mux(end_of_image, next_image, image))
                    with m.If(handshake.last):
                        m.next = "BOOT"

    def _pause(self, timing: Timing, least: int):
        """Return the cycles that a slot of `count` entries begins with."""
        loops = self.loops

        def pause(min_slot: int):
            short = Mux(loops.count < min_slot - least, min_slot - loops.count, least)
            return short[: min_slot.bit_length()]

        if timing.min_slot == timing.min_slot_serial:
            return pause(timing.min_slot)
        return Mux(loops.serial, pause(timing.min_slot_serial), pause(timing.min_slot))
