"""What the engine's logic grows with: estimates of its parts, from the structure of the RTL.

Each feature is the logic of one part of the engine, counted by hand in 4-input LUTs (an adder or
comparator takes one a bit) or in flip-flops. `sqhw.cost_models.engine_cost` weighs them with
factors that are fitted to synthesis runs, family by family; near 1 where the count is right.
"""

from collections.abc import Mapping

from sqhw.cost_models.device import Device
from sqhw.cost_models.memory import Mapping as MemoryMapping
from sqhw.cost_models.memory import map_ram, map_rom
from sqhw.cost_models.multiplier import map_multiplier
from sqhw.engine import EngineConfig
from sqhw.layout import CODEBOOK_WIDTH, ROMS, SHIFT_BITS, descriptor_words
from sqhw.timing import is_deep, requantize_cycles, requantize_digits

#: Widths of a lane's operands: an activation with its sign, and a weight.
LANE_PRODUCT = (9, 8)
PRODUCT_BITS = sum(LANE_PRODUCT)


def engine_memories(
    engine: EngineConfig, device: Device, depths: Mapping[str, int]
) -> dict[str, tuple[int, int, MemoryMapping]]:
    """Return how synthesis builds the engine's memories.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.

    Returns
    -------
    dict of str to (int, int, Mapping)
        Of the ROMs and of ``banks``: how many there are, bits per word, and how one is built.
    """
    mapped = map_ram if engine.writable else map_rom
    widths = {"codebook": CODEBOOK_WIDTH}
    found = {}
    for name in ROMS:
        width = widths.get(name, engine.word_bits)
        found[name] = (1, width, mapped(depths[name], width, device))
    found["banks"] = (engine.lanes, 8, map_ram(engine.bank_depth, 8, device))
    return found


def dsp_lanes(engine: EngineConfig, device: Device) -> int:
    """Return the lanes that multiply in a DSP cell."""
    if map_multiplier(*LANE_PRODUCT, device) is None:
        return 0
    return engine.lanes - engine.lut_lanes


def ff_features(
    engine: EngineConfig, device: Device, depths: Mapping[str, int]
) -> dict[str, float]:
    """Return the flip-flops of each part of the engine, by hand.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.
    """
    lanes, acc, row, word = engine.lanes, engine.acc_bits, engine.row_bits, engine.word_bits
    dim, deep, many = engine.dim_bits, is_deep(engine), engine.requantizers > 1
    in_dsp = dsp_lanes(engine, device)
    addresses = engine.weight_addr_bits + 2 * engine.param_addr_bits
    constants = acc + engine.mult_bits + SHIFT_BITS
    return {
        "accumulators": 2 * lanes * acc,
        "operands": (PRODUCT_BITS + LANE_PRODUCT[0]) * (lanes - in_dsp),
        "operands of DSP": (PRODUCT_BITS + LANE_PRODUCT[0]) * in_dsp,
        "masks": lanes * (2 * dim + engine.batch_bits + 1),
        "deep lanes": deep * lanes * 18,
        "requantizers": engine.requantizers * (_sums(engine)[1] + 57),
        "descriptor": descriptor_words(engine) * word,
        "words": 4 * word + deep * 6 * word,
        "constants": 4 * constants + requantize_cycles(engine) * SHIFT_BITS,
        "rows": row * (29 + 4 * engine.groups + 3 * engine.residuals + many + 6 * deep),
        "coordinates": 12 * dim + 6 * engine.lane_bits + 8 * engine.batch_bits,
        "addresses": addresses * (1 + deep) + deep * engine.codebook_addr_bits,
        "segments": _selects(engine, device, depths),
        "control": 150.0,
    }


def lut_features(
    engine: EngineConfig, device: Device, depths: Mapping[str, int]
) -> dict[str, float]:
    """Return the LUTs of each part of the engine, by hand.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.
    """
    lanes, acc, row, word = engine.lanes, engine.acc_bits, engine.row_bits, engine.word_bits
    dim, many = engine.dim_bits, engine.requantizers > 1
    wide = dim + engine.batch_bits
    soft = lanes - engine.lut_lanes - dsp_lanes(engine, device)
    return {
        "accumulators": 3.0 * lanes * acc,
        "queue": float(many * lanes * acc),
        "pooling": 12.0 * lanes * engine.maxpool,
        "masks": lanes * (5.5 * wide + 4.5 * dim + 24),
        "rotation": 8.0 * lanes * engine.lane_bits,
        "banks": float(lanes * (row + 4 + 8 * many)),
        "digits": 95.0 * engine.lut_lanes,
        "products": 110.0 * soft,
        "requantizers": engine.requantizers * (_sums(engine)[0] + acc + 200.0),
        "words": 10.0 * word + 5.0 * (8 + engine.max_gap_bits) + 6.0 * acc + 2.0 * engine.mult_bits,
        "rows": row * (50.0 + 8 * engine.groups + 8 * engine.residuals + 2 * many),
        "coordinates": 40.0 * dim + 20.0 * engine.batch_bits + 10.0 * engine.lane_bits,
        "addresses": 3.0
        * (engine.weight_addr_bits + engine.param_addr_bits + engine.codebook_addr_bits),
        "segments": _multiplexers(engine, device, depths),
        "ROMs in LUTs": _lut_bits(engine, device, depths) / 16,
        "control": 300.0,
    }


def period_features(
    engine: EngineConfig, device: Device, depths: Mapping[str, int], luts: float
) -> dict[str, float]:
    """Return what the clock period grows with; no single path is the longest in all engines.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.
    luts : float
        LUTs of the engine.
    """
    memories = engine_memories(engine, device, depths)
    weights, banks = memories["weights"][2], memories["banks"][2]
    return {
        "least": 1.0,
        "short pipeline": float(not is_deep(engine)),
        "lanes": float(engine.lane_bits),
        "segments": float((weights.segments - 1).bit_length()),
        "bank segments": float((banks.segments - 1).bit_length()),
        "accumulator": engine.acc_bits / 16,
        "rows": engine.row_bits / 8,
        "words": engine.word_bits / 16,
        "utilisation": luts / device.luts,
    }


def _sums(engine: EngineConfig) -> tuple[int, int]:
    """Return LUTs and flip-flops of a requantizer's multiples and sums, as `sqhw.rtl` has them."""
    acc, mult = engine.acc_bits, engine.mult_bits
    terms = [1] * requantize_digits(engine)
    luts = ffs = len(terms) * (acc + 1)
    ffs += acc + 2 * len(terms)
    while len(terms) > 1:
        terms = [sum(terms[at : at + 2]) for at in range(0, len(terms), 2)]
        bits = sum(min(acc + 2 * digits, acc + mult) for digits in terms)
        luts, ffs = luts + bits, ffs + bits
    return luts, ffs


def _multiplexers(engine: EngineConfig, device: Device, depths: Mapping[str, int]) -> float:
    """Return the LUTs behind memories that are cut in depth: about one a bit and segment."""
    return float(
        sum(
            count * width * (mapping.segments - 1)
            for count, width, mapping in engine_memories(engine, device, depths).values()
        )
    )


def _selects(engine: EngineConfig, device: Device, depths: Mapping[str, int]) -> float:
    """Return the registers that hold which segment was read."""
    return float(
        sum(
            count * (mapping.segments - 1).bit_length()
            for count, _, mapping in engine_memories(engine, device, depths).values()
        )
    )


def _lut_bits(engine: EngineConfig, device: Device, depths: Mapping[str, int]) -> int:
    memories = engine_memories(engine, device, depths)
    return sum(
        depths[name] * memories[name][1] for name in ROMS if memories[name][2].primitive is None
    )
