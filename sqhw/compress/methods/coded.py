"""Sizes of compressed layers under Huffman codes of values and gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.arrays import Ints
from sqhw.compress.coding.huffman import HuffmanCode
from sqhw.compress.coding.relative_index import RelativeIndex
from sqhw.size.layer_result import LayerResult

FLOAT_BITS = 32


@dataclass(frozen=True, eq=False)
class CodedLayer:
    """A layer as two sequences of symbols: codes into its codebook, and gaps.

    Parameters
    ----------
    levels : ndarray of float32
        Codebook. It contains zero if an entry bridges a long gap (`RelativeIndex`).
    codes, gaps : ndarray of int64, shape (entries,)
        Index into the codebook, and number of zeros before the entry.
    index_bits : int
        Width of a gap before Huffman coding (unit: bit).
    """

    levels: npt.NDArray[np.float32]
    codes: Ints
    gaps: Ints
    index_bits: int

    @classmethod
    def of(cls, weight: npt.NDArray[np.float32], index_bits: int) -> "CodedLayer":
        """Return the symbols of a layer, its weights read in order of memory."""
        entries = RelativeIndex.of(weight != 0, index_bits)
        values = np.zeros(len(entries.gaps), dtype=np.float32)
        values[entries.stored] = weight.reshape(-1)[entries.positions()]
        levels, codes = np.unique(values, return_inverse=True)
        return cls(levels, codes.astype(np.int64), entries.gaps, index_bits)

    @property
    def code_bits(self) -> int:
        """Width of a code before Huffman coding (unit: bit)."""
        return max(1, (len(self.levels) - 1).bit_length())

    @property
    def code_counts(self) -> Ints:
        """Number of occurrences of each code, shape (levels,)."""
        return np.bincount(self.codes, minlength=len(self.levels))

    @property
    def gap_counts(self) -> Ints:
        """Number of occurrences of each gap, shape (2**index_bits,)."""
        return np.bincount(self.gaps, minlength=1 << self.index_bits)

    def decoded(
        self, codes: npt.NDArray[np.uint8], gaps: npt.NDArray[np.uint8], shape: tuple[int, ...]
    ) -> npt.NDArray[np.float32]:
        """Return the weights that two bit strings stand for, by the layer's tables alone.

        Parameters
        ----------
        codes, gaps : ndarray of uint8
            Bit strings of `HuffmanCode.encode`.
        shape : tuple of int
            Shape of the weights.
        """
        count = len(self.codes)
        values = self.levels[HuffmanCode.of(self.code_counts).decode(codes, count)]
        found = HuffmanCode.of(self.gap_counts).decode(gaps, count)
        weight = np.zeros(int(np.prod(shape)), dtype=np.float32)
        weight[np.cumsum(found + 1) - 1] = values
        return weight.reshape(shape)


def coding_table(
    layers: Sequence[LayerResult], index_bits: int
) -> tuple[dict[str, dict[str, int]], list[dict[str, Any]]]:
    """Return the sizes of each layer's Huffman codes, and the table of Deep Compression.

    Parameters
    ----------
    layers : sequence of LayerResult
    index_bits : int
        Width of a gap before Huffman coding (unit: bit).

    Returns
    -------
    own_bits : dict of str to dict of str to int
        Sizes ``codes``, ``positions`` and ``tables`` of each layer (unit: bit). ``tables`` are the
        Huffman tables and 32 bits for each codebook value.
    table : list of dict
        Bits of a weight and of a gap before and after Huffman coding. The rates are the sizes
        before and after, tables and codebook included, relative to 32 bits a weight.
    """
    own, table = {}, []
    for layer in layers:
        coded = CodedLayer.of(layer.weight, index_bits)
        entries = max(1, len(coded.codes))
        code, gap = HuffmanCode.of(coded.code_counts), HuffmanCode.of(coded.gap_counts)
        book = FLOAT_BITS * len(coded.levels)
        bits = {
            "codes": code.bits(coded.code_counts),
            "positions": gap.bits(coded.gap_counts),
            "tables": code.table_bits + gap.table_bits + book,
        }
        before = len(coded.codes) * (coded.code_bits + index_bits) + book
        dense = FLOAT_BITS * layer.weights_before
        own[layer.name] = bits
        table.append(
            {
                "layer": layer.name,
                "weights": layer.weights_before,
                "nonzeros": layer.nonzeros,
                "entries": len(coded.codes),
                "weight_bits": coded.code_bits,
                "weight_bits_huffman": bits["codes"] / entries,
                "index_bits": index_bits,
                "index_bits_huffman": bits["positions"] / entries,
                "rate": before / dense if dense else 0.0,
                "rate_huffman": sum(bits.values()) / dense if dense else 0.0,
            }
        )
    return own, table
