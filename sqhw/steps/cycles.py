"""The predicted cycles of a network, for the table of the demo."""

from pathlib import Path

from sqhw.cost_models.schedule import schedule
from sqhw.network.quantized_file import load_network
from sqhw.report.results import CyclesResult


def cycles(source: Path, batch: int = 1) -> CyclesResult:
    """Return the predicted cycles of a run of `batch` images, layer by layer."""
    network = load_network(source)
    plan = schedule(network, network.facts.engine, batch)
    return {
        "cycles": plan.cycles,
        "batch": batch,
        "layers": [
            {
                "name": layer.name,
                "tiles": layer.tiles,
                "entries": layer.entries,
                "run": layer.run,
                "overhead": layer.overhead,
                "bound": layer.bound,
                "cycles": layer.cycles,
            }
            for layer in plan.layers
        ],
    }
