"""Layers of the network that is being made: convolutions whose requantization is fitted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Refused
from sqhw.frontends.quantized.fit import Response, fit
from sqhw.frontends.quantized.held import Held
from sqhw.frontends.quantized.skips import Skipped
from sqhw.frontends.quantized.sums import SUM_TOP, Sums, Window, sum_ends, sums_of
from sqhw.frontends.quantized.views import View
from sqhw.machine.number import ActivationFormat, distinct_bytes
from sqhw.machine.stream import Dense
from sqhw.network.graph import MaxPool, Padding, Shape, Stride
from sqhw.network.quantized import Conv, Layer, Residual

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]
#: Function of sums of weight times (integer - zero point), shape (channels, n), that returns the
#: file's integers without bounds.
OfSums = Callable[[Numbers], Numbers]
#: Largest and smallest weight.
WEIGHT_TOP, WEIGHT_LOW = 127, -128
#: Shift of a channel that is constant, so that 127 times an activation of 8 bits is below a half.
SKIP_SHIFT = 16
#: Largest sum that weights are multiplied for, so that biases have finer steps.
FINE_TOP = 1 << 22


@dataclass(frozen=True)
class Fit:
    """How near a layer's requantization comes to that of the file.

    Parameters
    ----------
    layer : str
        Name of the layer.
    differing, inputs : int
        Inputs of the requantization for which the outputs differ, and all inputs: sums, or pairs of
        integers of an addition.
    """

    layer: str
    differing: int
    inputs: int


@dataclass(eq=False)
class Making:
    """The layers so far.

    Attributes
    ----------
    layers : list of Conv or MaxPool
    fits : list of Fit
        One for each requantization.
    notes : dict of str to None
        Sentences on what was added, in order.
    """

    layers: list[Layer] = field(default_factory=list)
    fits: list[Fit] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    def weighted(
        self,
        name: str,
        x: View,
        window: Window,
        of_sums: OfSums,
        target: Held,
        skip: Skipped | None = None,
    ) -> None:
        """Add the layer `name` that makes the integers of a file from sums over a map.

        Parameters
        ----------
        name : str
        x : View
            Map that it reads.
        window : Window
            Weights, negated in channels whose output falls with the sum.
        of_sums : callable
        target : Held
            How the output is held.
        skip : Skipped, optional
            Map that is added to the sums.
        """
        sums = self._bordered(name, x, window) or sums_of(x, window)
        if skip is not None:
            sums = sums.plus(skip)

        def held(values: Integers) -> Integers:
            return target.of_file(of_sums(sums.centred(values)))

        form, low, high = target.form, target.lowest, target.highest
        ends = np.concatenate([held(sums.low[:, None]), held(sums.high[:, None])])
        if target.clamped or (low <= ends.min() and ends.max() <= high):
            self._fitted(name, sums, lambda values: held(values).clip(low, high), target)
            return
        first, shape = f"{name}_unbounded", (len(sums.low), 1, 1)
        self.notes[f"layer {name!r} sets the bounds {low} and {high} of {first!r}"] = None
        if low == form.lo:  # the upper bound is moved to the end of the format, and back

            def raised(values: Integers) -> Integers:
                return (held(values) + form.hi - high).clip(form.lo, form.hi)

            self._fitted(first, sums, raised, target)
            self.moved(name, first, shape, target, bias=high - form.hi)
        elif high == form.hi and window.kind != "avgpool" and skip is None:
            # the lower bound likewise, with the sign turned
            top, turned = form.hi + low, sums.negated()

            def falling(values: Integers) -> Integers:
                return (top - held(-values)).clip(form.lo, form.hi)

            self._fitted(first, turned, falling, target)
            self.moved(name, first, shape, target, bias=top, sign=-1)
        else:
            self._fitted(first, sums, lambda values: held(values).clip(form.lo, form.hi), target)
            self.bound(name, first, shape, target)

    def maximum(
        self, name: str, x: View, kernel: tuple[int, int], stride: Stride, padding: Padding
    ) -> None:
        """Add the maximum `name`; one with padding of signed values is taken on shifted ones.

        The engine pads with 0. Values less the lowest of their format are never below it.
        """
        if not (any(padding) and x.held.form.signed):
            self.layers.append(MaxPool(name, x.map, kernel, stride, padding))
            return
        form, bits = x.held.form, x.held.form.bits
        raised = replace(x.held, form=ActivationFormat(bits, signed=False))
        shape, first, largest = (x.shape[0], 1, 1), f"{name}_raised", f"{name}_maximum"
        self.moved(first, x.map, shape, raised, bias=-form.lo)
        self.layers.append(MaxPool(largest, first, kernel, stride, padding))
        self.moved(name, largest, shape, x.held, bias=form.lo)
        self.notes[
            f"layers {first!r} and {name!r} move the values of a padded maximum, as the engine "
            "pads with 0"
        ] = None

    def bound(self, name: str, source: str, shape: Shape, target: Held) -> None:
        """Add layers that set the bounds of `target` to a map of its format, values as they are.

        A layer bounds at the ends of the format. Values are moved to one end, and the sign turned
        to meet the other.
        """
        form, low, high = target.form, target.lowest, target.highest
        if high < form.hi:
            self.moved(f"{name}_high", source, shape, target, bias=form.hi - high)
            self.moved(
                f"{name}_low" if low > form.lo else name,
                f"{name}_high",
                shape,
                target,
                bias=high - form.hi,
            )
            source = f"{name}_low"
        if low > form.lo:
            top = form.hi + low
            self.moved(f"{name}_turned", source, shape, target, bias=top, sign=-1)
            self.moved(name, f"{name}_turned", shape, target, bias=top, sign=-1)

    def moved(
        self, name: str, source: str, shape: Shape, target: Held, bias: int = 0, sign: int = 1
    ) -> None:
        """Add the layer ``sign * x + bias``, within the format of `target`."""
        weight = sign * np.eye(shape[0], dtype=np.int64)[:, :, None, None]
        self.append(
            name,
            source,
            Window(weight, np.full(shape[0], target.unit)),
            target,
            requantized=tuple(np.full(shape[0], value) for value in (bias, 1, 0)),
        )

    def append(
        self,
        name: str,
        source: str,
        window: Window,
        target: Held,
        requantized: tuple[Integers, ...],
        residual: Residual | None = None,
    ) -> None:
        """Add a convolution.

        Parameters
        ----------
        name, source : str
        window : Window
        target : Held
        requantized : tuple of ndarray of int64 (bias, multiplier, shift), shape (outputs,)
        residual : Residual, optional

        Raises
        ------
        Refused
            If a weight or bias exceeds the engine's.
        """
        weight = window.weight
        if weight.size and not WEIGHT_LOW <= weight.min() <= weight.max() <= WEIGHT_TOP:
            raise Refused(
                f"has weights of {weight.min()} to {weight.max()}; the engine has {WEIGHT_LOW} to "
                f"{WEIGHT_TOP}",
                "quantize weights symmetrically to 8 bits or fewer",
            )
        bias, multiplier, shift = requantized
        if np.abs(bias).max() > SUM_TOP:
            raise Refused(f"has a bias of {bias[np.abs(bias).argmax()]}, beyond 32 bits")
        if window.kind == "avgpool":
            codebook: tuple[int, ...] = (1,)
            stream = Dense(0)
        else:
            codebook = tuple(int(value) for value in distinct_bytes(weight.astype(np.int8)))
            stream = Dense().coded(len(codebook))
        self.layers.append(
            Conv(
                name=name,
                source=source,
                weight=weight.astype(np.int8),
                bias=bias.astype(np.int32),
                multiplier=multiplier.astype(np.int32),
                shift=shift.astype(np.int32),
                stride=window.stride,
                padding=window.padding,
                codebook=codebook,
                stream=stream,
                output=target.form,
                weight_scale=window.unit.astype(np.float64),
                output_scale=target.unit,
                kind=window.kind,
                groups=window.groups,
                residual=residual,
            )
        )

    def _fitted(self, name: str, sums: Sums, response: Response, target: Held) -> None:
        """Add a layer whose requantization is fitted to a function of sums.

        Sums that occur are `step` apart. So they are fitted as numbers from 0 on.
        """
        window, step, skip = sums.window, sums.step, sums.skip
        largest = max(1, int(np.abs(window.weight).max()), skip.weight if skip else 0)
        span = max(1, int(np.maximum(np.abs(sums.low), np.abs(sums.high)).max()))
        fine = 1 if window.kind == "avgpool" else min(WEIGHT_TOP // largest, FINE_TOP // span)
        scales = [1 << bit for bit in range(max(1, fine).bit_length())]
        found = fit(
            lambda numbers: response(sums.low[:, None] + step * numbers),
            target.form,
            np.zeros_like(sums.low),
            (sums.high - sums.low) // step,
            [step * scale for scale in scales],
        )
        scale = found.factor // step
        weight, bias = window.weight * scale, found.bias - scale * sums.low
        if window.kind != "avgpool":  # the weights of an average are all 1
            bias = np.where(found.constant, found.bias, bias)
            weight = np.where(found.constant[:, None, None, None], 0, weight)
        elif found.constant.any():
            raise Refused("has the same output for every input", "leave it out")
        shift = found.shift
        if skip is not None:  # what the skip connection adds to a constant is less than a half
            shift = np.where(found.constant, SKIP_SHIFT, shift)
            bias = np.where(found.constant, bias << SKIP_SHIFT, bias)
        self.fits.append(Fit(name, found.differing, found.sums))
        self.append(
            name,
            sums.source,
            replace(window, weight=weight, unit=window.unit / scale),
            target,
            (bias, found.multiplier, shift),
            None if skip is None else skip.residual(scale),
        )

    def _bordered(self, name: str, x: View, window: Window) -> Sums | None:
        """Return sums over a map with a constant channel for each group, if padding needs that.

        Outside of the map both the integers and the constant are 0. The weight of the constant,
        which is the zero point, is the negative sum of the weights. So the sum is that of weight
        times (integer - zero point), with 0 outside of the map.
        """
        zero = x.held.zero
        if zero == 0 or not any(window.padding):
            return None
        if zero.denominator != 1 or not x.held.form.lo <= zero <= x.held.form.hi:
            raise Refused(
                f"is padded with a zero that no integer stands for ({float(zero):g})",
                "use a layer without padding, or other activations in front of it",
            )
        weight, groups = window.weight, window.groups
        inputs = weight.shape[1]
        totals = -weight.sum(axis=1, keepdims=True)
        count = max(1, -(-int(np.abs(totals).max()) // WEIGHT_TOP))
        parts = [(totals + place) // count for place in range(count)]  # whole, and of that sum
        border = f"{name}_border"
        self._constants(border, x, inputs, groups, count)
        self.notes[
            f"layer {border!r} adds channels of the zero point {zero}, {count * groups} in all, as "
            "the engine pads with 0"
        ] = None
        low, high = sum_ends(weight, x.held.lowest - int(zero), x.held.highest - int(zero), True)
        whole = np.concatenate([weight, *parts], axis=1)
        return Sums(border, replace(window, weight=whole), np.zeros(len(weight)), 1.0, low, high)

    def _constants(self, name: str, x: View, inputs: int, groups: int, count: int) -> None:
        """Add a 1x1 layer that copies a map, with constant channels after those of each group."""
        channels = inputs * groups
        own = inputs + count
        weight = np.zeros((own * groups, channels, 1, 1), dtype=np.int64)
        bias = np.zeros(own * groups, dtype=np.int64)
        for group in range(groups):
            copied = np.arange(inputs)
            weight[group * own + copied, group * inputs + copied] = 1
            bias[group * own + inputs : (group + 1) * own] = int(x.held.zero)
        ones = np.ones_like(bias)
        unit = np.full(len(bias), x.held.unit)
        self.append(name, x.map, Window(weight, unit), x.held, (bias, ones, 0 * ones))
