"""Notes on the layers that lose signal to a limit of the engine, and on the cures."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sqhw.arrays import Mask
from sqhw.compiler.accumulator import SHARE, signed_bits
from sqhw.compress.qat.codebook_weights import codebook_weights
from sqhw.compress.qat.input import QatInput
from sqhw.compress.qat.integer_layers import IntegerConv, IntegerLayer
from sqhw.compress.qat.integer_plan import IntegerPlan
from sqhw.compress.qat.integers import GAIN_BITS, WEIGHT_TOP, acc_limit, held_gain_bits
from sqhw.compress.qat.network import QatNetwork
from sqhw.frontends.torch_module.float_module import max_pool, padded_conv, with_residual
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.walk import run_graph

#: Number of images on which the noise is measured.
IMAGES = 32
#: Least loss that is noted (unit: dB).
NOTED_DB = 3.0
#: Largest number of notes that are written out.
MOST_NOTES = 5
#: Standard deviation of a channel, in units of the map, below which rounding leaves no signal.
LOST = 0.25
#: Standard deviation of a channel, relative to the layer's largest, below which it counts as dead.
DEAD = 1e-4


_Scaled = tuple[Tensor, float]  # integers, and the real value of their unit
_Note = tuple[float, str]  # mean share of noise in the channels of a layer, and a sentence


@dataclass(frozen=True, eq=False)
class _Probe:
    """A layer with the integers that reach it.

    Parameters
    ----------
    layer : IntegerConv
    x : Tensor
        Input map, in real units.
    skip : dict of str to Tensor
        Tensor of the skip connection, if there is one, in real units.
    telling : Tensor of bool, shape (out_channels,)
        Channels that carry information.
    fixed : str
        Reason why channels of the layer's map cannot have scales of their own; empty if they can.
    """

    layer: IntegerConv
    x: Tensor
    skip: dict[str, Tensor]
    telling: Tensor
    fixed: str

    def output(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the layer's output before its activation function."""
        y = padded_conv(self.x.double(), weight.double(), bias.double(), self.layer.layer)
        return with_residual(y, self.layer.layer.residual, self.skip)

    def noise(self, weight: Tensor, bias: Tensor) -> float:
        """Return the mean share of noise in the channels, 0 to 1.

        The noise is relative to the float layer on the same inputs, and includes the rounding to
        the unit of the map.
        """
        plan = self.layer.plan
        real = self.layer.float_weight()
        wanted = self.output(real, self.layer.full_bias(real))
        error = (self.output(weight, bias) - wanted).pow(2).mean(dim=(0, 2, 3))
        error = error + plan.sum_scale**2 / 12
        signal = wanted.var(dim=(0, 2, 3), correction=0)
        used = (signal > 0) & self.telling
        return float((error[used] / signal[used]).clamp(max=1.0).mean()) if used.any() else 0.0


def limit_notes(
    model: QatNetwork, pixels: Tensor, engine: EngineConfig, telling: Mapping[str, Mask]
) -> list[str]:
    """Return a sentence for each layer that lost more than 3 dB to a limit, or is constant.

    Each limit is lifted by itself, and the noise of the layer is compared. The noise is relative to
    the signal of each channel, with the layer's inputs on integers. The layers with the most noise
    come first. Sentences after the first `MOST_NOTES` are counted only.

    Parameters
    ----------
    model : QatNetwork
        Network on integers.
    pixels : Tensor, shape (images, channels, height, width)
        Raw pixels. The first `IMAGES` images are used.
    engine : EngineConfig
    telling : mapping of str to ndarray of bool, shape (out_channels,)
        Channels of each layer that carry information
        (`sqhw.compress.calibration.equalise.telling_channels`).
    """
    notes: list[_Note] = []

    def conv(layer: FloatConv, found: Mapping[str, _Scaled]) -> _Scaled:
        (x, scale), step = found[layer.source], model.step(layer)
        if isinstance(step, QatInput):
            return step(x), step.output_scale
        assert isinstance(step, IntegerLayer)
        skips = {layer.residual.source: found[layer.residual.source]} if layer.residual else {}
        y = step(x, {name: value for name, (value, _) in skips.items()})
        if isinstance(step, IntegerConv):
            real = {name: value.double() * unit for name, (value, unit) in skips.items()}
            counted = torch.from_numpy(telling[layer.name])
            probe = _Probe(step, x * scale, real, counted, _fixed(model.network, step))
            notes.extend(_notes(probe, engine))
            if bool((y == y[:1, :, :1, :1]).all()):
                text = (
                    f"layer {layer.name!r}: its output is the same for all calibration images; "
                    "the layer, or one before it, has lost its signal"
                )
                notes.append((math.inf, text))
        return y, step.plan.output_scale

    def pool(layer: MaxPool, source: _Scaled) -> _Scaled:
        return max_pool(layer, source[0]), source[1]

    with torch.no_grad():
        run_graph(model.network, (pixels[:IMAGES], model.in_scale), conv, pool)
    notes.sort(key=lambda note: -note[0])
    texts = [text for _, text in notes[:MOST_NOTES]]
    if len(notes) > MOST_NOTES:
        more = with_noun(len(notes) - MOST_NOTES, "more such note")
        texts.append(f"and {more}, on layers with less noise")
    return texts


def _fixed(network: FloatNetwork, layer: IntegerConv) -> str:
    """Return why the channels of a layer's map have one scale, empty if they need not."""
    if layer.layer.residual is not None:
        return "its skip connection"
    if layer.layer.ceiling is not None:
        return "its ReLU with a ceiling"
    if layer.last:
        return "the network's output"
    for reader in network.layers:
        if (
            not isinstance(reader, MaxPool)
            and reader.residual is not None
            and reader.residual.source == layer.layer.name
        ):
            return f"the skip connection to layer {reader.name!r}"
    return ""


def _notes(probe: _Probe, engine: EngineConfig) -> list[_Note]:
    """Return sentences on a layer, each with the mean share of noise in the layer's channels."""
    layer = probe.layer
    weight = layer.real_weight()
    bias = _whole_bias(layer, weight)
    actual = probe.noise(weight, bias)
    notes = [(actual, text) for text in _lost_channels(probe)]
    for lift in (_accumulator, _skip, _one_scale, _bias):
        lifted = lift(probe, weight, bias, engine)
        if lifted is None:
            continue
        noise, reason = lifted
        if noise > 0 and actual > noise * 10 ** (NOTED_DB / 10):
            text = (
                f"layer {layer.layer.name!r}: its signal is {decibels(actual)} above the noise "
                f"instead of {decibels(noise)}: {reason}"
            )
            notes.append((actual, text))
    return notes


def _lost_channels(probe: _Probe) -> list[str]:
    """Return a sentence if channels that are not dead vary by less than the map's unit shows."""
    layer, plan = probe.layer, probe.layer.plan
    real = layer.float_weight()
    spread = probe.output(real, layer.full_bias(real)).std(dim=(0, 2, 3), correction=0)
    lost = probe.telling & (spread > DEAD * spread.max()) & (spread < LOST * plan.sum_scale)
    if not bool(lost.any()):
        return []
    text = (
        f"layer {layer.layer.name!r}: {int(lost.sum())} of its {len(lost)} channels vary by less "
        "than a quarter of a unit of its 8-bit map and keep no signal; the map has one scale"
    )
    return [f"{text}, which {probe.fixed} fixes" if probe.fixed else text]


def decibels(noise: float) -> str:
    """Return the ratio of signal to noise as text; `noise` is the inverse, above 0 to 1."""
    return f"{max(0.0, -10 * math.log10(noise)):.1f} dB"


def with_noun(number: int, noun: str) -> str:
    """Return a number and its noun, which is in the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


Lifted = tuple[float, str] | None


def _accumulator(probe: _Probe, weight: Tensor, bias: Tensor, engine: EngineConfig) -> Lifted:
    """Return the noise with an accumulator of any width."""
    layer, plan = probe.layer, probe.layer.plan
    if layer.layer.residual is not None or plan.top >= WEIGHT_TOP:
        return None
    wide = replace(plan, weight_scale=plan.weight_scale * plan.top / WEIGHT_TOP, top=WEIGHT_TOP)
    with _planned(layer, wide):
        found = layer.real_weight()
        need = layer.bound(*layer.in_units(found, layer.real_bias(found)))
    width = min(32, signed_bits(math.ceil(need / SHARE)))
    cure = f"--acc-bits {width} would keep them" if width > engine.acc_bits else "prune it"
    return probe.noise(found, bias), (
        f"an accumulator of {engine.acc_bits} bits leaves {with_noun(plan.top, 'step')} to its "
        f"largest weight; {cure}"
    )


def _skip(probe: _Probe, weight: Tensor, bias: Tensor, engine: EngineConfig) -> Lifted:
    """Return the noise if the skip connection did not set the unit of the weights."""
    layer, plan = probe.layer, probe.layer.plan
    if layer.layer.residual is None:
        return None
    own = replace(plan, weight_scale=layer.largest() / WEIGHT_TOP, top=WEIGHT_TOP)
    steps = round(layer.largest() / plan.weight_scale)
    reason = (
        f"the unit of its skip connection leaves {with_noun(steps, 'step')} to its largest weight"
    )
    if layer.bound(*layer.in_units(weight, bias)) > SHARE * acc_limit(engine) / 2:
        reason += " within the accumulator; more --acc-bits would leave more"
    else:
        reason += "; `sqhw compress` trains weights that suit it"
    with _planned(layer, own):
        found = layer.real_weight()
    return probe.noise(found, bias), reason


def _one_scale(probe: _Probe, weight: Tensor, bias: Tensor, engine: EngineConfig) -> Lifted:
    """Return the noise if each channel had the whole codebook in its own range."""
    layer = probe.layer
    if layer.layer.residual is not None:
        reason = (
            "its channels, of different ranges, have one scale, since they cannot have gains "
            "beside a skip connection"
        )
    elif layer.gain_bits or held_gain_bits(GAIN_BITS, engine) == 0:
        bits = with_noun(layer.gain_bits, "bit")
        reason = f"multipliers that differ by {bits} do not span its channels"
    else:
        return None  # gains made the network no better
    few = layer.layer.residual is None and layer.gain_bits < GAIN_BITS
    reason += (
        "; an engine of more mult_bits would"
        if few
        else "; `sqhw compress` trains weights that suit it"
    )
    kept = layer.float_weight() * layer.mask
    tops = kept.abs().amax(dim=(1, 2, 3), keepdim=True)
    share = torch.where(tops > 0, tops / tops.max().clamp(min=1e-30), torch.ones_like(tops))
    book = torch.sort(layer.codebook.detach()).values
    book = torch.unique(torch.cat((book, torch.zeros_like(book[:1]))))
    everything = torch.ones_like(layer.weight)
    own = codebook_weights(kept / share, book, everything, masked_grad=True) * share
    return probe.noise(own, bias), reason


def _bias(probe: _Probe, weight: Tensor, bias: Tensor, engine: EngineConfig) -> Lifted:
    """Return the noise with exact biases."""
    plan = probe.layer.plan
    return probe.noise(weight, probe.layer.real_bias(weight)), (
        f"biases of {with_noun(plan.bias_bits, 'bit')} are multiples of "
        f"{with_noun(2**plan.bias_shift, 'unit')} of the accumulator; raise bias_bits"
    )


def _whole_bias(layer: IntegerConv, weight: Tensor) -> Tensor:
    """Return the biases that the layer computes with, in real units."""
    plan, gain = layer.plan, layer.real_gain()
    unit = (
        plan.in_scale * plan.weight_scale * (torch.ones_like(layer.bias) if gain is None else gain)
    )
    return layer.whole_bias(layer.in_units(weight, layer.real_bias(weight))[1]) * unit


@contextmanager
def _planned(layer: IntegerConv, plan: IntegerPlan) -> Iterator[None]:
    """Give a layer another plan inside of a `with` block."""
    own, layer.plan = layer.plan, plan
    try:
        yield
    finally:
        layer.plan = own
