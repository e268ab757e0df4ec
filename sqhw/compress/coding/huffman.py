"""Canonical Huffman codes, and the sizes of their tables."""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints

#: Width of the longest length, which precedes the table (unit: bit).
LENGTH_FIELD = 5


@dataclass(frozen=True, eq=False)
class HuffmanCode:
    """A canonical prefix code: the lengths alone determine it.

    Parameters
    ----------
    lengths : ndarray of int64, shape (symbols,)
        Length of each symbol's code word (unit: bit); 0 for symbols that do not occur.
    """

    lengths: Ints

    @classmethod
    def of(cls, counts: npt.ArrayLike) -> "HuffmanCode":
        """Return the code of the least total length for these counts (Huffman, 1952).

        If only one symbol occurs, its code word has one bit.

        Parameters
        ----------
        counts : array-like of int, shape (symbols,)
            Number of occurrences of each symbol.
        """
        number = np.asarray(counts, dtype=np.int64)
        lengths = np.zeros(number.size, dtype=np.int64)
        present = np.flatnonzero(number)
        if present.size == 1:
            lengths[present] = 1
        heap: list[tuple[int, int, tuple[int, ...]]]
        heap = [(int(number[s]), int(s), (int(s),)) for s in present]
        heapq.heapify(heap)
        while len(heap) > 1:
            first, second = heapq.heappop(heap), heapq.heappop(heap)
            members = first[2] + second[2]
            lengths[list(members)] += 1
            heapq.heappush(heap, (first[0] + second[0], min(first[1], second[1]), members))
        return cls(lengths)

    def words(self) -> Ints:
        """Return the code word of each symbol as a number, shape (symbols,).

        Words ascend by length, then by symbol. The first bit of a word in the stream is its most
        significant.
        """
        words = np.zeros(self.lengths.size, dtype=np.int64)
        word, length = 0, 0
        for symbol in np.lexsort((np.arange(self.lengths.size), self.lengths)):
            if self.lengths[symbol] == 0:
                continue
            word <<= int(self.lengths[symbol]) - length
            length = int(self.lengths[symbol])
            words[symbol] = word
            word += 1
        return words

    @property
    def table_bits(self) -> int:
        """Size of the table (unit: bit).

        The table is the longest length in 5 bits, then the length of each symbol in as many bits as
        the longest length takes. The decoder knows the number of symbols.
        """
        width = int(self.lengths.max(initial=0)).bit_length()
        return LENGTH_FIELD + width * self.lengths.size

    def bits(self, counts: npt.ArrayLike) -> int:
        """Return the length of a text with these counts of symbols (unit: bit)."""
        return int((np.asarray(counts, dtype=np.int64) * self.lengths).sum())

    def encode(self, symbols: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the code words of `symbols` in order, one bit an element.

        Raises
        ------
        ValueError
            If a symbol has no code word.
        """
        text = np.asarray(symbols, dtype=np.int64)
        lengths = self.lengths[text]
        if (lengths == 0).any():
            raise ValueError(f"symbol {int(text[lengths == 0][0])} has no code word")
        ends = np.cumsum(lengths)
        row = np.repeat(np.arange(text.size), lengths)
        place = ends[row] - 1 - np.arange(row.size)  # 0 for the last bit of a word
        return ((self.words()[text][row] >> place) & 1).astype(np.uint8)

    def decode(self, bits: npt.NDArray[np.uint8], count: int) -> Ints:
        """Return the first `count` symbols of a bit string.

        Raises
        ------
        ValueError
            If the string ends within a word, or the next bits are no word.
        """
        names = {
            (int(length), int(word)): symbol
            for symbol, (length, word) in enumerate(zip(self.lengths, self.words(), strict=True))
            if length
        }
        longest = int(self.lengths.max(initial=0))
        text, word, length = np.zeros(count, dtype=np.int64), 0, 0
        stream = iter(bits.tolist())
        for at in range(count):
            while (length, word) not in names:
                bit = next(stream, None)
                if bit is None or length >= longest:
                    raise ValueError(f"no code word at symbol {at}")
                word, length = (word << 1) | bit, length + 1
            text[at] = names[length, word]
            word, length = 0, 0
        return text
