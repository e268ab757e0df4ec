"""Batches of a data set for training, and how progress is reported."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sqhw.data import Split

SMALL_SET = 10_000  # largest number of images of a small set; larger ones need fewer epochs
STILL = 0.5  # share of the images that `shifted` leaves where they are, unless told otherwise

Progress = Callable[[str, int, int, str], None]


def silent(stage: str, done: int, total: int, detail: str) -> None:
    """Report nothing."""


def tensors(split: Split) -> tuple[Tensor, Tensor]:
    """Return images as float32 raw pixels and labels as int64."""
    images = np.ascontiguousarray(split.images, dtype=np.float32)
    labels = np.ascontiguousarray(split.labels, dtype=np.int64)
    return torch.from_numpy(images), torch.from_numpy(labels)


def channels_last(images: Tensor) -> Tensor:
    """Return images with the channel innermost in memory.

    Convolutions and poolings on CPUs then take less than half the time. The values are the same.
    """
    _, channels, height, width = images.shape
    if channels == 1:
        # Both orders are the same in memory; the strides tell torch which one is meant.
        return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))
    return images.contiguous(memory_format=torch.channels_last)


def shifted(
    images: Tensor, reach: int, generator: torch.Generator, *, still: float = STILL
) -> Tensor:
    """Return images moved by up to `reach` pixels each way, a share of them unmoved; zeros enter.

    Parameters
    ----------
    images : Tensor, shape (images, channels, height, width)
    reach : int, 0 or more
        Largest move (unit: pixel).
    generator : torch.Generator
    still : float, 0 to 1
        Probability that an image is not moved.
    """
    if reach == 0:
        return images
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (reach,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, dy, dx, h, w)
    moves = torch.randint(0, 2 * reach + 1, (2, count), generator=generator)
    unmoved = torch.rand(count, generator=generator) < still
    moves[:, unmoved] = reach
    return windows[torch.arange(count), :, moves[0], moves[1]]


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images, each mirrored left to right with probability one half."""
    mirror = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirror.view(-1, 1, 1, 1), images.flip(3), images)


def batches(count: int, size: int, generator: torch.Generator) -> list[Tensor]:
    """Return the indices of one epoch's batches in random order."""
    return list(torch.split(torch.randperm(count, generator=generator), size))
