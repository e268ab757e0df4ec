"""Run with ``python -m benchmarks.simulator``."""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import llvmlite.binding as llvm
import numpy as np
import torch
import typer

from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from benchmarks.simulator.peak import peak
from benchmarks.simulator.peers import Images, folded, onnx_run, torch_run
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.frontends.zoo.catalogue import build, float_network
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.sim import kernels
from sqhw.sim.arenas import Runner
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.simulator import Simulator

app = typer.Typer(add_completion=False)
#: Number of images that a run takes, and batches of the peers, by the network's name in the zoo.
NETWORKS = {
    "lenet5-caffe": (512, 64),
    "resnet8": (256, 64),
    "resnet20": (128, 64),
    "mobilenetv2": (64, 32),
    "vgg16": (64, 32),
}
DENSITIES = (1.0, 0.3, 0.1, 0.05)
#: Density whose layers are listed.
LISTED = 0.1
CODE_BITS = 4
HEAD = ("network", "runner", "images/s", "GMAC/s", "of peak", "x PyTorch", "x ORT int8", "MB")


@dataclass(frozen=True, eq=False)
class Case:
    """A runner, and what is known of its work."""

    name: str
    run: Callable[[Images], object]
    products: float  # multiplications of non-zero weights an image
    memory: int = 0


def products(network: QuantizedNetwork, layer: Conv) -> int:
    """Return the multiplications of non-zero weights of a layer, for an image."""
    _, height, width = network.shapes()[layer.name]
    return layer.nonzeros * height * width


def _cases(name: str, batch: int, images: Images, folder: Path) -> Iterator[Case]:
    model = folded(build(name))
    dense = 0
    source = float_network(name)
    for density in DENSITIES:
        network = random_quantized(source, EngineConfig(), density, CODE_BITS, seed=0)
        work = sum(products(network, layer) for layer in network.convs)
        dense = max(dense, work)
        simulator = Simulator(network, threads=1)
        simulator.logits(images[:1])
        label = f"sqhw {density:.0%}"
        yield Case(label, simulator.logits, work, simulator.memory)
        if density == LISTED:
            yield Case(f"{label}, 2 threads", Simulator(network, threads=2).logits, work)
    yield Case("PyTorch float32", torch_run(model, batch), dense)
    int8 = onnx_run(model, images, batch, folder)
    if int8 is not None:
        yield Case("ONNX Runtime int8", int8, dense)


def _rows(name: str, cases: list[Case], images: Images, rounds: int, most: float) -> list[Any]:
    times = defaultdict[str, list[float]](list)
    walls = defaultdict[str, list[float]](list)
    for _ in range(rounds + 1):
        for case in cases:
            start, wall = time.process_time(), time.perf_counter()
            case.run(images)
            times[case.name].append(time.process_time() - start)
            walls[case.name].append(time.perf_counter() - wall)
    seconds = {label: statistics.median(values[1:]) for label, values in times.items()}
    wall_seconds = {label: statistics.median(values[1:]) for label, values in walls.items()}
    rows = []
    for case in cases:
        rate = len(images) / seconds[case.name]
        speed = case.products * rate / 1e9
        peers = [
            f"{seconds[peer] / seconds[case.name]:.2f}" if peer in seconds else ""
            for peer in ("PyTorch float32", "ONNX Runtime int8")
        ]
        label = case.name
        if "threads" in label:
            one = label.split(",")[0]
            label += f" (wall x{wall_seconds[one] / wall_seconds[case.name]:.2f} of one)"
        memory = f"{case.memory / 1e6:.1f}" if case.memory else ""
        rows.append(
            (name, label, f"{rate:.0f}", f"{speed:.1f}", f"{speed / most:.0%}", *peers, memory)
        )
    return rows


def _classes(name: str, rounds: int, found: dict[str, list[float]]) -> None:
    """Add products, seconds and entries of the layers of a network to those of their class."""
    network = random_quantized(float_network(name), EngineConfig(), LISTED, CODE_BITS, seed=0)
    runner = Runner(prepare(network, Choice(kernels.LANES)))
    plan = runner.plan
    with runner.arena() as arena:
        for layer in network.layers:
            steps = plan.steps[layer.name]
            operations = plan.operations[steps.start : steps.stop]
            early = len(operations) if steps.start < plan.split else 0
            times = []
            for _ in range(rounds):
                start = time.process_time()
                kernels.run(plan.content, operations, early, arena, plan.groups)
                times.append((time.process_time() - start) / plan.images)
            key, work = "maximum", 0.0
            if isinstance(layer, Conv):
                _, height, width = network.shapes()[layer.name]
                kind = "depthwise" if layer.groups > 1 else "convolution"
                key = f"{kind} {layer.kernel[0]}x{layer.kernel[1]}, map {height}x{width}"
                work = products(network, layer)
            row = found.setdefault(key, [0.0, 0.0, 0.0])
            row[0] += work
            row[1] += statistics.median(times)
            row[2] += work / max(1, getattr(layer, "nonzeros", 0)) * network.shapes()[layer.name][0]


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


@app.command()
def main(
    out: Annotated[Path, typer.Option()] = Path("benchmarks/simulator/RESULTS.md"),
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    networks: Annotated[str, typer.Option()] = ",".join(NETWORKS),
) -> None:
    """Measure the simulator beside PyTorch and ONNX Runtime; write a table."""
    torch.set_num_threads(1)
    most = peak(kernels.LANES)
    rows, classes = list[Any](), dict[str, list[float]]()
    for name in networks.split(","):
        count, batch = NETWORKS[name]
        shape = (count, *float_network(name).input_shape)
        images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            cases = list(_cases(name, batch, images, Path(folder)))
            rows += _rows(name, cases, images, rounds, most)
        _classes(name, rounds, classes)
        typer.echo(_table(HEAD, [row for row in rows if row[0] == name]))
    whole = sum(seconds for _, seconds, _ in classes.values())
    layers = [
        (
            key,
            f"{work / outputs:.1f}" if outputs else "",
            f"{work / seconds / 1e9:.1f}",
            f"{work / seconds / 1e9 / most:.0%}",
            f"{seconds / whole:.1%}",
        )
        for key, (work, seconds, outputs) in sorted(classes.items(), key=lambda one: -one[1][1])
    ]
    origin = measured_on("torch", "numba", "llvmlite")
    text = (
        "# The simulator beside PyTorch in float32 and ONNX Runtime in 8 bits, on one core\n\n"
        "Processor time, medians of interleaved rounds, the first left out; the machine was shared "
        "with other work, so ratios\nhold better than rates. Weights are random. GMAC/s counts "
        "products of non-zero weights (of all weights for the\nother programs). `MB` is the memory "
        "for activations of a thread, whatever the number of images.\n"
        f"{llvm.get_host_cpu_name()}, vectors of {kernels.LANES}: a loop of multiply-adds in "
        f"registers reaches {most:.1f} GMAC/s, the peak here.\n\n{sentence(origin)}\n"
        f"{_table(HEAD, rows)}\n"
        f"## Kinds of layers at {LISTED:.0%}, all networks above\n\n"
        "A product needs a load of its activations. Two loads a cycle with two multiply-adds leave "
        "at most 89 % of the peak\n(nine loads for eight products). The rest is the end of each "
        "output channel: few non-zeros an output mean much of it.\n\n"
        f"{_table(('layers', 'non-zeros an output', 'GMAC/s', 'of peak', 'of time'), layers)}"
    )
    write_sealed_text(out, text)
    typer.echo(text)


if __name__ == "__main__":
    app()
