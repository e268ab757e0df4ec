"""From real to integer arithmetic: scales, multipliers and bias steps of every layer."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sqhw.compress.float_network import FloatMaxPool
from sqhw.compress.qat import IntegerPlan, QatConv, QatNetwork
from sqhw.compress.requantize import best_step, dyadic, requantize
from sqhw.engine import EngineConfig
from sqhw.errors import SqhwError
from sqhw.number import ActivationFormat, signed_width

WEIGHT_TOP = 127
BIAS_PRECISION = 8  # bias steps in an output unit, at least
ACC_SHARE = 0.9  # of the accumulator's range; the rest is for the fine-tuning


def calibrate(model: QatNetwork, pixels: Tensor, engine: EngineConfig, bias_bits: int) -> None:
    """Give every layer its integer plan, first to last, from the integers that reach it.

    Parameters
    ----------
    model : QatNetwork
        With its final masks and codebooks.
    pixels : Tensor, shape (images, channels, height, width)
        Raw training images.
    engine : EngineConfig
    bias_bits : int
        Width of a bias at most.

    Raises
    ------
    SqhwError
        If a layer does not fit the accumulator even with the smallest weights.
    """
    layers = iter(model.layers())
    x, scale, fmt = pixels, model.in_scale, model.input_format
    with torch.no_grad():
        for step in model.network.layers:
            if isinstance(step, FloatMaxPool):
                x = functional.max_pool2d(x, step.kernel, step.stride)
                continue
            layer = next(layers)
            x = _plan(layer, x, scale, fmt, engine, bias_bits)
            assert layer.plan is not None
            scale, fmt = layer.plan.output_scale, layer.plan.output


def acc_limit(engine: EngineConfig) -> int:
    """Return the largest accumulator value of the engine."""
    return (1 << (engine.acc_bits - 1)) - 1


def _plan(
    layer: QatConv,
    x: Tensor,
    in_scale: float,
    source: ActivationFormat,
    engine: EngineConfig,
    bias_bits: int,
) -> Tensor:
    """Set the layer's plan and return its integer output."""
    book_top = float(layer.codebook.abs().max()) or 1.0
    output = ActivationFormat(8, signed=not layer.layer.relu)
    plan = _weight_plan(layer, book_top, in_scale, source, output, engine)
    weight = layer.real_weight()
    bias = layer.real_bias(weight)
    unit = plan.in_scale * plan.weight_scale
    acc = layer.accumulate(x, weight, bias)
    step = best_step(acc * unit, output.lo, output.hi, clip=not layer.last)
    plan.multiplier, plan.shift = dyadic(unit / step, engine.mult_bits)
    plan.output_scale = unit * 2.0**plan.shift / plan.multiplier
    per_output = 2.0**plan.shift / plan.multiplier
    plan.bias_shift = max(0, math.floor(math.log2(per_output / BIAS_PRECISION)))
    real = bias / unit
    while True:
        plan.bias_bits = 32
        widest = layer.whole_bias(real) / 2**plan.bias_shift
        width = max(signed_width(int(widest.min())), signed_width(int(widest.max())), 2)
        if width <= bias_bits:
            break
        plan.bias_shift += 1
    plan.bias_bits = min(bias_bits, width)
    acc = layer.accumulate(x, weight, bias)
    return requantize(acc, plan.multiplier, plan.shift, output.lo, output.hi)


def _weight_plan(
    layer: QatConv,
    book_top: float,
    in_scale: float,
    source: ActivationFormat,
    output: ActivationFormat,
    engine: EngineConfig,
) -> IntegerPlan:
    """Return a plan with the largest integer weights that the accumulator admits."""
    limit = acc_limit(engine)
    for top in range(WEIGHT_TOP, 0, -1):
        plan = IntegerPlan(source, output, in_scale, book_top / top, top)
        layer.plan = plan
        weight = layer.real_weight()
        bias = layer.real_bias(weight) / (in_scale * plan.weight_scale)
        if layer.bound(weight / plan.weight_scale, bias) <= ACC_SHARE * limit:
            return plan
    raise SqhwError(
        f"layer {layer.layer.name!r}: its accumulator needs more than "
        f"{engine.acc_bits} bits even with weights of one unit; "
        "use a wider accumulator or a smaller budget"
    )
