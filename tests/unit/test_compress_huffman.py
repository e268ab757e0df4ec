"""Huffman codes and relative indices: optimal, and decoded bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from method_cases import QUICK, compressed

from sqhw.compress.coding.huffman import HuffmanCode
from sqhw.compress.coding.relative_index import RelativeIndex
from sqhw.compress.methods.coded import CodedLayer

TEXTS = st.lists(st.integers(0, 6), min_size=1, max_size=80)


@given(text=TEXTS)
def test_decoding_gives_the_text_back(text):
    code = HuffmanCode.of(np.bincount(text, minlength=7))
    bits = code.encode(text)
    assert bits.size == code.bits(np.bincount(text, minlength=7))
    assert np.array_equal(code.decode(bits, len(text)), text)


@given(text=TEXTS)
def test_lengths_are_optimal(text):
    counts = np.bincount(text, minlength=7)
    code = HuffmanCode.of(counts)
    share = counts[counts > 0] / len(text)
    entropy = float(-(share * np.log2(share)).sum())
    used = code.lengths[counts > 0]
    if len(share) > 1:
        assert (2.0**-used).sum() == 1  # complete
        assert entropy - 1e-9 <= code.bits(counts) / len(text) < entropy + 1
    order = np.argsort(-counts[counts > 0], kind="stable")
    assert (np.diff(used[order])[np.diff(counts[counts > 0][order]) < 0] >= 0).all()


def test_a_published_example():
    """Counts 1, 1, 2, 3, 5: a chain; 5 symbols, lengths 4, 4, 3, 2, 1."""
    code = HuffmanCode.of([1, 1, 2, 3, 5])
    assert list(code.lengths) == [4, 4, 3, 2, 1]
    assert list(code.words()) == [0b1110, 0b1111, 0b110, 0b10, 0b0]
    assert code.table_bits == 5 + 3 * 5
    assert HuffmanCode.of([0, 9]).bits([0, 9]) == 9


def test_broken_text_is_refused():
    code = HuffmanCode.of([1, 1, 2])
    with pytest.raises(ValueError, match="symbol 2 has no code word"):
        HuffmanCode.of([1, 1, 0]).encode([2])
    with pytest.raises(ValueError, match="no code word at symbol 1"):
        code.decode(code.encode([0]), 2)


@given(mask=st.lists(st.booleans(), max_size=200), bits=st.integers(1, 4))
def test_positions_come_back(mask, bits):
    whole = np.array(mask, dtype=bool)
    index = RelativeIndex.of(whole, bits)
    assert np.array_equal(index.positions(), np.flatnonzero(whole))
    assert index.gaps.size == 0 or index.gaps.max() < 1 << bits


def test_a_long_gap_is_bridged_as_in_the_paper():
    """Figure 2 of Deep Compression: differences 1, 3 and 11 with 3 bits need one zero."""
    mask = np.zeros(16, dtype=bool)
    mask[[0, 3, 14]] = True
    index = RelativeIndex.of(mask, 3)
    assert list(index.gaps + 1) == [1, 3, 8, 3]
    assert list(index.stored) == [True, True, False, True]


def test_deep_compression_is_decoded_bit_for_bit():
    result = compressed("deep-compression", density=0.05, fc_bits=3, **QUICK)
    assert any((CodedLayer.of(layer.weight, 5).levels == 0).any() for layer in result.layers)
    for layer, row in zip(result.layers, result.tables["huffman"], strict=True):
        coded = CodedLayer.of(layer.weight, 5)
        code, gap = HuffmanCode.of(coded.code_counts), HuffmanCode.of(coded.gap_counts)
        codes, gaps = code.encode(coded.codes), gap.encode(coded.gaps)
        back = coded.decoded(codes, gaps, layer.weight.shape)
        assert back.tobytes() == layer.weight.tobytes()
        own = result.own_bits[layer.name]
        assert (own["codes"], own["positions"]) == (codes.size, gaps.size)
        assert own["tables"] == code.table_bits + gap.table_bits + 32 * len(coded.levels)
        assert row["weight_bits_huffman"] <= row["weight_bits"]
        assert row["index_bits_huffman"] <= row["index_bits"]
        assert row["rate_huffman"] * 32 * layer.weights_before == pytest.approx(sum(own.values()))
