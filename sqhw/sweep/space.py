"""Spaces of options: all combinations of listed values, or samples of ranges."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

#: Number of points above which a sweep asks for ``--yes``.
MAX_POINTS = 1000


class Space(Protocol):
    """A space whose points are known before any is computed."""

    @property
    def size(self) -> int:
        """Return the number of points."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the options that each point sets."""


@dataclass(frozen=True)
class Product:
    """All combinations of one choice of each axis; the last axis changes fastest.

    Parameters
    ----------
    axes : dict of str to list of dict
        Choices by the name of the axis: each sets one or several options.
    fixed : dict
        Options that are the same in every point.
    """

    axes: dict[str, list[dict[str, Any]]]
    fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of combinations."""
        return math.prod(len(choices) for choices in self.axes.values())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the options of each combination; none are kept."""
        for choices in itertools.product(*self.axes.values()):
            yield self.fixed | {name: value for one in choices for name, value in one.items()}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Parameters
    ----------
    low, high : int or float
        Whole numbers if both are.
    log : bool
        Whether the logarithm is sampled evenly.
    """

    low: float
    high: float
    log: bool = False

    def draw(self, generator: np.random.Generator) -> float:
        """Return a random number of the range, a float with six significant digits."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        # Each whole number has the half unit on both of its sides.
        half = 0.5 if whole else 0.0
        low, high = self.low - half, self.high + half
        if self.log:
            value = math.exp(generator.uniform(math.log(low), math.log(high)))
        else:
            value = generator.uniform(low, high)
        value = min(max(value, self.low), self.high)
        return round(value) if whole else float(f"{value:.6g}")


@dataclass(frozen=True)
class Sample:
    """Random points of ranges and lists.

    Parameters
    ----------
    ranges : dict
        A `Range`, or a list of values, by the option.
    points : int, 1 or more
        Number of points.
    seed : int
        The same seed gives the same points.
    fixed : dict
        Options that are the same in every point.
    """

    ranges: dict[str, Range | list[Any]]
    points: int
    seed: int = 0
    fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of points; some may be equal."""
        return self.points

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the options of each point."""
        generator = np.random.default_rng(self.seed)
        for _ in range(self.points):
            drawn = {
                name: one.draw(generator)
                if isinstance(one, Range)
                else one[int(generator.integers(len(one)))]
                for name, one in self.ranges.items()
            }
            yield self.fixed | drawn
