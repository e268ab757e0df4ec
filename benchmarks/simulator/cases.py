"""What runs in one interleaved measurement: the simulator at several densities, and peers."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.simulator.peers import Images, compiled, folded, onnx_run, torch_run
from benchmarks.simulator.rows import Record
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.frontends.zoo.catalogue import build, float_network
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.sim.simulator import Simulator

#: Number of images of a run, by the network's name in the zoo.
NETWORKS = {"lenet5-caffe": 512, "resnet8": 256, "resnet20": 128, "mobilenetv2": 64, "vgg16": 64}
#: Batches of the peers, of which the best one counts.
BATCHES = (8, 32, 128)
DENSITIES = (1.0, 0.3, 0.1, 0.05)
#: Density that runs on two threads too, and whose layers are listed.
LISTED = 0.1
#: How many times as many images two threads run, so that the wall time is that of steady work.
LONGER = 8
CODE_BITS = 4
#: Compressed networks in this repository by the network's name in the zoo.
COMPRESSED = Path("benchmarks/compression/results")
KEPT = {
    "resnet20": ("resnet20/hardware-rom344000", "resnet20/oneshot-rom500000"),
    "lenet5-caffe": ("lenet5/hardware-rom19700", "lenet5/oneshot-rom50000"),
}
PYTORCH, ORT = "PyTorch float32", "ONNX Runtime int8"


@dataclass(frozen=True, eq=False)
class Case:
    """A runner, and what is known of its work."""

    name: str
    run: Callable[[Images], object]
    products: float  # multiplications of non-zero weights an image
    memory: int = 0
    longer: int = 1  # how many times the images


def products(network: QuantizedNetwork, layer: Conv) -> int:
    """Return the multiplications of non-zero weights of a layer, for an image."""
    _, height, width = network.shapes()[layer.name]
    return layer.nonzeros * height * width


def random_network(
    name: str, density: float, engine: EngineConfig | None = None
) -> QuantizedNetwork:
    """Return a network of the zoo with random weights, for an engine or the default one."""
    engine = engine or EngineConfig()
    return random_quantized(float_network(name), engine, density, CODE_BITS, seed=0)


def images_of(name: str, count: int) -> Images:
    """Return random images for a network of the zoo."""
    shape = (count, *float_network(name).input_shape)
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def measure(name: str, images: Images, rounds: int, folder: Path) -> Record:
    """Return images/s of all cases of a network, of one interleaved run.

    Parameters
    ----------
    name : str
        Name in the zoo.
    images : ndarray of uint8, shape (images, channels, height, width)
    rounds : int
    folder : path
        Empty folder, for ONNX files.
    """
    cases = [*_simulators(name, images), *_peers(name, images, folder)]
    times = defaultdict[str, list[float]](list)
    walls = defaultdict[str, list[float]](list)
    runs = {longer: np.tile(images, (longer, 1, 1, 1)) for longer in (1, LONGER)}
    for _ in range(rounds + 1):
        for case in cases:
            chosen = runs[case.longer]
            start, wall = time.process_time(), time.perf_counter()
            case.run(chosen)
            times[case.name].append(time.process_time() - start)
            walls[case.name].append(time.perf_counter() - wall)
    rows = [
        {
            "runner": case.name,
            "seconds": statistics.median(times[case.name][1:]) / len(runs[case.longer]),
            "wall": statistics.median(walls[case.name][1:]) / len(runs[case.longer]),
            "products": case.products,
            "memory": case.memory,
        }
        for case in cases
    ]
    return {"network": name, "images": len(images), "rounds": rounds, "cases": rows}


def _simulators(name: str, images: Images) -> Iterator[Case]:
    networks = {f"sqhw {density:.0%}": random_network(name, density) for density in DENSITIES}
    for kept in KEPT.get(name, ()):
        network = load_network(COMPRESSED / f"{kept}.safetensors")
        share = network.nonzeros / sum(layer.weight.size for layer in network.convs)
        networks[f"sqhw {kept.partition('/')[2]}, {share:.1%}"] = network
    for label, network in networks.items():
        work = sum(products(network, layer) for layer in network.convs)
        simulator = Simulator(network, threads=1)
        simulator.logits(images[:1])
        yield Case(label, simulator.logits, work, simulator.memory)
        if label == f"sqhw {LISTED:.0%}":
            two = Simulator(network, threads=2)
            yield Case(f"{label}, 2 threads", two.logits, work, longer=LONGER)


def _peers(name: str, images: Images, folder: Path) -> Iterator[Case]:
    model = folded(build(name))
    network = random_network(name, 1.0)
    dense = sum(products(network, layer) for layer in network.convs)
    batches = [batch for batch in BATCHES if batch <= len(images)] or [len(images)]
    made: dict[str, list[Callable[[Images], object]]] = {
        PYTORCH: [torch_run(model, batch) for batch in batches],
        "PyTorch compiled": [torch_run(compiled(model), batches[-1])],
    }
    int8 = [onnx_run(model, images, batch, folder) for batch in batches]
    made[ORT] = [run for run in int8 if run is not None]
    for label, runs in made.items():
        if runs:
            yield Case(label, min(runs, key=lambda run: _once(run, images)), dense)


def _once(run: Callable[[Images], object], images: Images) -> float:
    """Return the processor time of a run, of its second one."""
    run(images)
    start = time.process_time()
    run(images)
    return time.process_time() - start
