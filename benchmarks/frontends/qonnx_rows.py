"""Rows of QONNX files of others beside the executor of QONNX."""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.frontends.programs import differing, in_qonnx, quantized_names
from benchmarks.frontends.row import Case, Row, Sources, right
from sqhw.frontends.folding.float_walk import normalised
from sqhw.frontends.onnx_file.convert import read_onnx
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.kernels import RealKernels
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.sim.simulator import Simulator

#: Random inputs of the jet-tagging network, and the real numbers that they stand for: -4 to 4.
RANDOM_INPUTS = 1000
PIXELS = Pixels(255, (128 / 255,), (0.125,))
SEED = 7
#: Images at a time.
BATCH = 50


def tfc(name: str, sources: Sources) -> Row:
    """Return the row of a perceptron on MNIST."""
    test = sources.data("mnist").test
    images, labels = test.images[: sources.images], test.labels[: sources.images]
    return _row(name, "ONNX, QONNX of Brevitas", Pixels(), images, labels, sources)


def jet_tagging(sources: Sources) -> Row:
    """Return the row of the jet-tagging network, whose input is 16 real numbers."""
    images = np.random.default_rng(SEED).integers(0, 256, (RANDOM_INPUTS, 16, 1, 1), np.uint8)
    images = images[: sources.images]
    return _row("qkeras_jettagging", "ONNX, QONNX of FINN", PIXELS, images, None, sources)


def _row(
    name: str,
    spelling: str,
    pixels: Pixels,
    images: np.ndarray,
    labels: np.ndarray | None,
    sources: Sources,
) -> Row:
    path = sources.models / f"{name}.onnx"
    start = time.process_time()
    graph = read_onnx(path)
    lowered = lower(graph, RealKernels(), pixels)
    seconds = time.process_time() - start
    names = quantized_names(lowered)
    x = normalised(images, pixels.input_max, pixels.mean, pixels.std)
    x = x.reshape(len(images), *((-1,) if labels is None else graph.tensors[graph.input].shape))
    with tempfile.TemporaryDirectory() as folder:
        wanted = list(dict.fromkeys([*names, graph.output]))
        python, made_in = sources.pythons.get("qonnx"), Path(folder)
        tensors, program = in_qonnx(python, path, x, wanted, folder=made_in, batch=BATCH)
    scores = tensors[graph.output].reshape(len(images), -1)
    tensors = {name: tensors[name] for name in names}
    made = Simulator(lowered.network).logits(images).reshape(len(images), -1)
    answers = int((made.argmax(1) == scores.argmax(1)).sum())
    return Row(
        model=f"{name}.onnx",
        spelling=spelling,
        against=program,
        images=len(images),
        accuracy=None if labels is None else right(scores, labels),
        imported=None if labels is None else right(made, labels),
        simulated=None if labels is None else right(made, labels),
        difference=f"{differing(lowered, images, tensors)}; the same answer on {answers:,}",
        seconds=seconds,
    )


CASES: dict[str, Case] = {
    "tfc-1w1a": partial(tfc, "TFC_1W1A"),
    "tfc-2w2a": partial(tfc, "TFC_2W2A"),
    "jet-tagging": jet_tagging,
}
