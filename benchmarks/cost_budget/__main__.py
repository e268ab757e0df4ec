"""Run with ``python -m benchmarks.cost_budget``."""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.compiler.device_engine import engine_for
from sqhw.cost_models.device import find_device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_options import layer_table
from sqhw.cost_models.layer_shape import layer_shapes
from sqhw.cost_models.layer_weights import has_stream, masked_weights, random_weights
from sqhw.cost_models.network_options import network_table, nonzero_grid
from sqhw.cost_models.rom import rom_cost
from sqhw.cost_models.technology import load_technology
from sqhw.frontends.zoo.catalogue import float_network
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized_file import load_network

DEVICE = "XCZU7EV"
NETWORKS = ("lenet5-caffe", "resnet20", "mobilenetv2", "vgg16")
TRAINED = Path(__file__).parents[1] / "engine" / "resnet8.safetensors"


HEAD = """# The budget table

Output of `.venv/bin/python -m benchmarks.cost_budget`; processor time of one core.

"""


def main() -> None:
    """Print the tables, and write them with a seal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_budget", description=__doc__)
    parser.add_argument("--counts", type=int, default=64, help="numbers of non-zeros of a layer")
    parser.add_argument("--network", type=Path, default=TRAINED, help="a quantized network")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/cost_budget"), help="for RESULTS.md"
    )
    arguments = parser.parse_args()
    make_folder(arguments.out)
    parts = [sentence(measured_on("numpy")), _time(arguments.counts), _compare(arguments.network)]
    report = HEAD + "\n".join(parts)
    write_sealed_text(arguments.out / "RESULTS.md", report)
    print(report)


def _time(counts: int) -> str:
    """Time the whole table, built from nothing, and once more with the entries at hand.

    It is processor time, which the other work of a busy machine does not lengthen.
    """
    device, rows = find_device(DEVICE), []
    for name in NETWORKS:
        network = with_input_stage(float_network(name))
        engine = engine_for(device, network)
        grid = {layer.name: nonzero_grid(layer.weight.size, counts) for layer in network.convs}
        depths = {"weights": 1 << 18, "params": 1 << 14, "codebook": 1 << 12}
        prices = EnergyPrices(load_technology(), engine, depths)
        seconds = []
        for _ in range(2):
            start = time.process_time()
            table = network_table(network, engine, device, prices, grid)
            seconds.append(time.process_time() - start)
        options = sum(len(layer) for layer in table.layers)
        layers = sum(len(layer) > 1 for layer in table.layers)
        rows.append([name, f"{layers}", f"{options:,}", *(f"{s:.2f} s" for s in seconds)])
    title = f"Table of all options: {counts} numbers of non-zeros, 1 to 8 bits, every format\n\n"
    return title + markdown(["network", "layers", "options", "first", "again"], rows)


def _compare(path: Path) -> str:
    """Compare expectations over random places with the counts of a trained network's places."""
    network = load_network(path)
    engine = network.facts.engine
    depths = {name: depth for name, depth, _ in rom_cost(network, engine).memories}
    prices = EnergyPrices(load_technology(), engine, depths)
    rows, sums = [], np.zeros((2, 2))
    for shape, layer in zip(layer_shapes(network, engine), network.layers, strict=True):
        if not has_stream(shape):
            continue
        mask = layer.weight != 0
        count = np.array([np.count_nonzero(mask)])
        known = layer_table(shape, engine, prices, masked_weights(mask[None]))
        model = layer_table(shape, engine, prices, random_weights(layer, count))
        at = np.flatnonzero(
            known.stored.has_format(layer.stream)
            & (known.stored.code_bits == layer.stream.code_bits)
        )
        if not at.size:
            continue
        pair = np.array([(t.weight_words[at[0]], t.cycles[at[0]]) for t in (model, known)])
        sums += pair
        rows.append(_row(shape.name, f"{count[0] / mask.size:.0%}", str(layer.stream), pair))
    rows.append(_row("all", "", "", sums))
    title = f"Expected (weights at random places) and exact, {path.name}\n\n"
    head = ["layer", "density", "format", "words expected", "exact", "", "cycles expected", "exact"]
    return title + markdown([*head, ""], rows)


def _row(name: str, density: str, form: str, pair: np.ndarray) -> list[str]:
    cells = [name, density, form]
    for expected, exact in pair.T:
        cells += [f"{expected:,.0f}", f"{exact:,.0f}", f"{100 * (expected / exact - 1):+.1f} %"]
    return cells


if __name__ == "__main__":
    main()
