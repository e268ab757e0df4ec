"""`python -m benchmarks.engine.train_resnet8`: the sparse ResNet-8 that the benchmark places.

Gradual magnitude pruning (Zhu and Gupta, 2017) of the trained module, batch norms included, then
the one-shot quantizer. The first and the last layer stay dense. The epoch is chosen on the
validation split; the test split is only read at the end.
"""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.engine.progress import note
from sqhw.compiler.program import compile_network
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.data import load_dataset
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.zoo.catalogue import build, entry
from sqhw.frontends.zoo.checkpoint import load_checkpoint
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized_file import save_network
from sqhw.sim.simulator import Simulator

NAME = "resnet8"
DENSE = ("stem.conv", "fc")
#: Layers that keep more: shortcuts have few weights, and each stands for a whole input channel.
SHORTCUTS = ("stack2.shortcut", "stack3.shortcut")
TEMPERATURE, DISTILL = 4.0, 0.7
RAMP = 0.3  # share of the steps in which the density falls
ENGINE = EngineConfig(
    lanes=32,
    bank_depth=2048,
    acc_bits=24,
    mult_bits=8,
    word_bits=18,
    weight_addr_bits=15,
    param_addr_bits=11,
    codebook_addr_bits=12,
    max_gap_bits=6,
    requantizers=4,
    groups=True,
    residuals=True,
    maxpool=False,
)


def main(
    data: Annotated[str, typer.Option(help="cifar10:DIR")],
    checkpoint: Annotated[Path, typer.Option(help="The dense network.")],
    out: Annotated[Path, typer.Option()] = Path("build/benchmarks/resnet8.safetensors"),
    density: Annotated[float, typer.Option(help="Of the layers that are pruned.")] = 0.27,
    bits: Annotated[int, typer.Option(help="Of a weight's code.")] = 8,
    epochs: Annotated[int, typer.Option()] = 30,
    rate: Annotated[float, typer.Option(help="Peak learning rate of SGD.")] = 0.01,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Prune, fine-tune, quantize, measure."""
    torch.manual_seed(seed)
    sets = load_dataset(data)
    module = build(NAME)
    load_checkpoint(module, checkpoint, NAME)
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = copy.deepcopy(module).eval()
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and name not in DENSE
    }
    ends = {name: min(1.0, 2.5 * density) if name in SHORTCUTS else density for name in layers}
    masks = {name: torch.ones_like(layer.weight) for name, layer in layers.items()}
    images = torch.from_numpy(sets.train.images.astype(np.float32))
    labels = torch.from_numpy(sets.train.labels)
    optimizer = torch.optim.SGD(
        module.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    generator = torch.Generator().manual_seed(seed)
    size = 128
    steps = epochs * math.ceil(len(images) / size)
    step, best, kept = 0, -1.0, module.state_dict()
    for epoch in range(epochs):
        module.train()
        for chosen in torch.randperm(len(images), generator=generator).split(size):
            if step % 50 == 0 and step <= RAMP * steps + 50:
                left = max(0.0, 1 - step / (RAMP * steps)) ** 3
                for name, layer in layers.items():
                    share = ends[name] + (1 - ends[name]) * left
                    masks[name] = largest(layer.weight.detach(), share)
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            with torch.no_grad():
                for name, layer in layers.items():
                    layer.weight *= masks[name]
            pixels = augmented(images[chosen], generator)
            with torch.autocast("cpu", torch.bfloat16):
                logits = module(pixels)
                with torch.no_grad():
                    wanted = teacher(pixels)
            loss = distilled(logits.float(), wanted.float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        with torch.no_grad():
            for name, layer in layers.items():
                layer.weight *= masks[name]
        score = accuracy(module, sets.validation.images, sets.validation.labels)
        if epoch >= epochs // 2 and score > best:  # before that it is not yet sparse
            best, kept = score, copy.deepcopy(module.state_dict())
        note(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}, validation {score:.2%}")
    module.load_state_dict(kept)
    form = entry(NAME)
    network = import_module(
        module, form.input_shape, name=NAME, input_max=255, mean=form.mean, std=form.std
    )
    shares = {
        layer.name: float(np.count_nonzero(layer.weight) / layer.weight.size)
        for layer in network.convs
        if layer.trained
    }
    result = quantize(
        network,
        sets.train.images[:512],
        ENGINE,
        settings=QuantizeSettings(density=shares, bits=bits, objective="cycles"),
    )
    test = sets.test
    right = int((Simulator(result).logits(test.images).argmax(1) == test.labels).sum())
    result = replace(
        result,
        metadata=result.metadata
        | {
            "engine": json.dumps(ENGINE.to_dict()),
            "data": "cifar10",
            "validation_accuracy": f"{best:.6f}",
            "test_accuracy": f"{right / len(test.labels):.6f}",
        },
    )
    compile_network(result, ENGINE)
    save_network(result, out)
    weights = sum(layer.weight.size for layer in result.convs if layer.kind != "avgpool")
    nonzeros = sum(layer.nonzeros for layer in result.convs if layer.kind != "avgpool")
    float_right = accuracy(module, test.images, test.labels)
    note(f"{nonzeros:,} of {weights:,} weights; test: {right:,} of {len(test.labels):,} right")
    note(f"before quantization {float_right:.2%}; {out}")


def distilled(logits: Tensor, wanted: Tensor, labels: Tensor) -> Tensor:
    """Return the loss: the labels' and, of that share, the distance from the dense network's."""
    soft = functional.kl_div(
        functional.log_softmax(logits / TEMPERATURE, 1),
        functional.log_softmax(wanted / TEMPERATURE, 1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(logits, labels)
    return DISTILL * TEMPERATURE**2 * soft + (1 - DISTILL) * hard


def largest(weight: Tensor, share: float) -> Tensor:
    """Return the mask of the largest weights."""
    count = max(1, round(share * weight.numel()))
    threshold = weight.abs().flatten().kthvalue(weight.numel() - count + 1).values
    return (weight.abs() >= threshold).to(weight.dtype)


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images moved by up to four pixels each way, half of them mirrored."""
    count, _, height, width = images.shape
    moves = torch.randint(0, 9, (2, count), generator=generator)
    mirror = torch.rand(count, generator=generator) < 0.5
    padded = functional.pad(images, (4, 4, 4, 4))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    moved = windows[torch.arange(count), :, moves[0], moves[1]]
    moved = torch.where(mirror[:, None, None, None], moved.flip(3), moved)
    return moved.contiguous(memory_format=torch.channels_last)


def accuracy(module: nn.Module, images: object, labels: object) -> float:
    """Return the share of images that the module classifies correctly."""
    module.eval()
    pixels = torch.from_numpy(np.asarray(images)).float()
    with torch.no_grad():
        best = torch.cat([module(part).argmax(1) for part in pixels.split(500)])
    return float((best.numpy() == np.asarray(labels)).mean())


if __name__ == "__main__":
    typer.run(main)
