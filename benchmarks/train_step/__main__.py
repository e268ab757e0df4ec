"""Run with ``python -m benchmarks.train_step``."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver
from torch.nn import functional

from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.compress import FloatNetwork
from sqhw.compress.calibration.calibrate import calibrate
from sqhw.compress.choice.free_masks import largest, refresh
from sqhw.compress.methods.latent import LatentNetwork
from sqhw.compress.qat.integers import GAIN_BITS
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.normalised_network import normalise_network
from sqhw.compress.training.memory import keep_freed_memory
from sqhw.compress.training.samples import channels_last
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import activated, max_pool, preactivation
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.frontends.zoo.catalogue import entry
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv
from sqhw.network.walk import run_graph

app = typer.Typer(add_completion=False)
HEAD = (
    "network", "precision", "float ms", "plain ms", "pruning ms", "ratio", "integers ms", "ratio",
)  # fmt: skip
ENGINE = EngineConfig(bank_depth=8192, groups=True, residuals=True)


class _PlainNetwork(nn.Module):
    """Quantization-aware training as `torch.ao` has it: 8 bits, one scale a tensor."""

    def __init__(self, network: FloatNetwork) -> None:
        super().__init__()
        self.network = network
        self.latent = LatentNetwork(network)
        count = len(network.convs)
        self.weights = nn.ModuleList(_fake_quantize(signed=True) for _ in range(count))
        self.outputs = nn.ModuleList(_fake_quantize(signed=False) for _ in range(count))

    def forward(self, pixels: Tensor) -> Tensor:
        x = channels_last(pixels) / self.network.input_max
        trained = iter(self.latent.latent())
        quantizers = zip(self.weights, self.outputs, strict=True)

        def conv(layer: FloatConv, tensors: Mapping[str, Tensor]) -> Tensor:
            of_weights, of_outputs = next(quantizers)
            if layer.trained:
                own = next(trained)
                weight, bias = of_weights(own.weight), own.bias
            else:
                weight, bias = getattr(self.latent, f"constant_{layer.name}"), None
            y: Tensor = of_outputs(activated(preactivation(layer, tensors, weight, bias), layer))
            return y

        x = (x - self.latent.mean) / self.latent.std
        return run_graph(self.network, x, conv, max_pool).flatten(1)


def _fake_quantize(*, signed: bool) -> FakeQuantize:
    observer = MovingAverageMinMaxObserver
    if signed:
        return FakeQuantize(
            observer, -128, 127, dtype=torch.qint8, qscheme=torch.per_tensor_symmetric
        )
    return FakeQuantize(observer, 0, 255)


def _networks() -> list[FloatNetwork]:
    found = []
    for name in ("lenet5-caffe", "resnet20"):
        torch.manual_seed(0)
        zoo = entry(name)
        found.append(
            import_module(
                zoo.make(zoo.outputs),
                zoo.input_shape,
                name=name,
                input_max=255,
                mean=zoo.mean,
                std=zoo.std,
            )
        )
    return found


def _compressing(network: FloatNetwork, *, whole: bool, pixels: Tensor) -> QatNetwork:
    """Return a network in the midst of compression: masks and codebooks, or integers."""
    model = QatNetwork(network)
    for layer in model.layers():
        weight = layer.weight.detach().numpy()
        step = float(np.abs(weight).mean())
        layer.learn_gains(GAIN_BITS)
        layer.set_projection(np.abs(weight) > step, step * np.array([-3.0, -1.5, 1.5, 3.0]))
    if whole:
        for layer in model.layers():
            layer.freeze()
        calibrate(model, pixels, ENGINE, 10, trained=True)
    model.set_exact(False)
    return model


def _step(model: nn.Module, precision: torch.dtype, pixels: Tensor, labels: Tensor) -> None:
    if isinstance(model, QatNetwork) and model.learning_layers():
        for layer in model.layers():
            everywhere = torch.ones_like(layer.mask, dtype=torch.bool)
            refresh(layer, largest(layer.weight, everywhere, int(layer.mask.sum())))
    with torch.autocast("cpu", precision, precision == torch.bfloat16):
        logits = model(pixels)
    functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]


def _medians(steps: list[Callable[[], None]], rounds: int) -> list[float]:
    """Return the median processor time of each step, taken in turn (unit: ms)."""
    times: list[list[float]] = [[] for _ in steps]
    for turn in range(rounds + 1):
        for kept, step in zip(times, steps, strict=True):
            start = time.process_time()
            step()
            if turn:
                kept.append(1e3 * (time.process_time() - start))
    return [float(np.median(kept)) for kept in times]


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder for RESULTS.md.")] = Path(
        "build/benchmarks/train_step"
    ),
    batch: Annotated[int, typer.Option(help="Images a step.", min=1)] = 128,
    rounds: Annotated[int, typer.Option(help="Steps of each kind.", min=1)] = 9,
) -> None:
    """Time steps in turn on one core and print their processor time and ratios."""
    lines = [
        f"# A training step of {batch} images, forward and backward, on one core",
        "",
        "Median processor time. `plain` is fake quantization of weights and outputs to 8 bits by",
        "`torch.ao`; the ratios are to it. No distillation in any of them. `pruning` chooses the",
        "masks anew and normalises hidden layers by their batches, which the others do not.",
        "",
        sentence(measured_on("torch")),
        "| " + " | ".join(HEAD) + " |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    keep_freed_memory()  # as trainings do
    with torch_threads(1):
        for network in _networks():
            generator = torch.Generator().manual_seed(0)
            shape = (batch, *network.input_shape)
            pixels = channels_last(torch.randint(0, 256, shape, generator=generator).float())
            labels = torch.randint(0, 10, (batch,), generator=generator)
            pruned = _compressing(network, whole=False, pixels=pixels)
            normalise_network(pruned, [pixels])
            models: list[nn.Module] = [
                LatentNetwork(network),
                _PlainNetwork(network),
                pruned,
                _compressing(network, whole=True, pixels=pixels),
            ]
            for precision in (torch.float32, torch.bfloat16):
                steps = [partial(_step, model, precision, pixels, labels) for model in models]
                usual, plain, pruning, whole = _medians(steps, rounds)
                name = str(precision).removeprefix("torch.")
                lines.append(
                    f"| {network.name} | {name} | {usual:.0f} | {plain:.0f} | {pruning:.0f} "
                    f"| {pruning / plain:.2f} | {whole:.0f} | {whole / plain:.2f} |"
                )
    report = "\n".join(lines) + "\n"
    make_folder(out)
    write_sealed_text(out / "RESULTS.md", report)
    print(report)


if __name__ == "__main__":
    app()
