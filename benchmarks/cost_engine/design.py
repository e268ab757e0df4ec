"""Which engines are synthesized: drawn by seed, split by seed before anything is fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sqhw.machine.config import EngineConfig

SEED = 4
#: Smallest number of an engine that is held out. These have a seed of their own.
HELD_OUT = 100

#: Values of each parameter of the Latin hypercube, each as often as it is listed.
LEVELS: Mapping[str, Sequence[Any]] = {
    "bank_depth": (256, 512, 512, 1024, 1024, 2048, 2048, 4096),
    "acc_bits": tuple(range(18, 33)),
    "mult_bits": tuple(range(4, 17)),
    "dim_bits": (5, 6, 6, 7, 8),
    "word_bits": (16, 16, 18, 18, 20, 24, 32),
    "weight_addr_bits": tuple(range(11, 19)),
    "param_addr_bits": tuple(range(9, 14)),
    "codebook_addr_bits": tuple(range(7, 12)),
    "max_gap_bits": (0, 4, 5, 6, 7, 8),
    "taps_per_entry": (1, 2),
    "requantizers": (1, 1, 2, 4, 8),
    "max_batch": (1, 1, 1, 2, 4, 8),
    "lut_share": (0, 0, 0, 0, 0.25, 0.5, 1),
    "writable": (False, False, False, True),
    "groups": (False, True),
    "residuals": (False, True),
    "maxpool": (False, True, True),
    "fill": (0.2, 0.4, 0.6, 0.8, 1.0),
}
#: Largest depths of the ROMs (unit: word). Deeper ones take long to read and change nothing but
#: their multiplexer.
MOST_WORDS = {"weights": 24_000, "params": 4_000, "codebook": 2_048}


@dataclass(frozen=True)
class Point:
    """An engine to be synthesized.

    Parameters
    ----------
    number : int
        Its place in the design.
    engine : EngineConfig
    depths : dict of str to int
        Words of its ROMs.
    held_out : bool
        Whether the fit never sees it.
    """

    number: int
    engine: EngineConfig
    depths: dict[str, int]
    held_out: bool

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "Point":
        """Return the point that `dataclasses.asdict` made this of."""
        return cls(**entry | {"engine": EngineConfig.from_dict(entry["engine"])})


def draw_points(
    family: str, count: int, levels: Mapping[str, Sequence[Any]], *, held_out: bool
) -> tuple[Point, ...]:
    """Return engines for a family, always the same ones.

    Parameters
    ----------
    family : str
        Seeds the draw too: the families do not share engines.
    count : int
        Engines.
    levels : mapping of str to sequence
        What a parameter takes, where that differs from `LEVELS`; ``lanes`` must be there.
    held_out : bool
        Whether the fit never sees them.
    """
    random = Random(f"{SEED} {family} {count}" + (" held out" if held_out else ""))
    columns = {
        name: _stratified(values, count, random) for name, values in {**LEVELS, **levels}.items()
    }
    return tuple(
        _point(
            number + HELD_OUT * held_out,
            {name: column[number] for name, column in columns.items()},
            held_out,
        )
        for number in range(count)
    )


def _stratified(levels: Sequence[Any], count: int, random: Random) -> list[Any]:
    """Return as many values, each level as often as its share, in random order."""
    values = [
        levels[int((index + random.random()) / count * len(levels))] for index in range(count)
    ]
    random.shuffle(values)
    return values


def _point(number: int, values: dict[str, Any], held_out: bool) -> Point:
    lanes, fill = values["lanes"], values.pop("fill")
    values["lut_lanes"] = round(values.pop("lut_share") * lanes)
    for name in ("requantizers", "max_batch"):
        values[name] = min(values[name], lanes)
    least_word = max(values["mult_bits"], (values["acc_bits"] + 1) // 2, values["max_gap_bits"] + 1)
    values["word_bits"] = max(values["word_bits"], least_word)
    engine = EngineConfig(**values)
    bits = {
        "weights": engine.weight_addr_bits,
        "params": engine.param_addr_bits,
        "codebook": engine.codebook_addr_bits,
    }
    depths = {
        name: min(MOST_WORDS[name], max(16, int(fill * (1 << width))))
        for name, width in bits.items()
    }
    return Point(number, engine, depths, held_out)
