"""The engine's latencies: what the sequencer enforces and the cycle model counts."""

from dataclasses import dataclass

from sqhw.engine import EngineConfig
from sqhw.layout import RECORD_FIELDS, descriptor_words

#: A field reader has its first field this many cycles after a jump.
JUMP_CYCLES = 2
#: A channel record, rewound: jump, one field a cycle, two registers behind the reader.
FETCH_CYCLES = JUMP_CYCLES + len(RECORD_FIELDS) + 1
#: From the issue of a channel's last entry to the hand-over of its accumulators.
ACCUMULATE_CYCLES = 8
#: From the hand-over to the first byte.
REQUANTIZE_CYCLES = 7


@dataclass(frozen=True)
class Timing:
    """Cycles of an engine that do not depend on the network.

    Parameters
    ----------
    min_slot, min_slot_serial : int
        Fewest cycles between the last entries of two channels: the requantizers must have taken
        all lanes (one a cycle in a serial layer), the next record must be read, and the constants
        of a channel are held until its accumulators are handed over.
    rewind : int
        Cycles without an entry at the beginning of a tile.
    load : int
        Cycles to read a layer descriptor.
    prepare : int
        Cycles from there to the first slot.
    drain, drain_serial : int
        Cycles from the last entry of a layer (a serial one) to its last byte in memory.
    """

    min_slot: int
    min_slot_serial: int
    rewind: int
    load: int
    prepare: int
    drain: int
    drain_serial: int

    @classmethod
    def of(cls, engine: EngineConfig) -> "Timing":
        """Return the timing of an engine."""
        latency = ACCUMULATE_CYCLES + REQUANTIZE_CYCLES
        return cls(
            min_slot=max(engine.lanes // engine.requantizers, ACCUMULATE_CYCLES, FETCH_CYCLES),
            min_slot_serial=max(engine.lanes, ACCUMULATE_CYCLES, FETCH_CYCLES),
            rewind=JUMP_CYCLES - 1,
            load=JUMP_CYCLES + descriptor_words(engine),
            prepare=1 + max(engine.lane_bits + 1, FETCH_CYCLES),
            drain=latency + engine.lanes // engine.requantizers,
            drain_serial=latency + engine.lanes,
        )
