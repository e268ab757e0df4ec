"""Features of the engine's logic: estimates of its parts, from the structure of the RTL.

Each feature is the logic of one part of the engine, counted by hand in 4-input LUTs (an adder or
comparator takes one a bit) or in flip-flops. `sqhw.cost_models.engine_cost` weighs them with
factors that are fitted to synthesis runs, family by family; near 1 where the count is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqhw.cost_models.banks import bank_mapping, table_mapping
from sqhw.cost_models.device import Device
from sqhw.cost_models.mapping import Mapping as MemoryMapping
from sqhw.cost_models.memory import map_ram
from sqhw.cost_models.multiplier import map_multiplier
from sqhw.cost_models.rom import rom_plans
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import (
    ROMS,
    SHIFT_BITS,
    TABLE_ENTRIES,
    TABLE_WIDTH,
    descriptor_words,
    rom_widths,
)
from sqhw.machine.rom_pieces import Piece
from sqhw.machine.stream import MAX_CODE_BITS
from sqhw.machine.timing import (
    Timing,
    is_deep,
    requantize_cycles,
    requantize_digits,
    rom_cycles,
    table_cycles,
    transpose_cycles,
)

#: Widths of a lane's operands: an activation with its sign, and a weight.
LANE_PRODUCT = (9, 8)
PRODUCT_BITS = sum(LANE_PRODUCT)
#: Memories that are no ROMs.
RAMS = ("banks", "tables")


@dataclass(frozen=True)
class EngineMemory:
    """A memory of the engine: a bank, or a piece of a ROM.

    Parameters
    ----------
    name : str
        ``banks``, ``tables`` or the name of the ROM.
    count : int
        Number of equal memories.
    piece : Piece
        Its words and bits.
    mapping : Mapping
        Mapping of it by synthesis.
    """

    name: str
    count: int
    piece: Piece
    mapping: MemoryMapping

    @property
    def blocks(self) -> int:
        """Memory blocks of all equal memories."""
        return self.count * self.mapping.blocks


def engine_memories(
    engine: EngineConfig, device: Device, depths: Mapping[str, int]
) -> list[EngineMemory]:
    """Return the engine's memories with their mapping by synthesis.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.
    """
    bank = Piece(0, engine.bank_depth, 0, 8)
    memories = [EngineMemory("banks", engine.lanes, bank, bank_mapping(engine, device))]
    if engine.tables:
        mapping, piece = table_mapping(engine, device), Piece(0, TABLE_ENTRIES, 0, TABLE_WIDTH)
        memories.append(EngineMemory("tables", engine.requantizers, piece, mapping))
    if engine.writable:
        for name, width in rom_widths(engine).items():
            mapping = map_ram(depths[name], width, device)
            memories.append(EngineMemory(name, 1, Piece(0, depths[name], 0, width), mapping))
        return memories
    plans = rom_plans(engine, {name: depths[name] for name in ROMS}, device)
    return memories + [
        EngineMemory(name, 1, part.piece, part.mapping)
        for name, plan in plans.items()
        for part in plan.pieces
    ]


def weight_rows(memories: Sequence[EngineMemory]) -> int:
    """Return the number of memory blocks, one above the other, out of which one gives a weight."""
    return sum(
        memory.mapping.segments
        for memory in memories
        if memory.name == "weights" and memory.piece.first_bit == 0
    )


def dsp_lanes(engine: EngineConfig, device: Device) -> int:
    """Return the lanes that multiply in a DSP cell."""
    if map_multiplier(*LANE_PRODUCT, device) is None:
        return 0
    return engine.lanes - engine.lut_lanes


def ff_features(
    engine: EngineConfig, device: Device, memories: Sequence[EngineMemory]
) -> dict[str, float]:
    """Return the flip-flops of each part of the engine, by hand.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    memories : sequence of EngineMemory
        Memories from `engine_memories`.
    """
    lanes, acc, row, word = engine.lanes, engine.acc_bits, engine.row_bits, engine.word_bits
    dim, deep, many = engine.dim_bits, is_deep(engine), engine.requantizers > 1
    two = engine.taps_per_entry - 1
    in_dsp = dsp_lanes(engine, device)
    addresses = engine.weight_addr_bits + 2 * engine.param_addr_bits
    constants = acc + engine.mult_bits + SHIFT_BITS
    return {
        "accumulators": 2 * lanes * acc,
        "operands": (PRODUCT_BITS + LANE_PRODUCT[0]) * (lanes - in_dsp),
        "operands of DSP": (PRODUCT_BITS + LANE_PRODUCT[0]) * in_dsp,
        "masks": lanes * (2 * dim + engine.batch_bits + 1),
        "deep lanes": deep * lanes * 18,
        "requantizers": engine.requantizers
        * (
            _sums(engine)[1]
            + 57
            + 8 * transpose_cycles(engine)
            + TABLE_WIDTH * table_cycles(engine)
        ),
        "descriptor": descriptor_words(engine) * word,
        "words": 4 * word + deep * 6 * word,
        "constants": 4 * constants + requantize_cycles(engine) * SHIFT_BITS,
        "rows": row
        * (29 + 4 * engine.groups + 3 * engine.residuals + many + 6 * deep + (3 + deep) * two),
        "coordinates": 12 * dim + 6 * engine.lane_bits + 8 * engine.batch_bits + 2 * two * dim,
        "addresses": addresses * (1 + deep) + deep * engine.codebook_addr_bits,
        "segments": _selects(engine, memories),
        "control": 150.0 + _turn(engine)[1],
    }


def lut_features(
    engine: EngineConfig, device: Device, memories: Sequence[EngineMemory]
) -> dict[str, float]:
    """Return the LUTs of each part of the engine, by hand.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    memories : sequence of EngineMemory
        Memories from `engine_memories`.
    """
    lanes, acc, row, word = engine.lanes, engine.acc_bits, engine.row_bits, engine.word_bits
    dim, many, two = engine.dim_bits, engine.requantizers > 1, engine.taps_per_entry - 1
    wide = dim + engine.batch_bits
    soft = lanes - engine.lut_lanes - dsp_lanes(engine, device)
    return {
        "accumulators": 3.0 * lanes * acc,
        "queue": float(many * lanes * acc),
        "pooling": 24.0 * lanes * engine.maxpool,
        "masks": lanes * (5.5 * wide + 4.5 * dim + 24),
        "rotation": 8.0 * lanes * engine.lane_bits,
        "banks": float(lanes * (row + 4 + 8 * many) + _turn(engine)[0]),
        "digits": 130.0 * engine.lut_lanes,
        "products": 110.0 * soft,
        "requantizers": engine.requantizers
        * (_sums(engine)[0] + acc + 200.0 + 16 * transpose_cycles(engine) + 8 * engine.tables),
        "words": 14.0 * word + 6.0 * acc + 2.0 * engine.mult_bits,
        "entries": 8.0 * _entry_bits(engine) + bool(engine.max_gap_bits) * (4.0 * row + 60),
        "rows": row * (50.0 + 8 * engine.groups + 12 * engine.residuals + 4 * many + 14 * two),
        "coordinates": 40.0 * dim + 20.0 * engine.batch_bits + 10.0 * engine.lane_bits,
        "addresses": 3.0
        * (engine.weight_addr_bits + engine.param_addr_bits + engine.codebook_addr_bits),
        "segments": _multiplexers(memories),
        "ROMs in LUTs": _lut_bits(memories) / 16,
        "control": 500.0,
    }


def period_features(
    engine: EngineConfig, memories: Sequence[EngineMemory], luts: float
) -> dict[str, float]:
    """Return the features of the clock period; no single path is the longest in all engines.

    Parameters
    ----------
    engine : EngineConfig
    memories : sequence of EngineMemory
        Memories from `engine_memories`.
    luts : float
        LUTs of the engine.
    """
    short = not is_deep(engine)
    rows = (weight_rows(memories) - 1).bit_length()
    return {
        "least": 1.0,
        # A short pipeline has no register between a block RAM, its multiplexer and the shifter.
        "short pipeline": float(short),
        "rows of the weight ROM": float(short * rows),
        "lanes": float(engine.lane_bits),
        "size": luts / 10_000,
    }


def _sums(engine: EngineConfig) -> tuple[int, int]:
    """Return LUTs and flip-flops of a requantizer's multiples and sums, as `sqhw.rtl` has them."""
    acc, mult = engine.acc_bits, engine.mult_bits
    terms = [1] * requantize_digits(engine)
    luts = ffs = len(terms) * (acc + 1)
    ffs += acc + 2 * len(terms)
    while len(terms) > 1:
        pairs = [terms[at : at + 2] for at in range(0, len(terms), 2)]
        for pair in pairs:
            bits = min(acc + 2 * sum(pair), acc + mult)
            ffs += bits
            luts += bits if len(pair) > 1 else 0  # one alone only waits for the others
        terms = [sum(pair) for pair in pairs]
    return luts, ffs


def _turn(engine: EngineConfig) -> tuple[int, int]:
    """Return LUTs and flip-flops that make reads and writes take turns at a single port."""
    timing, row = Timing.of(engine), engine.row_bits
    if not engine.single_port:
        return 0, 0
    left = (timing.turn_serial - 1).bit_length()
    return 2 * row + 2 * left + 4, timing.before_turn + left


def _entry_bits(engine: EngineConfig) -> int:
    """Return the bits of two words from which an entry is shifted out that anything reads."""
    widest_gap = 15 if engine.max_gap_bits else 0
    return min(engine.word_bits, widest_gap + MAX_CODE_BITS)


def _multiplexers(memories: Sequence[EngineMemory]) -> float:
    """Return the LUTs of the multiplexers of memories cut in depth: about one a bit and row."""
    outputs = sum(memory.count * memory.piece.bits * memory.mapping.segments for memory in memories)
    words = sum(
        memory.count * memory.piece.bits for memory in memories if memory.piece.first_word == 0
    )
    return float(outputs - words)


def _selects(engine: EngineConfig, memories: Sequence[EngineMemory]) -> float:
    """Return the output registers of pieces, and those that hold which row was read."""
    outputs = sum(
        memory.piece.bits
        for memory in memories
        if memory.name not in RAMS and not engine.writable and rom_cycles(engine, memory.name) > 1
    )
    return outputs + sum(
        memory.count * (memory.mapping.segments - 1).bit_length() for memory in memories
    )


def _lut_bits(memories: Sequence[EngineMemory]) -> int:
    return sum(
        memory.piece.words * memory.piece.bits
        for memory in memories
        if memory.name not in RAMS and memory.mapping.primitive is None
    )
