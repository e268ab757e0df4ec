"""Rows of networks of the zoo that PyTorch exports as ONNX."""

import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.frontends.row import Case, Images, Row, Sources, right
from sqhw.frontends import import_onnx
from sqhw.frontends.folding.float_walk import logits, normalised
from sqhw.frontends.onnx_file.convert import read_onnx
from sqhw.frontends.onnx_file.oracle import Oracle
from sqhw.frontends.zoo.catalogue import build, entry
from sqhw.network.floats import FloatNetwork

BATCH = 500  # images at a time
#: Images of exported networks: the float walk takes tens of milliseconds for one.
EXPORTED_IMAGES = 200


def exported(name: str, dynamo: bool, sources: Sources) -> Row:
    """Return the row of a network of the zoo that PyTorch exports."""
    form = entry(name)
    module = _module(name, sources).eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"{name}.onnx"
        example = torch.zeros(1, *form.input_shape)
        torch.onnx.export(module, (example,), str(path), dynamo=dynamo, verbose=False)
        start = time.process_time()
        network = import_onnx(path, input_max=form.input_max, mean=form.mean, std=form.std)
        seconds = time.process_time() - start
        graph = read_onnx(path)
        oracle = Oracle(path, graph)
    test = sources.data("cifar10").test
    images = test.images[: min(sources.images, EXPORTED_IMAGES)]
    labels = test.labels[: len(images)]
    x = normalised(images, form.input_max, form.mean, form.std)
    other = oracle(x)
    own = _scores(network, images)
    with torch.no_grad():
        torch_scores = module(torch.from_numpy(x).float()).numpy()
    worst = max(np.abs(own - scores).max() for scores in (other, torch_scores))
    trained = (sources.models / f"{name}.safetensors").exists()
    return Row(
        model=f"{name} of the zoo" + ("" if trained else ", random weights"),
        spelling=f"ONNX, torch.onnx.export, dynamo={dynamo}",
        against=f"{oracle.name} and torch {torch.__version__.split('+')[0]}",
        images=len(images),
        accuracy=right(other, labels) if trained else None,
        imported=right(own, labels) if trained else None,
        difference=f"{worst:.1e}, scores go up to {np.abs(other).max():.3g}",
        seconds=seconds,
    )


def _module(name: str, sources: Sources) -> torch.nn.Module:
    """Return a network of the zoo; random weights get statistics that keep values in range."""
    from sqhw.frontends.zoo.checkpoint import load_checkpoint

    torch.manual_seed(0)
    module = build(name)
    checkpoint = sources.models / f"{name}.safetensors"
    if checkpoint.exists():
        load_checkpoint(module, checkpoint, name)
        return module
    module.train()
    with torch.no_grad():
        for _ in range(20):
            module(torch.randn(16, *entry(name).input_shape))
    return module


def _scores(network: FloatNetwork, images: Images) -> np.ndarray:
    parts = np.array_split(images, -(-len(images) // 20))
    return np.concatenate([logits(network, part, np.float32) for part in parts])


CASES: dict[str, Case] = {
    "resnet20": partial(exported, "resnet20", False),
    "resnet20-dynamo": partial(exported, "resnet20", True),
    "mobilenetv2": partial(exported, "mobilenetv2", False),
    "mobilenetv2-dynamo": partial(exported, "mobilenetv2", True),
}
