"""The engine's latencies, which the sequencer enforces and the cycle model counts."""

from dataclasses import dataclass

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import RECORD_FIELDS, TABLE_ENTRIES, descriptor_words

#: Fewest lanes of a deep engine. It has registers downstream of each block RAM and within wide
#: multiplexers; smaller engines are for parts on which logic is scarcer than speed.
DEEP_LANES = 16
#: Cycles from a jump of a field reader to its first field.
JUMP_CYCLES = 2
#: Cycles from a command of the sequencer to its effect: commands are registered.
ISSUE_CYCLES = 1
#: Cycles from a decoded entry to its kernel tap, and from there to the row that is read.
TAP_CYCLES, ROW_CYCLES = 1, 1
#: Cycles from activations, mask and weight at the lanes to the accumulator.
LANES_CYCLES = 3
#: Cycles in which the number of lanes with coordinates doubles.
FILL_BEATS = 2
#: Cycles from a byte to the activation memory.
WRITE_CYCLES = 1


def is_deep(engine: EngineConfig) -> bool:
    """Return whether an engine has the longer pipeline."""
    return engine.lanes >= DEEP_LANES


def rom_cycles(engine: EngineConfig, name: str) -> int:
    """Return the cycles from the address of a ROM to the word.

    In a deep engine there is a register in front of the multiplexer of a ROM's pieces. The
    parameter ROM has none: it is small, and channels of few weights wait for it.
    """
    return 2 if is_deep(engine) and name != "params" else 1


def record_window_cycles(engine: EngineConfig) -> int:
    """Return the cycles from taking a field of the parameter ROM to the field."""
    return int(is_deep(engine))


def entry_window_cycles(engine: EngineConfig) -> int:
    """Return the cycles from taking a stream entry to the entry."""
    return rom_cycles(engine, "weights") if is_deep(engine) else 0


def jump_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the beginning of a tile's stream to its first entry.

    Quotients take three more than the ROM: registers, the first length, the first quotient.
    """
    return rom_cycles(engine, "weights") + 3 if engine.quotient_ones else JUMP_CYCLES


def decode_cycles(engine: EngineConfig) -> int:
    """Return the cycles from a stream entry to its decoded content."""
    return 3 if is_deep(engine) else 2


def read_cycles(engine: EngineConfig) -> int:
    """Return the cycles from a row address to the vector of activations."""
    return 4 if is_deep(engine) else 1


def mask_cycles(engine: EngineConfig) -> int:
    """Return the cycles from a kernel tap to the lanes that read inside of the map."""
    return 2 if is_deep(engine) else 1


def decoded_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the issue of an entry to its decoded content."""
    return ISSUE_CYCLES + entry_window_cycles(engine) + decode_cycles(engine)


def tap_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the issue of an entry to its kernel tap."""
    return decoded_cycles(engine) + TAP_CYCLES


def sum_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the kernel tap of a channel's last entry to its accumulators."""
    return ROW_CYCLES + read_cycles(engine) + LANES_CYCLES


def accumulate_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the issue of a channel's last entry to its accumulators."""
    return tap_cycles(engine) + sum_cycles(engine)


def fetch_cycles(engine: EngineConfig) -> int:
    """Return the cycles to read a channel record after a jump.

    They are the jump, one for each field, and two registers downstream of the reader. A deep engine
    registers the command too.
    """
    return is_deep(engine) + JUMP_CYCLES + record_window_cycles(engine) + len(RECORD_FIELDS) + 1


def requantize_digits(engine: EngineConfig) -> int:
    """Return the digits to the base 4, -1 to 2, that every multiplier can be written with."""
    return engine.mult_bits // 2 + 1


def requantize_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the hand-over of the accumulators to the first byte.

    They are queue, bias, digits, the levels of a sum, two of shifting, rounding and clamp.
    """
    return 7 + (requantize_digits(engine) - 1).bit_length()


def table_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the requantizers to bytes of the tables: the RAM, and a register."""
    return 2 * engine.tables


def transpose_cycles(engine: EngineConfig) -> int:
    """Return the cycles from the requantizers to the bytes as they are written.

    A tile of two groups or more may be written to the even and the odd phase of its output.
    """
    return int(1 < engine.requantizers < engine.lanes)


@dataclass(frozen=True)
class Timing:
    """Cycles of an engine that do not depend on the network.

    Parameters
    ----------
    min_slot, min_slot_serial : int
        Fewest cycles between the last entries of two channels: the requantizers must have taken
        all lanes (one a cycle in a serial layer), and the next record must be read.
    rewind : int
        Cycles without an entry at the beginning of a tile.
    load : int
        Cycles to read a layer descriptor.
    prepare : int
        Cycles from the descriptor to the first slot.
    drain, drain_serial : int
        Cycles from the last entry of a layer (a serial one) to its last byte in memory.
    hold : int
        Cycles for which a record stays in place after the next channel begins, before it is set
        aside for the hand-over of its accumulators.
    output : int
        Cycles from a new position or channel to the result that is read there.
    turn, turn_serial : int
        Cycles of a channel of a tile (in a serial layer) in which the sequencer stands still
        because the banks are written; 0 if they have a port for writes.
    look, look_table : int
        Cycles of a layer, after its descriptor, in which the engine sees that it has no table, or
        in which it loads the table; 0 in an engine without tables.
    before_turn : int
        Cycles from the last entry of a channel to the first cycle in which no entry is issued, so
        that none reads while the channel is written.
    """

    min_slot: int
    min_slot_serial: int
    rewind: int
    load: int
    prepare: int
    drain: int
    drain_serial: int
    hold: int
    output: int
    turn: int = 0
    turn_serial: int = 0
    look: int = 0
    look_table: int = 0
    before_turn: int = 0

    @classmethod
    def of(cls, engine: EngineConfig) -> "Timing":
        """Return the timing of an engine."""
        fetch, accumulate = fetch_cycles(engine), accumulate_cycles(engine)
        writes = engine.lanes // engine.requantizers
        min_slot = max(writes, fetch)
        bytes_ = requantize_cycles(engine) + table_cycles(engine) + transpose_cycles(engine)
        drain = accumulate + bytes_ + WRITE_CYCLES
        # An entry reads its vector as long after its issue as its channel's first byte is written
        # after the turn begins. The turn is not part of a drain, which stands still then too.
        single = engine.single_port
        turns = (writes, engine.lanes) if single else (0, 0)
        before_turn = drain - (tap_cycles(engine) + ROW_CYCLES + is_deep(engine))
        return cls(
            min_slot=min_slot,
            min_slot_serial=max(engine.lanes, fetch),
            rewind=jump_cycles(engine) - 1,
            load=JUMP_CYCLES + record_window_cycles(engine) + descriptor_words(engine),
            prepare=1 + max(FILL_BEATS * engine.lane_bits + 1, fetch),
            drain=drain + writes - turns[0],
            drain_serial=drain + engine.lanes - turns[1],
            hold=max(0, accumulate - min_slot),
            output=3 + ISSUE_CYCLES + read_cycles(engine),
            turn=turns[0],
            turn_serial=turns[1],
            look=int(engine.tables),
            look_table=(JUMP_CYCLES + TABLE_ENTRIES) * engine.tables,
            before_turn=before_turn if single else 0,
        )
