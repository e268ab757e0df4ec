"""Rows of TensorFlow Lite files: MLPerf Tiny networks, of 8 bits and of floats."""

import time
from functools import partial

import numpy as np

from benchmarks.frontends.row import Case, Row, Sources, right
from benchmarks.frontends.rtl import rtl_cell
from sqhw.compiler.accumulator import needed_acc_bits
from sqhw.compiler.device_engine import propose_engine
from sqhw.cost_models.device import find_device
from sqhw.frontends.folding.float_walk import logits, normalised
from sqhw.frontends.folding.from_neutral import float_network
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.compare import Comparison
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.quantized.source import Source
from sqhw.frontends.tflite import read_tflite
from sqhw.machine.config import EngineConfig

#: Images at a time, of integers and of floats.
BATCH, FLOAT_BATCH = 100, 20
#: Random images of networks without data here.
RANDOM_IMAGES = 1000
SEED = 7
#: Images of float networks: the float walk takes tens of milliseconds for one.
FLOAT_IMAGES = 500
#: Device for whose engine the RTL is.
DEVICE = "LFE5U-85F"


def integers(name: str, data: str | None, sources: Sources) -> Row:
    """Return the row of an int8 file, on test images or on random ones."""
    start = time.process_time()
    graph = read_tflite(sources.models / f"{name}.tflite")
    source = Source(graph, Pixels())
    lowered = lower(graph, source.kernels)
    seconds = time.process_time() - start
    images, labels = _images(data, sources, lowered.network.input_shape, RANDOM_IMAGES)
    comparison = Comparison(lowered, source)
    parts = [comparison.run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
    own, other = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    rows = comparison.layers.values()
    wrong, total = sum(row.differing for row in rows), sum(row.activations for row in rows)
    answers = int((own.argmax(1) == other.argmax(1)).sum())
    return Row(
        model=f"{name}.tflite",
        spelling="TFLite, int8",
        against=source.kernels.name,
        images=len(images),
        accuracy=None if labels is None else right(other, labels),
        imported=None if labels is None else right(own, labels),
        simulated=None if labels is None else right(own, labels),
        difference=(
            f"{wrong:,} of {total:,} activations; scores by up to {np.abs(own - other).max()} "
            f"steps; the same answer on {answers:,}"
        ),
        seconds=seconds,
    )


def in_rtl(name: str, data: str | None, count: int, sources: Sources) -> Row:
    """Return the row of an int8 file whose first images run through the RTL of its engine."""
    start = time.process_time()
    graph = read_tflite(sources.models / f"{name}.tflite")
    source = Source(graph, Pixels())
    lowered = lower(graph, source.kernels)
    seconds = time.process_time() - start
    network = lowered.network
    images = _images(data, sources, network.input_shape, count)[0][:count]
    comparison = Comparison(lowered, source)
    comparison.run(images)
    rows = comparison.layers.values()
    wrong, total = sum(row.differing for row in rows), sum(row.activations for row in rows)
    acc_bits = max(EngineConfig.acc_bits, needed_acc_bits(network))
    engine = propose_engine(find_device(DEVICE), network, levels=256, acc_bits=acc_bits)
    return Row(
        model=f"{name}.tflite",
        spelling="TFLite, int8",
        against=source.kernels.name,
        images=len(images),
        difference=f"{wrong:,} of {total:,} activations",
        rtl=rtl_cell(network, engine, images),
        seconds=seconds,
    )


def floats(name: str, data: str | None, spelling: str, sources: Sources) -> Row:
    """Return the row of a file of floats, which takes raw pixels."""
    mean, std = (0.0,), (1 / 255,)
    start = time.process_time()
    graph = read_tflite(sources.models / f"{name}.tflite")
    network = float_network(graph, input_max=255, mean=mean, std=std)
    seconds = time.process_time() - start
    images, labels = _images(data, sources, network.input_shape, FLOAT_IMAGES)
    images = images[:FLOAT_IMAGES]
    parts = [images[at : at + FLOAT_BATCH] for at in range(0, len(images), FLOAT_BATCH)]
    own = np.concatenate([logits(network, part, np.float32) for part in parts])
    other = np.concatenate(
        [
            evaluate(graph, normalised(part, 255, mean, std), np.float32)[graph.output]
            for part in parts
        ]
    ).reshape(len(images), -1)
    known = labels is not None
    return Row(
        model=f"{name}.tflite",
        spelling=spelling,
        against="neutral graph, single precision",
        images=len(images),
        accuracy=right(other, labels[: len(images)]) if known else None,
        imported=right(own, labels[: len(images)]) if known else None,
        difference=f"{np.abs(own - other).max():.1e}, scores go up to {np.abs(other).max():.3g}",
        seconds=seconds,
    )


def _images(
    data: str | None, sources: Sources, shape: tuple[int, int, int], random: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return test images and their labels, or random images."""
    if data is None:
        count = min(random, sources.images)
        return np.random.default_rng(SEED).integers(0, 256, (count, *shape), np.uint8), None
    test = sources.data(data).test
    return test.images[: sources.images], test.labels[: sources.images]


CASES: dict[str, Case] = {
    "resnet8-int8-rtl": partial(in_rtl, "pretrainedResnet_quant", "cifar10", 2),
    "kws-int8-rtl": partial(in_rtl, "kws_ref_model", None, 6),
    "ad-int8-rtl": partial(in_rtl, "ad01_int8", None, 6),
    "resnet8-int8": partial(integers, "pretrainedResnet_quant", "cifar10"),
    "kws-int8": partial(integers, "kws_ref_model", None),
    "ad-int8": partial(integers, "ad01_int8", None),
    "resnet8-float": partial(floats, "pretrainedResnet_float", "cifar10", "TFLite, float32"),
    "kws-float": partial(
        floats, "kws_ref_model_float32", None, "TFLite, 8-bit weights, float activations"
    ),
}
