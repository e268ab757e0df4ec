"""Peers in Python environments of their own: LiteRT, the QONNX executor, alkaid's emulator.

Each script gets paths of its model and of images, and prints processor seconds an image.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.simulator.cases import DENSITIES, LISTED, images_of, random_network
from benchmarks.simulator.peers import Images, folded
from benchmarks.simulator.rows import Record, Settings
from sqhw.frontends.zoo.catalogue import build
from sqhw.sim.simulator import Simulator

#: Time limit of a peer (unit: s).
LIMIT = 600
TIMED = """
import json, statistics, sys, time
import numpy as np
def timed(run, images, rounds):
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) / images)
    print(json.dumps(statistics.median(times[1:])))
model, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
images = np.load(path)
"""
LITERT = (
    TIMED
    + """
from ai_edge_litert.interpreter import Interpreter
batch = min(32, len(images))
net = Interpreter(model, num_threads=1)
entry = net.get_input_details()[0]
shape = [batch, *entry["shape"][1:]]
net.resize_tensor_input(entry["index"], shape)
net.allocate_tensors()
x = images.transpose(0, 2, 3, 1)[:batch]
signed = entry["dtype"] == np.int8
x = (x.astype(np.int16) - 128).astype(np.int8) if signed else x.astype(entry["dtype"])
def run():
    for _ in range(len(images) // batch):
        net.set_tensor(entry["index"], x)
        net.invoke()
timed(run, len(images) // batch * batch, rounds)
"""
)
QONNX = (
    TIMED
    + """
from onnx import helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
net = ModelWrapper(model)
graph = net.graph
weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
def quant(name, scale, bits, signed):
    for suffix, value in (("scale", scale), ("zero", 0.0), ("bits", bits)):
        value = numpy_helper.from_array(np.array(value, np.float32), f"{name}_{suffix}")
        graph.initializer.append(value)
    inputs = [name, f"{name}_scale", f"{name}_zero", f"{name}_bits"]
    return helper.make_node("Quant", inputs, [f"{name}_q"], domain="qonnx.custom_op.general",
                            signed=int(signed), narrow=0, rounding_mode="ROUND")
nodes, renamed = [], {}
for node in list(graph.node):
    for place, name in enumerate(node.input):
        if node.op_type in ("Conv", "Gemm") and place == 1 and name in weights:
            nodes.append(quant(name, float(np.abs(weights[name]).max()) / 7 or 1.0, 4.0, True))
            node.input[place] = f"{name}_q"
        elif name in renamed:
            node.input[place] = renamed[name]
    nodes.append(node)
    if node.op_type == "Relu":
        nodes.append(quant(node.output[0], 0.05, 8.0, False))
        renamed[node.output[0]] = f"{node.output[0]}_q"
del graph.node[:]
graph.node.extend(nodes)
net.model.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 2))
net = net.transform(InferShapes())
name = graph.input[0].name
def run():
    execute_onnx(net, {name: images[:1].astype(np.float32)})
timed(run, 1, rounds)
"""
)
ALKAID = (
    TIMED
    + """
from alkaid.trace import FVArrayInput, trace
layers = np.load(model)
x = inputs = FVArrayInput((images.shape[1],))
x = inputs.quantize(0, 8, 0)
for at in range(len(layers.files)):
    x = x @ layers[f"arr_{at}"].astype(np.float64)
    if at + 1 < len(layers.files):
        x = np.maximum(x, 0).quantize(0, 13, -5)
comb = trace(inputs, x)
data = images.astype(np.float64)
timed(lambda: comb.predict(data, n_threads=1), len(images), rounds)
"""
)


def measure(settings: Settings, name: str, models: Path | None) -> Record:
    """Return seconds an image of a peer and of the simulator, one after the other.

    Parameters
    ----------
    settings : Settings
    name : {"litert", "qonnx", "alkaid"}
        Peer.
    models : path, optional
        Folder with ``pretrainedResnet_quant.tflite`` of MLPerf Tiny.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if name == "litert":
            if models is None:
                return {"peer": name, "missing": "no --models"}
            images = images_of("resnet8", settings.images or 128)
            script, model, network = LITERT, models / "pretrainedResnet_quant.tflite", "resnet8"
        elif name == "qonnx":
            images = images_of("resnet20", settings.images or 128)
            script, model, network = QONNX, _float_onnx(images, folder), "resnet20"
        else:
            return _alkaid(settings, folder)
        record: Record = {"peer": name, "network": network}
        record["seconds"] = _run(settings, name, script, model, images, folder)
        for density in (DENSITIES[0], LISTED):
            simulator = Simulator(random_network(network, density), threads=1)
            seconds = _seconds(simulator.logits, images, settings.rounds)
            record[f"sqhw {density:.0%}"] = seconds
        return record


def _run(
    settings: Settings, name: str, script: str, model: Path, images: Images, folder: Path
) -> float:
    """Return the processor seconds an image that a script prints."""
    path = folder / "images.npy"
    np.save(path, images)
    command = [settings.pythons[name], "-c", script, str(model), str(path), str(settings.rounds)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT)
    return float(json.loads(run.stdout.splitlines()[-1]))


def _seconds(run: Callable[[Images], object], images: Images, rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        run(images)
        times.append((time.process_time() - start) / len(images))
    return sorted(times[1:])[rounds // 2]


def _float_onnx(images: Images, folder: Path) -> Path:
    path = folder / "float.onnx"
    first = torch.from_numpy(images[:1]).float()
    torch.onnx.export(folded(build("resnet20")), (first,), str(path), verbose=False)
    return path


def _alkaid(settings: Settings, folder: Path) -> Record:
    """Measure a perceptron of 64, 32, 32 and 10 values, dense and of 4-bit weights."""
    from benchmarks.simulator.perceptron import perceptron

    network = perceptron()
    images = np.random.default_rng(0).integers(0, 256, (settings.images or 4096, 64))
    model = folder / "weights.npz"
    np.savez(model, *[layer.weight[:, :, 0, 0].T for layer in network.convs])
    pixels = images.astype(np.uint8)
    seconds = _run(settings, "alkaid", ALKAID, model, pixels, folder)
    simulator = Simulator(network, threads=1)
    own = _seconds(simulator.logits, pixels.reshape(-1, 64, 1, 1), settings.rounds)
    return {"peer": "alkaid", "network": "64-32-32-10", "seconds": seconds, "sqhw 100%": own}
