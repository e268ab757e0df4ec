"""Time of a projection: tables of all options, choices for a budget, codebooks.

``python -m benchmarks.projection --network vgg16`` prints a table. Weights are random, as they are
before training, with made-up importances of the same sum in every layer: their number counts.
"""

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from sqhw.compiler.device_engine import engine_for
from sqhw.compress import float_network
from sqhw.compress.choice.projection import Projection, Projector
from sqhw.compress.choice.target import Target
from sqhw.compress.qat.codebook import plain_codebook
from sqhw.compress.qat.integers import GAIN_BITS
from sqhw.compress.qat.network import QatNetwork
from sqhw.cost_models.budget import Budget
from sqhw.cost_models.device import find_device
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.network.input_stage import with_input_stage


def main(
    network: Annotated[str, typer.Option(help="Name of the zoo.")] = "vgg16",
    share: Annotated[float, typer.Option(help="Budget as a share of the richest option.")] = 0.03,
    device: Annotated[str, typer.Option(help="For the engine.")] = "XC7A100T",
    repeats: Annotated[int, typer.Option(help="The fastest counts.", min=1)] = 3,
    threads: Annotated[int, typer.Option(help="Cores.", min=1)] = 2,
) -> None:
    """Print seconds of wall time and of processor time of each part."""
    rng = np.random.default_rng(0)
    trained = float_network(network)
    target = find_device(device)
    engine = engine_for(target, with_input_stage(trained))
    with torch_threads(threads):
        model = QatNetwork(trained)
        for layer in model.layers():
            layer.learn_gains(GAIN_BITS)
        arrays = [layer.weight.detach().numpy() for layer in model.layers()]
        importance = [
            rng.exponential(size=tuple(layer.weight.shape)) / float(layer.weight.detach().var())
            for layer in model.layers()
        ]

        def tables(limit: int) -> Projector:
            return Projector(model, importance, Target(Budget("rom", limit), engine, target), 10)

        def codebooks(found: Projection) -> None:
            for layer, mask, levels in zip(arrays, found.masks, found.levels, strict=True):
                plain_codebook(layer[mask], levels)

        projector = tables(1 << 40)  # compiles
        limit = int(share * sum(hull[-1].bits for hull in projector.whole.hulls))
        weights = sum(layer.size for layer in arrays)
        options = sum(len(table.distortion) for table in projector.whole.tables)
        print(f"{network}: {weights:,} weights, {options:,} options, rom={limit:,}, seed 0")
        projector = tables(limit)
        aim = projector.fitting(close=0.02)
        assert aim is not None
        left = 1 - aim.costs["rom"] / limit
        print(f"  leaves {left:.1%} of the budget, {sum(aim.dropped):,} channels go")
        _row("tables of all options", lambda: tables(limit), repeats)
        choice = projector.choice(projector.whole, limit)
        _row("one choice", lambda: projector.choice(projector.whole, limit), repeats)
        _row(
            "its exact cost",
            lambda: projector.exact(choice.masks, [2] * len(choice.masks)),
            repeats,
        )
        _row("choice, 2 % of budget left", lambda: projector.fitting(close=0.02), repeats)
        _row("choice, 0.2 % left", projector.fitting, repeats)
        _row("codebooks", lambda: codebooks(aim), repeats)

        def whole() -> None:
            made = tables(limit)
            found = made.fitting(close=0.02)
            assert found is not None
            codebooks(found)

        _row("all of it, 2 % left", whole, repeats)


def _row(name: str, work: Callable[[], object], repeats: int) -> None:
    wall = processor = np.inf
    for _ in range(repeats):
        start, began = time.perf_counter(), time.process_time()
        work()
        wall = min(wall, time.perf_counter() - start)
        processor = min(processor, time.process_time() - began)
    print(f"  {name:<28}{wall:8.3f} s{processor:8.3f} s of one core")


if __name__ == "__main__":
    typer.run(main)
