"""Requantization to integers: constants, exact forward, straight-through backward."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sqhw.network.activations import TABLE_INDEX
from sqhw.network.quantized import MAX_SHIFT

#: Halvings of the largest argument of a function down to which its index may be clipped.
INDEX_HALVINGS = 8
CLIPS = tuple(1.0 - 0.05 * step for step in range(14))


def dyadic(ratio: float, mult_bits: int) -> tuple[int, int]:
    """Return ``(m, s)`` with ``m / 2**s`` nearest `ratio`, `m` of at most `mult_bits` bits.

    Parameters
    ----------
    ratio : float
        Ratio of the scales, above 0.
    mult_bits : int
        Width of the multiplier, 1 to 16 (unit: bit).
    """
    top = (1 << mult_bits) - 1
    shift = min(MAX_SHIFT, max(0, mult_bits - 1 - math.floor(math.log2(ratio))))
    while shift > 0 and round(ratio * 2**shift) > top:
        shift -= 1
    return min(top, max(1, round(ratio * 2**shift))), shift


def best_step(values: Tensor, lo: int, hi: int, clip: bool) -> float:
    """Return the step of an integer format ``lo..hi`` that represents `values` best.

    Parameters
    ----------
    values : Tensor
        Real values that occur.
    lo, hi : int
        Range of the format; a `lo` of 0 drops negative values.
    clip : bool
        Whether large values may be clipped for a smaller squared error.
    """
    values = values.flatten()[:: max(1, values.numel() // 200_000)]
    if lo == 0:
        values = values.clamp(min=0)
    largest = float(values.abs().max())
    if largest == 0:
        return 1.0
    best = (math.inf, largest / hi)
    for share in CLIPS if clip else (1.0,):
        step = share * largest / hi
        error = float(
            (torch.clamp(torch.round(values / step), lo, hi) * step - values).pow(2).mean()
        )
        best = min(best, (error, step))
    return best[1]


def best_index_step(values: Tensor, function: Callable[[Tensor], Tensor]) -> float:
    """Return the step of the index of a table with which a function's values are best met.

    Parameters
    ----------
    values : Tensor
        Arguments of the function that occur.
    function : callable
    """
    values = values.flatten()[:: max(1, values.numel() // 200_000)]
    largest = float(values.abs().max())
    if largest == 0:
        return 1.0
    wanted = function(values)
    best = (math.inf, 1.0)
    for halving in range(4 * INDEX_HALVINGS):
        step = largest * 0.5 ** (halving / 4) / TABLE_INDEX.hi
        index = torch.clamp(torch.round(values / step), TABLE_INDEX.lo, TABLE_INDEX.hi)
        best = min(best, (float((function(index * step) - wanted).pow(2).mean()), step))
    return best[1]


def scaled(acc: Tensor, multiplier: Tensor, shift: Tensor) -> Tensor:
    """Return ``(acc * multiplier + 2**(shift - 1)) >> shift``, unclamped, as float64.

    Exact while ``acc * multiplier`` stays below 2**52: a power of two changes no digits.

    Parameters
    ----------
    acc : Tensor
        Whole numbers.
    multiplier, shift : Tensor of int
        Constants of a shape that broadcasts with `acc`.
    """
    half = torch.where(shift > 0, 0.5, 0.0).double()
    factor = torch.ldexp(multiplier.double(), -shift)
    # In place, because on the maps of a network this is as much work as a small convolution.
    return (acc.double() * factor).add_(half).floor_()


class Requantize(torch.autograd.Function):
    """``clamp((acc * m + 2**(s - 1)) >> s, lo, hi)`` on integer-valued floats.

    Exact while ``acc * m`` stays below 2**53; the gradient is that of the scaling, 0 where the
    clamp cuts.
    """

    @staticmethod
    def forward(
        ctx: Any, acc: Tensor, multiplier: int | Tensor, shift: int | Tensor, lo: int, hi: int
    ) -> Tensor:
        """Return the integers as float32."""
        value = scaled(acc, torch.as_tensor(multiplier), torch.as_tensor(shift))
        ctx.save_for_backward((value >= lo) & (value <= hi))
        ctx.ratio = multiplier / 2**shift
        return value.clamp(lo, hi).float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the accumulator."""
        (inside,) = ctx.saved_tensors
        return grads[0] * inside * ctx.ratio, None, None, None, None


def requantize(
    acc: Tensor, multiplier: int | Tensor, shift: int | Tensor, lo: int, hi: int
) -> Tensor:
    """Return ``clamp((acc * multiplier + 2**(shift - 1)) >> shift, lo, hi)`` as float32."""
    result: Tensor = Requantize.apply(acc, multiplier, shift, lo, hi)  # type: ignore[no-untyped-call]
    return result


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def requantize_nearly(value: Tensor, lo: int, hi: int) -> Tensor:
    """Return ``clamp(round(value), lo, hi)`` with the gradient of `requantize`.

    For training: `value` is the accumulator times the ratio, in whatever precision.
    """
    rounded: Tensor = _Round.apply(torch.nn.functional.hardtanh(value, lo, hi))  # type: ignore[no-untyped-call]
    return rounded
