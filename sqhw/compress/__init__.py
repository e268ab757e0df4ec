"""Training, import and compression of networks: the part of sqhw that runs on torch."""

from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.calibration.random_network import random_quantized
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.joint import compress
from sqhw.compress.methods.joint_settings import CompressSettings
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.compress.training.train import TrainSettings, train
from sqhw.frontends.torch_module import import_module
from sqhw.frontends.torch_module.float_module import FloatModule, evaluate
from sqhw.frontends.zoo.catalogue import build, float_network
from sqhw.network.float_file import load_float, save_float
from sqhw.network.floats import FloatConv, FloatNetwork, FloatResidual
from sqhw.network.graph import MaxPool

__all__ = [
    "CompressSettings",
    "FloatConv",
    "FloatModule",
    "FloatNetwork",
    "FloatResidual",
    "Job",
    "MaxPool",
    "QuantizeSettings",
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
