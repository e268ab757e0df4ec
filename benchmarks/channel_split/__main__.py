"""Latency of one image on cores that divide the output channels, and on one wide core.

``python -m benchmarks.channel_split`` prints the table of decision 67. Nothing is built or
simulated: the cycles of a split are a model of what no RTL does, made in favour of the split.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import typer

from benchmarks.origin import measured_on, sentence
from sqhw.cost_models.schedule import (
    has_table,
    layer_work,
    least_slot,
    overhead_cycles,
    schedule,
    tile_cycles,
)
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.network.graph import Graph
from sqhw.network.quantized_file import load_network
from sqhw.network.stored import StoredConv
from sqhw.planner.placement import Tiling, place

BENCHMARKS = Path(__file__).parents[1]
#: Networks by their names in the table.
NETWORKS = {
    "ResNet-8": BENCHMARKS / "engine/resnet8.safetensors",
    "ResNet-20": BENCHMARKS / "compression/results/resnet20/hardware-rom191000.safetensors",
    "LeNet-5": BENCHMARKS / "compression/results/lenet5/hardware-rom19700.safetensors",
}
#: Cores and lanes of each, and requantizers of each core.
CLUSTERS = ((2, 16), (4, 16), (2, 32), (4, 32), (2, 64))
REQUANTIZERS = 4
#: Requantizers of the wide core, of which the fastest number counts.
WIDE_REQUANTIZERS = (4, 8, 16)
#: Depth of a bank that holds the maps of all networks.
BANK_DEPTH = 8192


@dataclass(frozen=True)
class Split:
    """Cycles of one image on cores that divide the output channels.

    Parameters
    ----------
    banks : int
        The bytes of other cores are written with all that the banks can take, `lanes` a cycle,
        while the core computes.
    path : int
        They take the write path of today's core: as many a cycle as it has requantizers, or one.
    """

    banks: int
    path: int


def engine_of(base: EngineConfig, lanes: int, requantizers: int) -> EngineConfig:
    """Return an engine of other lanes for the same streams."""
    return replace(
        base, lanes=lanes, requantizers=requantizers, bank_depth=BANK_DEPTH, max_batch=1,
        lut_lanes=0, cores=1,
    )  # fmt: skip


def split_cycles(network: Graph[StoredConv], engine: EngineConfig, cores: int) -> Split:
    """Return the cycles of one image on several cores.

    In each layer a core computes its channels for all tiles; all cores wait for the last one. A
    core has the map of all channels in its banks, so each byte is written in every core.

    Parameters
    ----------
    network : Graph of StoredConv
    engine : EngineConfig
        One core.
    cores : int, 1 or more
        With one, both are the cycles of `sqhw.cost_models.schedule.schedule`.
    """
    timing = Timing.of(engine)
    banks = path = 1
    for index, tiling in enumerate(place(network, engine, 1)):
        table = has_table(tiling.layer)
        overhead = overhead_cycles(timing, tiling.serial, index == 0, table)
        run = tiling.tiles * _busiest(tiling, timing, cores)
        written = int(np.prod(tiling.target.shape)) if cores > 1 else 0
        rate = 1 if tiling.serial else engine.requantizers
        banks += overhead + max(run, -(-written // engine.lanes))
        path += overhead + max(run, -(-written // rate))
    return Split(banks, path)


def _busiest(tiling: Tiling[StoredConv], timing: Timing, cores: int) -> int:
    """Return the cycles of a tile on the core with the most work.

    The longest channel left goes to the core that has the least, which keeps the busiest core
    within a third of the best division. Each core takes its channels in their order.
    """
    counts, _ = layer_work(tiling)
    slots = np.maximum(counts, least_slot(timing, tiling.serial))
    dealt: list[list[int]] = [[] for _ in range(cores)]
    loads = [0] * cores
    for channel in np.argsort(-slots, kind="stable"):
        least = loads.index(min(loads))
        dealt[least].append(int(channel))
        loads[least] += int(slots[channel])
    return max(
        int(tile_cycles(counts[sorted(channels)], timing, tiling.serial))
        for channels in dealt
        if channels
    )


def table() -> str:
    """Return the table as Markdown."""
    head = (
        "network", "cores x lanes", "one such core", "split, all banks at once",
        "split, write path of a core", "one core of all lanes", "gain",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, path in NETWORKS.items():
        network = load_network(path)
        base = network.facts.engine
        for cores, lanes in CLUSTERS:
            engine = engine_of(base, lanes, REQUANTIZERS)
            split = split_cycles(network, engine, cores)
            wide = min(
                schedule(network, engine_of(base, cores * lanes, requantizers)).cycles
                for requantizers in WIDE_REQUANTIZERS
            )
            lines.append(
                f"| {name} | {cores} x {lanes} | {schedule(network, engine).cycles:,} | "
                f"{split.banks:,} | {split.path:,} | {wide:,} | "
                f"{wide / split.path:.2f} to {wide / split.banks:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.echo(f"{sentence(measured_on())}\n\n{table()}")
