"""`sqhw import` of a quantized model: to a quantized network, compared activation by activation."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sqhw.atomic import make_folder
from sqhw.compiler.accumulator import needed_acc_bits
from sqhw.compiler.device_engine import propose_engine
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.report.results import ImportResult, QuantizedCheck
from sqhw.steps.options import ImportOptions
from sqhw.steps.options.defaults import FLOAT_FILE, NETWORK_FILE
from sqhw.steps.progress import Progress, silent

if TYPE_CHECKING:
    from sqhw.frontends.neutral import Graph
    from sqhw.frontends.quantized import Lowered
    from sqhw.frontends.quantized.pixels import Pixels
    from sqhw.frontends.quantized.source import Source

#: Device whose engine a network gets if none is named: one with room for the usual maps.
COMMON_DEVICE = "LFE5U-85F"
#: Random images, and most images of a data set, on which activations are compared.
RANDOM_IMAGES, MAX_IMAGES = 8, 1000
#: Images that are computed together.
AT_ONCE = 50
#: Seed of the random images.
SEED = 43
#: Distinct values of 8-bit weights.
LEVELS = 256


def import_quantized(
    graph: "Graph", options: ImportOptions, pixels: "Pixels", progress: Progress = silent
) -> ImportResult:
    """Write the quantized network of a model's graph to a file.

    Parameters
    ----------
    graph : Graph
        Graph with quantized tensors.
    options : ImportOptions
    pixels : Pixels
        Real numbers that pixels stand for, if the graph's input is real.
    progress : callable

    Raises
    ------
    SqhwError
        If an operator has no layer on the engine; the message names all of them.
    """
    from sqhw.frontends.quantized import lower
    from sqhw.frontends.quantized.source import Source

    source = Source(graph, pixels)
    lowered = lower(graph, source.kernels, pixels)
    notes = [*lowered.notes, _equality(lowered, source.kernels.name)]
    network = _with_engine(lowered.network, options.device, notes)
    network = replace(network, metadata=network.metadata | _facts(lowered, notes))
    result: ImportResult = {
        "network": network.name,
        "file": "",
        "weights": sum(_weights(lowered).values()),
        "format": graph.source,
        "operators": len(graph.operators),
        "layers": len(network.layers),
        "notes": notes,
    }
    if options.check_only:
        return result
    result["quantized"] = _compared(lowered, source, options, progress)
    out = NETWORK_FILE if options.out == FLOAT_FILE else options.out
    make_folder(out.parent)
    save_network(network, out)
    return {**result, "file": str(out)}


def _equality(lowered: "Lowered", kernels: str) -> str:
    """Return a sentence on how near the requantizations are to those of the kernels."""
    count = len(lowered.fits)
    equal = sum(not fit.differing for fit in lowered.fits)
    if equal == count:
        return f"all {count} requantizations equal {kernels} for every sum: the network is exact"
    worst = max(lowered.fits, key=lambda fit: fit.differing / fit.inputs)
    return (
        f"{equal} of {count} requantizations equal {kernels} for every sum; the others differ on "
        f"at most {worst.differing / worst.inputs:.3%} of the sums (layer {worst.layer!r})"
    )


def _with_engine(
    network: QuantizedNetwork, device_name: str | None, notes: list[str]
) -> QuantizedNetwork:
    """Return the network with its engine in the metadata, and the cheapest streams for it."""
    device = find_device(device_name or COMMON_DEVICE)
    try:
        engine = propose_engine(
            device, network, levels=LEVELS, acc_bits=max(24, needed_acc_bits(network))
        )
    except SqhwError as error:
        if device_name:
            raise
        notes.append(f"no engine is proposed: {error}")
        return network
    label = {"engine": json.dumps(engine.to_dict())}
    if device_name:
        label["device"] = device.name
    network = cheapest_streams(network, engine)
    return replace(network, metadata=network.metadata | label)


def _weights(lowered: "Lowered") -> dict[str, int]:
    """Return the number of the model's weights by layer."""
    from sqhw.frontends.neutral import Convolution, Linear

    return {
        operator.name: int(operator.weight.values.size)
        for operator in lowered.graph.operators
        if isinstance(operator, Convolution | Linear)
    }


def _facts(lowered: "Lowered", notes: list[str]) -> dict[str, str]:
    weights = _weights(lowered)
    layers = {layer.name: layer for layer in lowered.network.convs}
    biases = sum(layers[name].bias.size for name in weights if name in layers)
    return {
        "notes": "\n".join(notes),
        "float_weights": str(sum(weights.values())),
        "float_bits": str(32 * (sum(weights.values()) + biases)),
        "layer_weights": json.dumps(weights),
    }


def _compared(
    lowered: "Lowered", source: "Source", options: ImportOptions, progress: Progress
) -> QuantizedCheck:
    from sqhw.frontends.quantized.compare import Comparison
    from sqhw.steps.images import accuracy, load_data

    network = lowered.network
    comparison = Comparison(lowered, source)
    rng = np.random.default_rng(SEED)
    images = rng.integers(
        0, network.input_format.hi + 1, (RANDOM_IMAGES, *network.input_shape)
    ).astype(np.uint8)
    labels = None
    if options.data is not None:
        data = load_data(options.data, network, image_size=options.image_size, progress=progress)
        images, labels = data.test.images[:MAX_IMAGES], data.test.labels[:MAX_IMAGES]
    parts = []
    for at in range(0, len(images), AT_ONCE):
        progress("compare", at, len(images), "")
        parts.append(comparison.run(images[at : at + AT_ONCE]))
    own, right = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    check: QuantizedCheck = {
        "kernels": source.kernels.name,
        "images": len(images),
        "random": labels is None,
        "same_answer": int((own.argmax(1) == right.argmax(1)).sum()),
        "layers": [
            {
                "layer": row.layer,
                "activations": row.activations,
                "differing": row.differing,
                "largest": row.largest,
            }
            for row in comparison.layers.values()
        ],
    }
    if labels is not None:
        check["accuracy"] = accuracy(own, labels)
        check["kernels_accuracy"] = accuracy(right, labels)
    return check
