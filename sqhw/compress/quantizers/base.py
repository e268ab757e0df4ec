"""Base class of the quantizers, which find the values that the weights of a layer may take."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Floats64
from sqhw.compress.quantizers.codebook import Codebook, Codes, TrainedQuantizer
from sqhw.compress.quantizers.straight_through import CodebookQuantizer
from sqhw.errors import SqhwError

MAX_BITS = 8


@dataclass(frozen=True)
class Quantizer(ABC):
    """A rule that makes a codebook from the weights that a layer keeps.

    Parameters
    ----------
    bits : int, 1 to 8
        Width of a code. Each quantizer documents the number of values.

    Raises
    ------
    SqhwError
        If `bits` is out of range.
    """

    bits: int = 4
    name: ClassVar[str]
    least_bits: ClassVar[int] = 1
    most_bits: ClassVar[int] = MAX_BITS

    def __post_init__(self) -> None:
        if not self.least_bits <= self.bits <= self.most_bits:
            raise SqhwError(
                f"quantizer {self.name!r}: bits must be {self.least_bits} to {self.most_bits}, "
                f"not {self.bits}"
            )

    @abstractmethod
    def fit(self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None) -> Codebook:
        """Return the codebook for these weights.

        Parameters
        ----------
        values : array-like, shape (n,)
            Kept weights: at least one, all finite.
        importance : array-like, shape (n,), optional
            Loss that a squared change of each weight causes, 0 or more; by default all alike.
            Quantizers whose source has no weighting ignore it.

        Raises
        ------
        SqhwError
            If there is no weight, or one is not finite.
        """

    def assign(
        self, values: npt.ArrayLike, importance: npt.ArrayLike | None = None
    ) -> tuple[Codebook, Codes]:
        """Return the codebook for these weights and the code of each, shape (n,); see `fit`.

        By default the code is that of the cell that the weight lies in.
        """
        book = self.fit(values, importance)
        return book, book.codes(np.asarray(values, dtype=np.float64).reshape(-1))

    def with_bits(self, bits: int) -> Self:
        """Return the same quantizer with another width of a code."""
        return replace(self, bits=bits)

    def check_bits(self, option: str, bits: int) -> None:
        """Check that the quantizer allows another width of a code.

        Parameters
        ----------
        option : str
            Name of the option that has the width, for the error.
        bits : int

        Raises
        ------
        SqhwError
            If the quantizer does not allow the width.
        """
        try:
            self.with_bits(bits)
        except SqhwError as error:
            raise SqhwError(f"{option} does not suit: {error}") from None

    def trainable(self, codebook: Codebook) -> TrainedQuantizer:
        """Return a module from weights to quantized weights that passes gradients.

        By default the gradient goes straight through to the weights. Each level gets the sum of
        the gradients of the weights that take it (Han et al., 2016, section 3.3).
        """
        return CodebookQuantizer(codebook)


def checked(values: npt.ArrayLike, importance: npt.ArrayLike | None) -> tuple[Floats64, Floats64]:
    """Return weights and importance as flat arrays of float64, ascending by weight.

    A thousandth of the mean is added to every importance, so that weights of importance 0 also
    prefer a near value.

    Raises
    ------
    SqhwError
        If there is no weight, or one is not finite.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    if flat.size == 0:
        raise SqhwError("a quantizer needs at least one weight, got none; lower the sparsity")
    if not np.isfinite(flat).all():
        raise SqhwError("a quantizer needs finite weights, found infinity or not-a-number")
    if importance is None:
        return np.sort(flat), np.ones(flat.size)
    order = np.argsort(flat, kind="stable")
    worth = np.asarray(importance, dtype=np.float64).reshape(-1)[order]
    if worth.size != flat.size or not np.isfinite(worth).all() or (worth < 0).any():
        raise SqhwError("importance must be one finite number a weight, none negative")
    floor = 1e-3 * worth.mean()
    return flat[order], worth + floor if floor > 0 else np.ones(flat.size)


def entropy(counts: Codes) -> float:
    """Return the entropy of symbols with these counts (unit: bit a symbol).

    Parameters
    ----------
    counts : ndarray of int64, shape (symbols,)
        Number of occurrences of each symbol; at least one is above 0.
    """
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def symmetric(magnitudes: npt.ArrayLike) -> Floats64:
    """Return these magnitudes with both signs, ascending; zero once."""
    positive = np.asarray(magnitudes, dtype=np.float64)
    return np.unique(np.concatenate((-positive, positive)) + 0.0)


def largest(values: Floats64) -> float:
    """Return the largest magnitude, 1 if all are zero."""
    return float(np.abs(values).max()) or 1.0


def best_scale(
    values: Floats64, importance: Floats64, levels: Floats64, scales: Iterator[float] | list[float]
) -> float:
    """Return the scale of `levels` with the least weighted squared error, the first of equal ones.

    Parameters
    ----------
    values, importance : ndarray of float64, shape (n,)
        Arrays of `checked`.
    levels : ndarray of float64, ascending
    scales : iterable of float
        Scales to try, all above 0.
    """

    def error(scale: float) -> float:
        book = Codebook.nearest(scale * levels)
        return float((importance * (book.quantize(values) - values) ** 2).sum())

    return min(scales, key=error)
