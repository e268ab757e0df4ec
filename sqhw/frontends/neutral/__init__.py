"""The neutral graph: what every reader of model files makes, without torch and without onnx.

A reader makes a `Graph` of operators on tensors of shape (channels, height, width). Real numbers
and integers are told apart by the `Quantization` of a tensor or a constant. A graph without
quantizations becomes a float network, one with them a quantized network.
"""

from sqhw.frontends.neutral.concatenation import Concatenation, Leaky
from sqhw.frontends.neutral.constant import Constant
from sqhw.frontends.neutral.elementwise import Function, Lookup, Product, looked_up
from sqhw.frontends.neutral.graph import Graph, Tensor
from sqhw.frontends.neutral.operators import (
    Add,
    Affine,
    AveragePooling,
    Clip,
    Convolution,
    Flatten,
    Linear,
    MaxPooling,
    Operator,
    Pad,
    Quantize,
    Subsample,
    Unflatten,
)
from sqhw.frontends.neutral.problems import Problem, Refused, refuse
from sqhw.frontends.neutral.quantization import Quantization

__all__ = [
    "Add",
    "Affine",
    "AveragePooling",
    "Clip",
    "Concatenation",
    "Constant",
    "Convolution",
    "Flatten",
    "Function",
    "Graph",
    "Leaky",
    "Linear",
    "Lookup",
    "MaxPooling",
    "Operator",
    "Pad",
    "Problem",
    "Product",
    "Quantization",
    "Quantize",
    "Refused",
    "Subsample",
    "Tensor",
    "Unflatten",
    "looked_up",
    "refuse",
]
