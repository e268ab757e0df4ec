"""Images on which a module and its import are compared."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sqhw.errors import SqhwError
from sqhw.network.graph import Shape

SEED = 16
VALUES = 1 << 13  # of all random images together, if two have no more
MAX_IMAGES = 16  # images
BLOCK = 4  # pixels; images of single random pixels average out where windows are large


class Pixels:
    """Pixels of a network's input, and its normalisation.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
    input_max : int
        Largest pixel value.
    mean, std : sequence of float
        Normalisation ``(pixel / input_max - mean) / std``: one value, or one a channel.
    """

    def __init__(
        self, shape: Shape, input_max: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.shape = shape
        self.input_max = input_max
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return what the module is fed for such pixels, in double precision."""
        mean, std = (
            torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)
            for values in (self.mean, self.std)
        )
        return (pixels.double() / self.input_max - mean) / std

    def random(self) -> Tensor:
        """Return images, always the same: half of random pixels, half of random blocks.

        Returns
        -------
        Tensor of int64, shape (2 to 16, channels, height, width)
            Fewer of larger images.
        """
        generator = np.random.default_rng(SEED)
        channels, height, width = self.shape
        half = min(MAX_IMAGES, max(2, VALUES // (channels * height * width))) // 2
        fine = generator.integers(0, self.input_max + 1, (half, *self.shape))
        size = (half, channels, -(-height // BLOCK), -(-width // BLOCK))
        coarse = generator.integers(0, self.input_max + 1, size)
        blocks = coarse.repeat(BLOCK, 2).repeat(BLOCK, 3)[:, :, :height, :width]
        return torch.from_numpy(np.concatenate((fine, blocks)))

    def own(self, images: npt.NDArray[Any] | Tensor) -> Iterator[Tensor]:
        """Return the user's images, two at a time.

        Raises
        ------
        SqhwError
            If they are not pixels of the network's input.
        """
        try:
            given = torch.as_tensor(images)
        except (TypeError, ValueError, RuntimeError) as error:
            raise SqhwError(f"images must be an array of pixels: {error}") from None
        if given.is_complex() or given.shape[1:] != self.shape or not len(given):
            raise SqhwError(
                f"images must have shape (n, {', '.join(map(str, self.shape))}), "
                f"not {tuple(given.shape)}"
            )
        for part in torch.split(given, 2):
            if not (part.min() >= 0 and part.max() <= self.input_max):
                raise SqhwError(
                    f"images must be pixels from 0 to {self.input_max} (input_max), before any "
                    f"normalisation; found {part.min():g} to {part.max():g}"
                )
            yield part
