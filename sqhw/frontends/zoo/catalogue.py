"""The networks of the zoo by name, and what each of them is fed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from sqhw.errors import unknown_name
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.zoo.checkpoint import load_checkpoint
from sqhw.frontends.zoo.digits import DigitsCnn
from sqhw.frontends.zoo.ds_cnn import DsCnn
from sqhw.frontends.zoo.lenet import LeNet5Caffe
from sqhw.frontends.zoo.mobilenet import MobileNetV1, MobileNetV2
from sqhw.frontends.zoo.resnet import resnet18, resnet20, resnet56, resnet110
from sqhw.frontends.zoo.resnet8 import ResNet8
from sqhw.frontends.zoo.vgg import Vgg16
from sqhw.network.floats import FloatNetwork
from sqhw.network.graph import Shape
from sqhw.seeds import check_seed


@dataclass(frozen=True)
class ZooEntry:
    """A network of the zoo.

    Parameters
    ----------
    make : callable
        Returns the untrained module for a number of classes; it maps normalised images to logits.
    input_shape : tuple of int (channels, height, width)
    outputs : int
        Number of classes of the published network.
    mean, std : tuple of float
        Normalisation ``(pixel / input_max - mean) / std``: one value, or one a channel.
    shift : int
        Augmentation: pixels that training images are moved by at most.
    input_max : int
        Largest pixel value of the data that the network is meant for.
    """

    make: Callable[[int], nn.Module]
    input_shape: Shape
    outputs: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shift: int
    input_max: int = 255


IMAGE = (3, 32, 32)
# The residual networks of depth 6 n + 2 are published with ImageNet's statistics, others with
# CIFAR's own.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
RAW = ((0.0,), (1 / 255,))
# A coefficient is (byte - 211) * 0.5847029, the input format of MLPerf Tiny's quantized network.
CEPSTRUM = ((211 / 255,), (1 / (255 * 0.5847029),))

ZOO = {
    "digits-cnn": ZooEntry(DigitsCnn, (1, 8, 8), 10, (0.0,), (0.5,), 1, 16),
    "lenet5-caffe": ZooEntry(LeNet5Caffe, (1, 28, 28), 10, (0.1307,), (0.3081,), 0),
    "resnet8": ZooEntry(ResNet8, IMAGE, 10, *RAW, 4),
    "resnet20": ZooEntry(resnet20, IMAGE, 10, *IMAGENET, 4),
    "resnet56": ZooEntry(resnet56, IMAGE, 10, *IMAGENET, 4),
    "resnet110": ZooEntry(resnet110, IMAGE, 10, *IMAGENET, 4),
    "resnet18": ZooEntry(resnet18, IMAGE, 10, *CIFAR, 4),
    "vgg16": ZooEntry(Vgg16, IMAGE, 10, *CIFAR, 4),
    "mobilenetv1": ZooEntry(MobileNetV1, IMAGE, 10, *CIFAR, 4),
    "mobilenetv2": ZooEntry(MobileNetV2, IMAGE, 10, *CIFAR, 4),
    "ds-cnn": ZooEntry(DsCnn, (1, 49, 10), 12, *CEPSTRUM, 0),
}


def entry(name: str) -> ZooEntry:
    """Return the zoo's entry of that name.

    Raises
    ------
    SqhwError
        If there is none.
    """
    if name not in ZOO:
        raise unknown_name("network", name, ZOO)
    return ZOO[name]


def build(name: str) -> nn.Module:
    """Return an untrained network of the zoo; its weights come from torch's global seed.

    Raises
    ------
    SqhwError
        If the zoo has no network of that name.
    """
    form = entry(name)
    return form.make(form.outputs)


def float_network(name: str, checkpoint: str | Path | None = None, seed: int = 0) -> FloatNetwork:
    """Return a network of the zoo with trained weights from a file, or with random ones.

    Parameters
    ----------
    name : str
    checkpoint : str or Path, optional
        A safetensors file of the module's state dict, under the keys that are usual for the
        network; ``num_batches_tracked`` may lack.
    seed : int, 0 to 2^64 - 1
        Seed of random weights.

    Returns
    -------
    FloatNetwork

    Raises
    ------
    SqhwError
        If the zoo has no network of that name, or the file does not suit it: file, tensor and
        shapes are named.
    """
    form = entry(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_seed(seed))
        module = form.make(form.outputs)
    if checkpoint is not None:
        load_checkpoint(module, Path(checkpoint), name)
    source = {"seed": str(seed)} if checkpoint is None else {"checkpoint": Path(checkpoint).name}
    network = import_module(
        module,
        form.input_shape,
        name=name,
        input_max=form.input_max,
        mean=form.mean,
        std=form.std,
    )
    return replace(network, metadata=source | network.metadata)
