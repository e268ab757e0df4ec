"""Rows of exported networks: C99 and ONNX beside the simulator, and in again."""

import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.frontends.onnx_rows import BATCH, EXPORTED_IMAGES, _module, _scores
from benchmarks.frontends.row import Case, Images, Row, Sources, right
from sqhw.compiler.device_engine import engine_for
from sqhw.compress import QuantizeSettings, float_network
from sqhw.compress import quantize as quantize_network
from sqhw.cost_models.device import find_device
from sqhw.export.networks.registry import WRITERS
from sqhw.frontends.folding.float_walk import normalised
from sqhw.frontends.folding.from_neutral import float_network as imported_network
from sqhw.frontends.formats import read_model
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.quantized.source import Source
from sqhw.frontends.zoo.catalogue import entry
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim.simulator import Simulator

#: Density of the weights, and width of their codes, of the networks that are exported.
DENSITY, BITS = 0.4, 6
#: Device whose engine they are for, and width of its accumulators (unit: bit).
DEVICE, ACC_BITS = "LFE5U-85F", 28
#: Images for the activations' ranges.
CALIBRATION_IMAGES = 256
#: Data sets and file names of networks of the zoo.
DATA = {"resnet20": "cifar10", "lenet5-caffe": "mnist"}
CHECKPOINTS = {"resnet20": "resnet20", "lenet5-caffe": "lenet5_caffe"}
#: Most images of a row.
MAX_IMAGES = {"resnet20": 2_000, "lenet5-caffe": 10_000}

Scores = np.ndarray


def exported(name: str, form: str, sources: Sources) -> Row:
    """Return the row of a network of the zoo that is quantized without training and exported."""
    network = _quantized(name, sources)
    test = sources.data(DATA[name]).test
    count = min(sources.images, MAX_IMAGES[name])
    images, labels = test.images[:count], test.labels[:count]
    simulated = _simulated(network, images)
    with tempfile.TemporaryDirectory() as folder:
        for file, content in WRITERS[form](network, "net").items():
            (Path(folder) / file).write_bytes(content)
        path = Path(folder) / f"net_{form}.onnx"
        if form == "c":
            made, against = _compiled(Path(folder), images), "cc -O2"
        elif form == "qonnx":
            made, against = _evaluated(path, images), "neutral graph, single precision"
        else:
            made, against = _run(path, images)
        back, seconds = (None, 0.0) if form in ("c", "exact") else _back(path, images)
    wrong = int((made != simulated).sum())
    difference = (
        f"{wrong:,} of {made.size:,} scores, by at most {int(np.abs(made - simulated).max())}"
    )
    if back is not None:
        difference += f"; in again: {int((back != simulated).sum()):,}"
    return Row(
        model=f"{name} of the zoo, density {DENSITY}, {BITS} bits",
        spelling=f"exported as {form}",
        against=against,
        images=count,
        accuracy=right(made, labels),
        imported=None if back is None else right(back, labels),
        simulated=right(simulated, labels),
        difference=difference,
        seconds=seconds,
    )


def _quantized(name: str, sources: Sources) -> QuantizedNetwork:
    source = float_network(name, sources.models / f"{CHECKPOINTS[name]}.safetensors", 0)
    device = find_device(DEVICE)
    engine = engine_for(device, with_input_stage(source), levels=1 << BITS, acc_bits=ACC_BITS)
    images = sources.data(DATA[name]).train.images[:CALIBRATION_IMAGES]
    settings = QuantizeSettings(density=DENSITY, bits=BITS)
    return quantize_network(source, images, engine, settings=settings)


def _simulated(network: QuantizedNetwork, images: Images) -> Scores:
    return Simulator(network).logits(images).reshape(len(images), -1)


def _compiled(folder: Path, images: Images) -> Scores:
    """Return the scores that the exported program prints."""
    command = ["cc", "-O2", "-std=c99", "net.c", "net_main.c", "-o", "net"]
    subprocess.run(command, cwd=folder, check=True)
    (folder / "images.bin").write_bytes(np.ascontiguousarray(images).tobytes())
    done = subprocess.run(
        [folder / "net", folder / "images.bin"], capture_output=True, text=True, check=True
    )
    return np.array([line.split() for line in done.stdout.splitlines()], dtype=np.int64)


def _parts(images: Images) -> list[Images]:
    return np.array_split(images, -(-len(images) // BATCH))


def _evaluated(path: Path, images: Images) -> Scores:
    """Return scores by the neutral graph in single precision."""
    graph = read_model(path)
    parts = [evaluate(graph, part, np.float32)[graph.output] for part in _parts(images)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def _run(path: Path, images: Images) -> tuple[Scores, str]:
    """Return scores by ONNX Runtime without graph optimisations, and its name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"pixels": part})[0] for part in _parts(images)]
    return np.concatenate(parts), f"onnxruntime {onnxruntime.__version__}"


def _back(path: Path, images: Images) -> tuple[Scores, float]:
    """Return the scores of an export that is imported again, and the import's processor time."""
    start = time.process_time()
    graph = read_model(path)
    pixels = Pixels(255, (0.0,), (1 / 255,))
    lowered = lower(graph, Source(graph, pixels).kernels, pixels)
    seconds = time.process_time() - start
    return _simulated(lowered.network, images), seconds


def torch_exported(name: str, sources: Sources) -> Row:
    """Return the row of a network of the zoo that torch.export saves."""
    import torch

    form = entry(name)
    module = _module(name, sources).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.pt2"
        axis = torch.export.Dim("images")
        example = torch.zeros(2, *form.input_shape)
        program = torch.export.export(module, (example,), dynamic_shapes=({0: axis},))
        torch.export.save(program, path)
        start = time.process_time()
        graph = read_model(path)
        network = imported_network(graph, input_max=form.input_max, mean=form.mean, std=form.std)
        seconds = time.process_time() - start
    test = sources.data("cifar10").test
    images = test.images[: min(sources.images, EXPORTED_IMAGES)]
    labels = test.labels[: len(images)]
    own = _scores(network, images)
    x = normalised(images, form.input_max, form.mean, form.std)
    with torch.no_grad():
        other = module(torch.from_numpy(x).float()).numpy()
    trained = (sources.models / f"{name}.safetensors").exists()
    return Row(
        model=f"{name} of the zoo" + ("" if trained else ", random weights"),
        spelling="torch.export.save (.pt2)",
        against=f"torch {torch.__version__.split('+')[0]}",
        images=len(images),
        accuracy=right(other, labels) if trained else None,
        imported=right(own, labels) if trained else None,
        difference=f"{np.abs(own - other).max():.1e}, scores go up to {np.abs(other).max():.3g}",
        seconds=seconds,
    )


CASES: dict[str, Case] = {
    "resnet20-pt2": partial(torch_exported, "resnet20"),
    "mobilenetv2-pt2": partial(torch_exported, "mobilenetv2"),
    **{
        f"{name}-{form}": partial(exported, name, form)
        for name in DATA
        for form in ("c", "exact", "qonnx", "qdq")
    },
}
