"""Check bits of memory words: parity, and codes that correct one flip and detect two."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, count

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Mask

#: Words as rows of bits, the lowest first: uint8 of 0 and 1.
BitRows = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Words as a decoder hands them on.

    Parameters
    ----------
    data : ndarray of uint8, shape (words, data_bits)
        Data bits. Those of a word that is `detected` are as they were stored.
    corrected, detected : ndarray of bool, shape (words,)
        Whether one bit was flipped back, and whether the word is wrong beyond correction.
    """

    data: BitRows
    corrected: Mask
    detected: Mask


@dataclass(frozen=True, eq=False)
class CheckCode:
    """A linear code whose check bits follow the data bits of a word.

    Parameters
    ----------
    columns : ndarray of uint8, shape (check_bits, data_bits)
        Data bits that each check bit is the sum of, modulo 2.
    corrects : bool
        Whether a single flip is corrected; otherwise it is detected.
    """

    columns: BitRows
    corrects: bool

    @property
    def check_bits(self) -> int:
        """Check bits of a word."""
        return int(self.columns.shape[0])

    @property
    def data_bits(self) -> int:
        """Data bits of a word."""
        return int(self.columns.shape[1])

    @property
    def stored_bits(self) -> int:
        """Bits of a word with its check bits."""
        return self.data_bits + self.check_bits

    def encode(self, data: BitRows) -> BitRows:
        """Return words with their check bits, shape (words, stored_bits)."""
        return np.concatenate([data, self._sums(data)], axis=1)

    def decode(self, stored: BitRows) -> Decoded:
        """Return words behind the corrector.

        The code is linear: of flips alone, as words of 1 where a bit flipped, it returns the flips
        that are left in the data.
        """
        data = stored[:, : self.data_bits].copy()
        syndrome = self._sums(data) ^ stored[:, self.data_bits :]
        wrong: Mask = np.any(syndrome != 0, axis=1)
        if not self.corrects:
            return Decoded(data, np.zeros_like(wrong), wrong)
        whole = np.concatenate([self.columns.T, np.eye(self.check_bits, dtype=np.uint8)])
        hits = (syndrome[:, None, :] == whole).all(axis=2)
        data ^= hits[:, : self.data_bits].astype(np.uint8)
        corrected: Mask = np.any(hits, axis=1)
        return Decoded(data, corrected, wrong & ~corrected)

    def _sums(self, data: BitRows) -> BitRows:
        found: BitRows = (data.astype(np.int64) @ self.columns.T & 1).astype(np.uint8)
        return found


@cache
def parity(data_bits: int) -> CheckCode:
    """Return the code of one check bit, which makes the number of ones even.

    It detects an odd number of flips and corrects none.
    """
    return CheckCode(np.ones((1, data_bits), np.uint8), corrects=False)


@cache
def secded(data_bits: int) -> CheckCode:
    """Return the code that corrects one flip of a word and detects two.

    It is one of M. Y. Hsiao, "A Class of Optimal Minimum Odd-weight-column SEC-DED Codes", IBM
    Journal of Research and Development 14 (1970), 395-401: all columns of the check matrix differ
    and have an odd number of ones, as few as there are columns, and the rows have about as many
    ones each. Two flips then leave an even syndrome, which is no column.
    """
    checks = next(bits for bits in count(3) if (1 << (bits - 1)) - bits >= data_bits)
    chosen = list[tuple[int, ...]]()
    ones = np.zeros(checks, np.int64)
    for group in _odd_columns(checks):
        left = list(group)
        while left and len(chosen) < data_bits:
            best = min(left, key=lambda rows: (sorted(ones[list(rows)], reverse=True), rows))
            left.remove(best)
            chosen.append(best)
            ones[list(best)] += 1
    columns = np.zeros((checks, data_bits), np.uint8)
    for at, rows in enumerate(chosen):
        columns[list(rows), at] = 1
    return CheckCode(columns, corrects=True)


def _odd_columns(checks: int) -> Iterator[Iterator[tuple[int, ...]]]:
    """Return the rows of the ones of each column of a weight, for the weights 3, 5 and so on."""
    for weight in range(3, checks + 1, 2):
        yield combinations(range(checks), weight)


#: Codes by the name of the protection, for words of so many data bits.
PROTECTIONS: Mapping[str, Callable[[int], CheckCode]] = {"parity": parity, "secded": secded}
