"""`python -m benchmarks.compression.oneshot`: accuracy against size without training."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.compression.cases import load_network
from benchmarks.engine.progress import note
from benchmarks.origin import commit
from benchmarks.seal import read_sealed, write_sealed
from sqhw.atomic import atomic_write_bytes, atomic_write_text, make_folder
from sqhw.compiler.device_engine import engine_for
from sqhw.compress import FloatNetwork, evaluate, torch_logits
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.methods import Recipe
from sqhw.compress.methods.base import run_key
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.oneshot import OneshotConfig, oneshot_curve
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.rom import rom_cost
from sqhw.data import Dataset, load_dataset
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.plots import drawn

#: Densities and bits of plain quantization; what that takes is the budget of the other method.
POINTS = {
    "lenet5": ((0.2, 4), (0.1, 4), (0.06, 4), (0.04, 4), (0.025, 4), (0.015, 3)),
    "resnet20": ((1.0, 5), (1.0, 4), (1.0, 3), (0.5, 4), (0.35, 4), (0.2, 4)),
}
IMAGES = 256
HEAD = (
    "rom bit", "rom", "plain", "plain drop", "plain s", "oneshot", "oneshot drop", "oneshot s",
)  # fmt: skip

app = typer.Typer(add_completion=False)
Point = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Setting:
    """What both curves share.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    engine : EngineConfig
    device : Device
    file : Path
        File of the points; what is in it is not computed again, unless it is of other
        points, another method's version, network or data.
    """

    network: FloatNetwork
    data: Dataset
    engine: EngineConfig
    device: Device
    file: Path


def curves(setting: Setting, points: tuple[tuple[float, int], ...]) -> dict[str, Any]:
    """Return the points of both methods, from the file where it has them.

    Parameters
    ----------
    setting : Setting
    points : tuple of (float, int)
        Density and bits of plain quantization.
    """
    file, test = setting.file, setting.data.test
    found: dict[str, Any] = read_sealed(file) if file.is_file() else {}
    job = Job(setting.network, setting.data, setting.engine, setting.device)
    key = f"{points} {run_key(job, OneshotConfig(Recipe(epochs=0), images=IMAGES))}"
    if found.get("key") != key:
        network = setting.network
        values = network.float_bits // 32
        dense = dense_sizes(network.weights, values - network.weights, 32, setting.device)
        found = {"key": key, "float32": dense["rom"], "plain": [], "oneshot": []}
        found["commit"] = commit()
        found["float"] = evaluate(network, test.images, test.labels)
    for density, bits in points[len(found["plain"]) :]:
        start = time.process_time()
        images = setting.data.train.images[:IMAGES]
        small = quantize(
            setting.network,
            images,
            setting.engine,
            settings=QuantizeSettings(density=density, bits=bits),
        )
        _keep(setting, found, "plain", small, start)
    rest = found["plain"][len(found["oneshot"]) :]
    configs = [
        OneshotConfig(Recipe(epochs=0), budget=f"rom={point['rom']}", images=IMAGES)
        for point in rest
    ]
    start = time.process_time()
    if configs:
        job = Job(setting.network, setting.data, setting.engine, setting.device)
        for result in oneshot_curve(job, configs):
            if result.quantized is None:
                raise SqhwError(f"the one-shot network has no integers: {result.reason}")
            _keep(setting, found, "oneshot", result.quantized, start)
            start = time.process_time()
    return found


def _keep(
    setting: Setting, found: dict[str, Any], name: str, network: QuantizedNetwork, start: float
) -> None:
    """Add a network's point and write the file."""
    seconds = round(time.process_time() - start, 1)
    test = setting.data.test
    right = float((torch_logits(network, test.images).argmax(axis=1) == test.labels).mean())
    point = {"rom": rom_cost(network, setting.engine).rom, "test": right, "seconds": seconds}
    found[name].append(point)
    note(f"{name}: {point}")
    write_sealed(setting.file, found)


def markdown(found: dict[str, Any]) -> str:
    """Return the table of both curves in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for plain, ours in zip(found["plain"], found["oneshot"], strict=True):
        cells = [f"{plain['rom']:,}", f"{int(10 * found['float32'] / plain['rom']) / 10}x"]
        for point in (plain, ours):
            cells += [
                f"{100 * point['test']:.2f} %",
                f"{100 * (found['float'] - point['test']):.2f}",
                f"{point['seconds']:.0f}",
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + (
        f"\n\nRecorded in commit {found['commit']}. "
        f"Test accuracy of the integers; float {100 * found['float']:.2f} %. `plain`: largest "
        "weights of each layer, k-means, biases corrected\n(`sqhw quantize`). `oneshot` has the "
        "size of `plain` as its budget and may stay below it.\n"
        f"Both see {IMAGES} training images. Seconds are those of one core; those of the first "
        "`oneshot` hold what all points share.\n"
    )


def figure(name: str, found: dict[str, Any]) -> Figure:
    """Return the error against the size of both curves."""
    picture = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = picture.subplots()
    for method, colour, mark in (("plain", "#777777", "s"), ("oneshot", "#3b6ea5", "o")):
        points = sorted(found[method], key=lambda point: point["rom"])
        axes.plot(
            [point["rom"] / 1000 for point in points],
            [100 - 100 * point["test"] for point in points],
            marker=mark,
            color=colour,
            label="magnitude and k-means" if method == "plain" else method,
        )
    error = 100 - 100 * found["float"]
    axes.axhline(error, color="black", linestyle="--", linewidth=1, label="float")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("ROM (kbit)")
    axes.set_ylabel("test error (%)")
    axes.set_title(f"{name} without training, {IMAGES} images")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="best")
    return picture


@app.command()
def main(
    network: Annotated[str, typer.Option(help="lenet5 or resnet20.")],
    models: Annotated[Path, typer.Option(help="Folder with the checkpoints.")],
    data: Annotated[str, typer.Option(help="mnist:DIR or cifar10:DIR.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path(
        "benchmarks/compression/results"
    ),
    device: Annotated[str, typer.Option(help="For the engine.")] = "LFE5U-85F",
) -> None:
    """Compress a network to several sizes without training, plainly and by the Hessian."""
    try:
        short, trained = load_network(network, models)
        if short not in POINTS:
            raise SqhwError(f"no points for network {network!r}; known are {', '.join(POINTS)}")
        target = find_device(device)
        engine = engine_for(target, with_input_stage(trained), levels=256)
        file = make_folder(out) / f"oneshot-{short}.json"
        setting = Setting(trained, load_dataset(data), engine, target, file)
        with torch_threads(1):
            found = curves(setting, POINTS[short])
    except SqhwError as error:
        sys.stderr.write(f"benchmarks.compression.oneshot: {error}\n")
        raise typer.Exit(1) from None
    text = markdown(found)
    atomic_write_text(file.with_suffix(".md"), text)
    atomic_write_bytes(file.with_suffix(".png"), drawn(figure(short, found), "png"))
    print(text)


if __name__ == "__main__":
    app()
