"""Rows of networks in the styles of users, each from a file to the RTL."""

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.frontends import style_networks as styles
from benchmarks.frontends.row import Case, Images, Row, Sources
from benchmarks.frontends.rtl import rtl_cell
from sqhw.compress import quantize
from sqhw.errors import SqhwError
from sqhw.frontends.folding.compare import require_equal
from sqhw.frontends.folding.float_walk import logits
from sqhw.frontends.folding.from_neutral import float_network
from sqhw.frontends.formats import oracle_of, read_model
from sqhw.frontends.neutral.graph import Graph
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.compare import Comparison
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.quantized.source import Source
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim.reference import run as run_reference
from sqhw.sim.simulator import Simulator

#: Engine of all these rows.
ENGINE = EngineConfig(
    lanes=16, bank_depth=1024, acc_bits=32, mult_bits=16, word_bits=32, weight_addr_bits=12,
    param_addr_bits=12, codebook_addr_bits=12, groups=True, residuals=True,
)  # fmt: skip
SEED = 11
#: Images that are compared, and those that the RTL runs.
IMAGES, RTL_IMAGES = 16, 2
#: Images for ranges of activations.
CALIBRATION = 32
#: Largest difference of floats, relative to the largest score.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Style:
    """A network and the format of its file.

    Parameters
    ----------
    text : str
        What the table says of the network.
    make : callable
        Returns the module with random weights.
    shape : tuple of int
        Shape of an image.
    form : {"onnx", "dynamo", "pt2", "qdq", "qoperator"}
        ONNX by either exporter of PyTorch, torch.export, or ONNX of integers.
    """

    text: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3, 16, 16)
    form: str = "onnx"


STYLES = {
    "style-resnet": Style(
        "ResNet of torchvision: padded maximum, bottlenecks", styles.resnet, (3, 32, 32)
    ),
    "style-squeezenet": Style("SqueezeNet: concatenation, ceil mode", styles.squeezenet),
    "style-inception": Style(
        "Inception: four branches, oblong kernels", styles.inception, form="pt2"
    ),
    "style-densenet": Style(
        "DenseNet: batch norm first, maps read by many", styles.densenet, form="dynamo"
    ),
    "style-ecg": Style("ECG: 1-D, dilation, softmax", styles.ecg, (2, 60)),
    "style-darknet": Style("Darknet: LeakyReLU", styles.darknet, form="pt2"),
    "style-autoencoder": Style("autoencoder: BatchNorm1d", styles.autoencoder, (1, 8, 8)),
    "style-mobilenetv2": Style(
        "MobileNetV2: inverted residuals, ReLU6", styles.mobilenet, form="pt2"
    ),
    "style-hardswish": Style(
        "hard-swish (MobileNetV3)", partial(styles.activated, nn.Hardswish()), form="pt2"
    ),
    "style-silu": Style("SiLU (EfficientNet)", partial(styles.activated, nn.SiLU())),
    "style-gelu": Style("GELU (ConvNeXt)", partial(styles.activated, nn.GELU()), form="dynamo"),
    "style-tanh": Style("tanh (LeNet-5 of 1998)", partial(styles.activated, nn.Tanh()), form="qdq"),
    "style-keywords": Style("DS-CNN of keyword spotting", styles.keywords, (1, 25, 10), "qdq"),
    "style-projections": Style(
        "ResNet with 1x1 shortcuts of stride 2", styles.projections, form="qoperator"
    ),
}
SPELLINGS = {
    "onnx": "ONNX, torch.onnx.export, dynamo=False",
    "dynamo": "ONNX, torch.onnx.export, dynamo=True",
    "pt2": "torch.export.save (.pt2)",
    "qdq": "ONNX, QDQ of onnxruntime's quantize_static",
    "qoperator": "ONNX, QOperator of onnxruntime's quantize_static",
}


def _engine(network: FloatNetwork | QuantizedNetwork) -> EngineConfig:
    """Return the engine of a row, with tables where a layer has one."""
    return replace(ENGINE, tables=any(layer.has_table for layer in network.convs))


def style(name: str, sources: Sources) -> Row:
    """Return the row of a network in a style: file, import, quantization, simulator, RTL."""
    del sources  # the images are random
    given = STYLES[name]
    module, pixels = _trained(given), _pixels(given.shape, IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        path = write(given, module, Path(folder))
        start = time.process_time()
        graph = read_model(path)
        make = _taken_over if graph.quantized else _quantized
        network, against, difference, seconds = make(path, graph, module, given, pixels, start)
    images = pixels.reshape(len(pixels), *network.input_shape)
    layers = _equal_to_the_reference(network, images[0])
    return Row(
        model=given.text,
        spelling=SPELLINGS[given.form],
        against=against,
        images=len(images),
        difference=f"{difference}; simulator = reference in {layers} layers",
        rtl=rtl_cell(network, _engine(network), images[:RTL_IMAGES]),
        seconds=seconds,
    )


Made = tuple[QuantizedNetwork, str, str, float]


def _quantized(
    path: Path, graph: Graph, module: nn.Module, given: Style, pixels: Images, start: float
) -> Made:
    """Return a file of floats as a quantized network, and how equal both steps are."""
    network = float_network(graph, input_max=255)
    require_equal(graph, network, (0.0,), (1.0,))
    seconds = time.process_time() - start
    images = pixels.reshape(len(pixels), *network.input_shape)
    own = logits(network, images, np.float32).reshape(len(images), -1)
    if given.form == "pt2":
        with torch.no_grad():
            other = module(torch.from_numpy(pixels / np.float32(255))).numpy()
        against = f"torch {torch.__version__.split('+')[0]}"
    else:
        oracle = oracle_of(path, graph)
        other, against = oracle(images / np.float32(255)), oracle.name
    rng_images = _pixels(given.shape, CALIBRATION, 1).reshape(-1, *network.input_shape)
    small = quantize(network, rng_images, _engine(network))
    scores = Simulator(small).logits(images).reshape(len(images), -1)
    error = np.abs(scores * small.layers[-1].output_scale - own).max()
    top, floats = np.abs(own).max(), np.abs(own - other).max()
    if not floats <= TOLERANCE * top:
        raise SqhwError(f"{given.text}: the import differs from {against} by {floats:.1e}")
    difference = f"floats {floats:.1e}, 8 bits {error:.2g}, scores go up to {top:.3g}"
    return small, against, difference, seconds


def _taken_over(
    path: Path, graph: Graph, module: nn.Module, given: Style, pixels: Images, start: float
) -> Made:
    """Return a file of integers as a quantized network, and how many activations differ."""
    del path, module, given
    form = Pixels()
    source = Source(graph, form)
    lowered = lower(graph, source.kernels, form)
    seconds = time.process_time() - start
    comparison = Comparison(lowered, source)
    comparison.run(pixels.reshape(len(pixels), *lowered.network.input_shape))
    rows = comparison.layers.values()
    wrong, total = sum(row.differing for row in rows), sum(row.activations for row in rows)
    difference = (
        f"taken over: {wrong:,} of {total:,} activations, by at most "
        f"{max(row.largest for row in rows)}"
    )
    return lowered.network, source.kernels.name, difference, seconds


def _equal_to_the_reference(network: QuantizedNetwork, image: Images) -> int:
    """Compare all layers of the simulator with the reference, and return how many there are."""
    found = Simulator(network).run(image[None].astype(np.int64))
    right = run_reference(network, image.astype(np.int64))
    for layer, values in right.items():
        if not np.array_equal(found[layer][0], values):
            raise SqhwError(f"layer {layer!r}: the simulator differs from the reference")
    return len(network.layers)


def _pixels(shape: tuple[int, ...], count: int, seed: int = 0) -> Images:
    return np.random.default_rng(SEED + seed).integers(0, 256, (count, *shape), np.uint8)


def _trained(given: Style) -> nn.Module:
    """Return the module in eval mode, its batch norms with the statistics of random images."""
    torch.manual_seed(SEED)
    module = given.make().train()
    with torch.no_grad():
        for seed in range(20):
            module(torch.from_numpy(_pixels(given.shape, 16, seed + 2) / np.float32(255)))
    return module.eval()


def write(given: Style, module: nn.Module, folder: Path) -> Path:
    """Write the file of a style into a folder and return its path."""
    path = folder / ("net.pt2" if given.form == "pt2" else "net.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if given.form == "pt2":
            axes: Any = ({0: torch.export.Dim("images")},)
            example = torch.zeros(2, *given.shape)
            torch.export.save(torch.export.export(module, (example,), dynamic_shapes=axes), path)
            return path
        dynamo = given.form == "dynamo"
        example = torch.zeros(1, *given.shape)
        torch.onnx.export(module, (example,), str(path), dynamo=dynamo, verbose=False)
    return path if given.form in ("onnx", "dynamo") else _integers(given, path)


def _integers(given: Style, path: Path) -> Path:
    """Quantize an ONNX file as users of ONNX Runtime do, with 8 bits, and return its path."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            images = _pixels(given.shape, CALIBRATION, 1) / np.float32(255)
            self._left = iter([{name: image[None]} for image in images])

        def get_next(self) -> Any:
            return next(self._left, None)

    import onnx

    name = onnx.load(path).graph.input[0].name
    out = path.with_name("integers.onnx")
    spelled = {"qdq": "QDQ", "qoperator": "QOperator"}[given.form]
    quantization.quantize_static(
        path,
        out,
        Reader(name),
        quant_format=quantization.QuantFormat[spelled],
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
    )
    return out


def refused(name: str, sources: Sources) -> Row:
    """Return the row of a style that the import refuses, with its sentence.

    Raises
    ------
    SqhwError
        If the style is imported.
    """
    del sources
    given = Style(name, styles.REFUSED[name])
    with tempfile.TemporaryDirectory() as folder:
        path = write(given, _trained(given), Path(folder))
        try:
            float_network(read_model(path), input_max=255)
        except SqhwError as error:
            sentence = " ".join(str(error).replace(str(path), path.name).split())
            spelling = SPELLINGS[given.form]
            return Row(model=name, spelling=spelling, against="", images=0, difference=sentence)
    raise SqhwError(f"{name}: the network is imported; make it a style of its own")


CASES: dict[str, Case] = {name: partial(style, name) for name in STYLES} | {
    f"refused-{at}": partial(refused, name) for at, name in enumerate(styles.REFUSED, start=1)
}
