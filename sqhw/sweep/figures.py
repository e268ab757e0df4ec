"""The figures of a point, by which points are compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqhw.network.quantized_file import load_network
from sqhw.steps.options import SizeOptions
from sqhw.steps.size import size_network

#: Figures of a device that are taken over under the same name.
OF_DEVICE = (
    "fits", "blocks", "dsps", "luts", "ffs", "fmax_mhz", "image_cycles", "images_per_second",
    "energy_uj",
)  # fmt: skip
#: Memories whose bits make up the basis rom.
ROMS = ("weights", "constants", "codebooks")


def size_figures(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a result of `sqhw size` for one device."""
    (device,) = result["devices"]
    bits = sum(device["memory"][use]["bits"] for use in ROMS)
    return {"network": result["network"], "device": device["device"], "rom": bits} | {
        name: device[name] for name in OF_DEVICE
    }


def network_figures(result: Mapping[str, Any], file: Path, options: Any) -> dict[str, Any]:
    """Return the figures of a quantized network: accuracy, sizes, and what `sqhw size` says.

    Parameters
    ----------
    result : mapping
        Result of `sqhw compress` or `sqhw quantize`.
    file : path
        The network.
    options : CompressOptions or QuantizeOptions
    """
    engine = load_network(file).facts.engine
    sizing = SizeOptions(network=str(file), device=options.device, batch=engine.max_batch)
    after = result["after"]
    sizes = {basis: after[basis] for basis in ("payload", "stream", "rom")}
    return {
        **size_figures(size_network(sizing)),
        "accuracy": result["validation_accuracy"],
        "float_accuracy": result["float_validation_accuracy"],
        **sizes,
        "weight_blocks": after["blocks"],
    }
