"""Training, import and compression of networks: the part of sqhw that runs on torch."""

from sqhw.compress.float_module import FloatModule, evaluate
from sqhw.compress.importer import import_module
from sqhw.compress.joint import compress
from sqhw.compress.oneshot import quantize, random_quantized
from sqhw.compress.quantized_forward import torch_logits
from sqhw.compress.settings import CompressSettings
from sqhw.compress.train import TrainSettings, train
from sqhw.compress.zoo import build, float_network
from sqhw.float_file import load_float, save_float
from sqhw.float_network import FloatConv, FloatMaxPool, FloatNetwork, FloatResidual

__all__ = [
    "CompressSettings",
    "FloatConv",
    "FloatMaxPool",
    "FloatModule",
    "FloatNetwork",
    "FloatResidual",
    "TrainSettings",
    "build",
    "compress",
    "evaluate",
    "float_network",
    "import_module",
    "load_float",
    "quantize",
    "random_quantized",
    "save_float",
    "torch_logits",
    "train",
]
