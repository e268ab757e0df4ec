"""Pixels as a file's input sees them: real numbers, or integers of a grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.neutral import Operator, Quantization, Refused
from sqhw.frontends.quantized.held import Held
from sqhw.frontends.quantized.kernels import after, slopes
from sqhw.frontends.quantized.sums import Window
from sqhw.machine.number import ActivationFormat
from sqhw.network.graph import Shape

Numbers = npt.NDArray[Any]
#: Largest distance of a mean from that of a pixel that counts as rounding (unit: pixel).
ON_GRID = 1e-6


@dataclass(frozen=True)
class Pixels:
    """Pixels of 0 to `input_max`, of which a real input is ``(pixel / input_max - mean) / std``.

    Parameters
    ----------
    input_max : int, 1 to 255
    mean, std : tuple of float
        One value, or one a channel.
    """

    input_max: int = 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def form(self) -> ActivationFormat:
        """Format of pixels."""
        return ActivationFormat(max(2, self.input_max.bit_length()), signed=False)

    @property
    def plain(self) -> Held:
        """Pixels as a map of their own."""
        return Held(self.form, Fraction(0), Fraction(1), 1.0, 0, 0, self.input_max)

    def held(self, grid: Quantization) -> Held:
        """Return how integers of a grid are pixels: the lowest one is 0.

        Raises
        ------
        Refused
            If there are scales for channels, or more than 8 bits.
        """
        if grid.axis is not None or not 2 <= grid.bits <= 8 or grid.bipolar:
            raise Refused(
                f"has {grid.bits} bits, or a scale for each channel; 2 to 8 bits and one scale are "
                "read"
            )
        form = ActivationFormat(grid.bits, signed=False)
        scale, zero_point = float(grid.scale), int(grid.zero_point)
        return Held(form, Fraction(grid.lo), Fraction(1), scale, zero_point, 0, grid.hi - grid.lo)

    def grid(self) -> Quantization:
        """Return the grid of the real numbers that pixels stand for, of networks that read them.

        Raises
        ------
        Refused
            If channels differ, or no pixel stands for 0.
        """
        zero_point = np.unique(np.asarray(self.mean)) * self.input_max
        std = np.unique(np.asarray(self.std))
        whole = np.rint(zero_point)
        if len(std) > 1 or len(whole) > 1 or np.abs(zero_point - whole).max() > ON_GRID:
            raise Refused(
                "reads pixels whose mean is not that of a pixel, or differs between channels",
                "choose a mean that is a multiple of 1 / input_max, or quantize the input",
            )
        scale = 1 / (self.input_max * std[0])
        return Quantization(scale, whole[0].astype(np.int64), self.form.bits, signed=False)

    def response(
        self, chain: Sequence[Operator], grid: Quantization
    ) -> Callable[[Numbers], Numbers]:
        """Return the function from pixels, shape (channels, n), to a grid, without bounds.

        Parameters
        ----------
        chain : sequence of Operator
            Operators on real numbers in between.
        grid : Quantization
        """
        mean, std = (np.array(part).reshape(-1, 1) for part in (self.mean, self.std))

        def of_pixels(pixels: Numbers) -> Numbers:
            return grid.unbounded(after(chain, (pixels / self.input_max - mean) / std))

        return of_pixels

    def window(
        self, chain: Sequence[Operator], shape: Shape
    ) -> tuple[Window, npt.NDArray[np.int64]]:
        """Return a 1x1 window for each channel, and its signs, where the output falls -1."""
        channels = shape[0]
        signs = slopes(chain, channels).astype(np.int64)
        unit = np.broadcast_to(1 / (self.input_max * np.array(self.std)), channels)
        return Window(np.diag(signs)[:, :, None, None], unit.astype(np.float64)), signs
