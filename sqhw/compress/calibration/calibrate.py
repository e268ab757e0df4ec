"""From real to integer arithmetic: scales, multipliers and bias shifts of every layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sqhw.compiler.accumulator import SHARE
from sqhw.compress.qat.average import QatAverage
from sqhw.compress.qat.convolution import LearningConv
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integer_layers import IntegerConv, IntegerLayer, integer_layer
from sqhw.compress.qat.integer_plan import IntegerPlan
from sqhw.compress.qat.integers import acc_limit
from sqhw.compress.qat.layer import LearningLayer
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.qat.requantize import best_index_step, best_step, dyadic
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FUNCTIONS, max_pool
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat, signed_width
from sqhw.network.activations import table_of
from sqhw.network.floats import FloatConv
from sqhw.network.graph import MaxPool
from sqhw.network.walk import run_graph

#: Number of training images on which methods calibrate activations.
CALIBRATION_IMAGES = 512
#: Least number of bias steps in a unit of the output.
BIAS_PRECISION = 8
#: Factor by which the largest gain may at least grow while the integers learn.
GAIN_ROOM = 1.25


@dataclass(frozen=True, eq=False)
class Activation:
    """A tensor of integers, the real value of their unit, and their format.

    Parameters
    ----------
    values : Tensor, shape (images, channels, height, width)
    scale : float
        Real value of one unit, above 0.
    form : ActivationFormat
    """

    values: Tensor
    scale: float
    form: ActivationFormat


def calibrate(
    model: QatNetwork, pixels: Tensor, engine: EngineConfig, bias_bits: int, *, trained: bool
) -> None:
    """Give every layer its integer plan, first to last, from the integers that reach it.

    In a layer that adds a skip connection the integer weights are small. If they are trained
    further, their unit is the finest one. Otherwise it is the unit in which the codebook is nearest
    to integers.

    Parameters
    ----------
    model : QatNetwork
        Network with its final masks and codebooks.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels of training images.
    engine : EngineConfig
    bias_bits : int
        Largest width of a bias (unit: bit).
    trained : bool
        Whether the integer weights will be trained.

    Raises
    ------
    SqhwError
        If a layer overflows the accumulator even with the smallest weights.
    """

    def conv(layer: FloatConv, found: Mapping[str, Activation]) -> Activation:
        source, step = found[layer.source], model.step(layer)
        if isinstance(step, QatInput):
            step.whole = step.integers(engine)
            return Activation(step(source.values), step.output_scale, layer.output_format)
        real = step.learning() if isinstance(step, IntegerLayer) else step
        assert isinstance(real, LearningLayer)
        skip = found[layer.residual.source] if layer.residual else None
        whole, activation = _plan(real, source, skip, engine, bias_bits, trained)
        model.set_step(layer, whole)
        return activation

    def pool(layer: MaxPool, source: Activation) -> Activation:
        return replace(source, values=max_pool(layer, source.values))

    with torch.no_grad():
        x = Activation(pixels, model.in_scale, model.input_format)
        run_graph(model.network, x, conv, pool)


def _plan(
    layer: LearningLayer,
    source: Activation,
    skip: Activation | None,
    engine: EngineConfig,
    bias_bits: int,
    trained: bool,
) -> tuple[IntegerLayer, Activation]:
    """Return the layer on integers and its output."""
    output = layer.layer.output_format
    average = isinstance(layer, QatAverage) and not layer.layer.has_table
    if average and skip is None and not source.form.signed:
        output = replace(output, signed=False)
    largest = None
    if isinstance(layer, LearningConv) and layer.gain_bits:
        largest = layer.settle_gains()
    residual = layer.layer.residual
    tensors = {residual.source: skip.values} if residual and skip else {}
    top = layer.top
    while True:
        whole = _with_weights(layer, source, skip, output, engine, trained, top)
        _requantization(whole, source, tensors, engine, bias_bits, largest)
        if largest is None or _bound(whole) <= SHARE * acc_limit(engine):
            break
        top = whole.plan.top - 1  # with a gain that was rounded down the bias has more units
    values = whole(source.values, tensors)
    return whole, Activation(values, whole.plan.output_scale, output)


def _requantization(
    layer: IntegerLayer,
    source: Activation,
    tensors: dict[str, Tensor],
    engine: EngineConfig,
    bias_bits: int,
    largest: float | None,
) -> None:
    """Set scale, multiplier and bias shift of the plan. `largest` is the largest gain, if any."""
    plan = layer.plan
    weight = layer.real_weight()
    bias = layer.real_bias(weight)
    unit, output = plan.in_scale * plan.weight_scale, plan.output
    acc = layer.accumulate(source.values, weight, bias, tensors)
    gain = layer.real_gain()
    real_acc = acc * unit if gain is None else acc * (unit * gain).view(1, -1, 1, 1)
    name = layer.layer.activation
    if name is not None:
        step = best_index_step(real_acc, FUNCTIONS[name])
    else:
        step = best_step(real_acc, output.lo, output.hi, clip=not layer.last)
    if layer.layer.ceiling is not None:
        # The format's own clamp is then the ceiling, up to the rounding of the multiplier.
        step = min(step, layer.layer.ceiling / output.hi)
    if largest is None:
        plan.multiplier, plan.shift = dyadic(unit / step, engine.mult_bits)
    else:
        assert isinstance(layer, IntegerConv)
        room = GAIN_ROOM if layer.gain.requires_grad else 1.0
        _, plan.shift = dyadic(room * largest * unit / step, layer.gain_bits)
        plan.multiplier = unit / step * 2.0**plan.shift
        plan.top_multiplier = 1 << layer.gain_bits
        if not layer.gain.requires_grad:
            layer.round_gains()
        weight = layer.real_weight()  # with rounded gains
        bias = layer.real_bias(weight)
    plan.output_scale = unit * 2.0**plan.shift / plan.multiplier
    if name is not None:
        plan.index_scale = plan.output_scale
        values = FUNCTIONS[name](real_acc)
        plan.output_scale = best_step(values, output.lo, output.hi, clip=not layer.last)
        plan.table = table_of(name, plan.index_scale, plan.output_scale, output)
    per_output = 2.0**plan.shift / plan.multiplier / (largest or 1.0)
    plan.bias_shift = max(0, math.floor(math.log2(per_output / BIAS_PRECISION)))
    real = layer.in_units(weight, bias)[1]
    while True:
        plan.bias_bits = 32
        widest = layer.whole_bias(real) / 2**plan.bias_shift
        width = max(signed_width(int(widest.min())), signed_width(int(widest.max())), 2)
        if width <= bias_bits:
            break
        plan.bias_shift += 1
    plan.bias_bits = min(bias_bits, width)


def _bound(layer: IntegerLayer) -> int:
    """Return the static bound of the accumulator with the plan as it is."""
    weight = layer.real_weight()
    return layer.bound(*layer.in_units(weight, layer.real_bias(weight)))


def _with_weights(
    layer: LearningLayer,
    source: Activation,
    skip: Activation | None,
    output: ActivationFormat,
    engine: EngineConfig,
    trained: bool,
    top: int,
) -> IntegerLayer:
    """Return the layer with the largest integers, up to `top`, that the accumulator admits."""
    limit = int(SHARE * acc_limit(engine))
    largest = layer.largest()
    first = top if skip is None else _most_skip_weight(layer, source, skip)
    if skip is not None and isinstance(layer, LearningConv) and not trained:
        first = _best_skip_weight(layer, source, skip, first)
    step = first
    while step > 0:
        plan = IntegerPlan(source.form, output, source.scale, largest / step, step)
        if skip is not None:
            plan.skip, plan.skip_weight = skip.form, step
            plan.top = layer.top
            # The skip connection is exact: its unit is `step` units of the accumulator. Where that
            # would take weights out of their range, the skip tensor is so small that its rounding
            # does not matter.
            plan.weight_scale = max(
                skip.scale / (source.scale * step), largest / layer.top * (1 - 1e-6)
            )
        whole = integer_layer(layer, plan)
        bound = _bound(whole)
        if bound <= limit:
            return whole
        # The bound is nearly proportional to the step. After the estimate it falls by one a time.
        step = min(step - 1, math.floor(step * limit / bound) + 1) if step == first else step - 1
    raise SqhwError(
        f"layer {layer.layer.name!r}: its accumulator needs more than "
        f"{engine.acc_bits} bits even with weights of one unit; "
        "use a wider accumulator (--acc-bits) or a smaller budget"
    )


def _most_skip_weight(layer: LearningLayer, source: Activation, skip: Activation) -> int:
    """Return the largest weight of the skip with which the layer's weights stay in their range.

    It is at most 127. Where that bound holds, the skip's unit is large against the weights, and the
    integer weights are smaller, hence coarser, than they could be.
    """
    ratio = layer.top * skip.scale / (source.scale * layer.largest())
    return max(1, min(127, math.floor(ratio * (1 + 1e-6))))


def _best_skip_weight(layer: LearningConv, source: Activation, skip: Activation, most: int) -> int:
    """Return the skip's weight, above half of `most`, at which the others have the least error."""

    def error(step: int) -> float:
        return layer.rounding_error(skip.scale / (source.scale * step))

    return min(range(most, most // 2, -1), key=error)
