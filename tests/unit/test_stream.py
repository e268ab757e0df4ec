import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, random_network

from sqhw.machine.stream import (
    Entries,
    StreamFormat,
    channel_order,
    count_entries,
    decode,
    encode,
    max_gap_bits,
)


@st.composite
def layers(draw):
    """Draw (weight, codebook, format) with any gap field that the kernel admits."""
    out_channels, in_channels = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stream = StreamFormat(
        draw(st.integers(0, max_gap_bits(in_channels, kernel[1], 2))), draw(st.integers(0, 8))
    )
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    density = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]))
    values = np.arange(-128, 128)
    if not stream.dense:
        values = values[values != 0]
    size = draw(st.integers(1, min(1 << stream.code_bits, len(values))))
    book = rng.choice(values, size, replace=False)
    if stream.dense and density < 1:
        book[book == 0] = book[0]
        book[0] = 0
    shape = (out_channels, in_channels, *kernel)
    weight = rng.choice(book, shape)
    if density < 1:
        weight[rng.random(shape) >= density] = 0
    return weight.astype(np.int8), tuple(sorted(book.tolist())), stream


@given(layers())
def test_decode_gives_back_what_encode_took(case):
    weight, codebook, stream = case
    entries = encode(weight, codebook, stream)
    decoded = decode(entries, codebook, stream, weight.shape)
    np.testing.assert_array_equal(decoded, weight)
    assert decoded.dtype == np.int8


@given(layers())
def test_counting_equals_encoding(case):
    weight, codebook, stream = case
    entries = encode(weight, codebook, stream)
    counts = count_entries(channel_order(weight) != 0, stream.gap_bits)
    np.testing.assert_array_equal(counts, entries.counts)
    assert counts.min() >= 1
    assert counts.sum() == len(entries.gaps) == len(entries.codes)


@given(layers())
def test_entries_fit_their_fields_and_fillers_carry_no_code(case):
    weight, codebook, stream = case
    entries = encode(weight, codebook, stream)
    assert entries.gaps.min() >= 0
    assert entries.gaps.max() <= stream.filler
    assert entries.codes.min() >= 0
    assert entries.codes.max() < len(codebook)
    if not stream.dense:
        fillers = entries.gaps == stream.filler
        assert not entries.codes[fillers].any()
        assert np.count_nonzero(~fillers) == np.count_nonzero(weight)


@given(layers())
def test_an_entry_passes_at_most_two_taps_and_one_in_a_narrow_kernel(case):
    weight, codebook, stream = case
    in_channels, _, kernel_w = weight.shape[1:]
    entries = encode(weight, codebook, stream)
    ends = np.cumsum(entries.counts)
    for begin, end in zip(ends - entries.counts, ends, strict=True):
        gaps = entries.gaps[begin:end].astype(np.int64)
        ahead = np.where(gaps == stream.filler if stream.filler else False, gaps, gaps + 1)
        taps = np.concatenate(([-1], np.cumsum(ahead) - 1)).clip(0) // in_channels
        assert np.diff(taps).max() <= (2 if kernel_w > 1 else 1)
        assert taps[1] < 2
        assert taps[-1] < weight[0, 0].size


@given(networks(max_channels=12, min_code_bits=0))
def test_layers_of_valid_networks_survive(network):
    for layer in network.convs:
        entries = encode(layer.weight, layer.codebook, layer.stream)
        decoded = decode(entries, layer.codebook, layer.stream, layer.weight.shape)
        np.testing.assert_array_equal(decoded, layer.weight)


def encoded(positions, length, gap_bits):
    """Return the gaps and codes of one channel with weight 5 at `positions`."""
    weight = np.zeros((1, length, 1, 1), np.int8)
    weight[0, positions] = 5
    entries = encode(weight, (3, 5), StreamFormat(gap_bits, 1))
    return list(zip(entries.gaps.tolist(), entries.codes.tolist(), strict=True))


FILLER = (3, 0)


@pytest.mark.parametrize(
    ("positions", "length", "expected"),
    [
        ([0], 8, [(0, 1)]),
        ([2], 8, [(2, 1)]),
        ([3], 8, [FILLER, (0, 1)]),  # a gap as long as the filler
        ([7], 8, [FILLER, FILLER, (1, 1)]),
        ([0, 1, 4], 8, [(0, 1), (0, 1), (2, 1)]),
        ([0, 4], 8, [(0, 1), FILLER, (0, 1)]),
        ([], 8, [FILLER]),  # a channel without a weight
        ([], 3, [FILLER]),
    ],
)
def test_entries_by_hand(positions, length, expected):
    assert encoded(positions, length, gap_bits=2) == expected


def test_with_one_gap_bit_every_zero_is_a_filler():
    assert encoded([1, 4], 5, gap_bits=1) == [(1, 0), (0, 1), (1, 0), (1, 0), (0, 1)]


def test_order_is_row_column_channel():
    weight = np.arange(12).reshape(1, 2, 2, 3)  # channel 0 holds 0..5, channel 1 holds 6..11
    np.testing.assert_array_equal(channel_order(weight), [[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]])


def test_empty_channels_among_full_ones():
    weight = np.zeros((5, 4, 1, 1), np.int8)
    weight[1, 3] = weight[3, 0] = 5
    entries = encode(weight, (5,), StreamFormat(2, 0))
    assert entries.counts.tolist() == [1, 2, 1, 1, 1]
    assert entries.gaps.tolist() == [3, 3, 0, 3, 0, 3]


@pytest.mark.parametrize(
    ("in_channels", "limit", "bits"),
    [(1, 8, 1), (2, 8, 1), (3, 8, 2), (6, 8, 2), (7, 8, 3), (255, 8, 8), (1000, 8, 8), (4, 1, 1)],
)
def test_max_gap_bits(in_channels, limit, bits):
    assert max_gap_bits(in_channels, 3, 1, limit) == bits
    assert max_gap_bits(in_channels, 1, 2, limit) == bits


@pytest.mark.parametrize(
    ("in_channels", "kernel_w", "bits"),
    [(1, 2, 1), (2, 2, 2), (3, 3, 2), (4, 5, 3), (16, 3, 5), (16, 1, 4), (4095, 2, 12)],
)
def test_max_gap_bits_of_two_taps(in_channels, kernel_w, bits):
    assert max_gap_bits(in_channels, kernel_w, 2) == bits


@given(st.integers(1, 5000), st.integers(1, 7), st.integers(1, 2), st.integers(0, 12))
def test_max_gap_bits_is_the_widest_that_stays_within_the_taps(
    in_channels, kernel_w, taps_per_entry, limit
):
    bits = max_gap_bits(in_channels, kernel_w, taps_per_entry, limit)
    positions = in_channels * (taps_per_entry if kernel_w > 1 else 1)
    assert 2**bits - 1 <= positions
    assert bits == limit or 2 ** (bits + 1) - 1 > positions


def test_decode_refuses_an_entry_behind_the_channel():
    entries = Entries(
        np.array([1, 2], np.int32), np.array([0, 0], np.int32), np.array([1, 1], np.int32)
    )
    with pytest.raises(
        ValueError, match=r"^entry 1 of channel 1 points at position 2, the channel has 2$"
    ):
        decode(entries, (5,), StreamFormat(2, 0), (2, 2, 1, 1))


@pytest.mark.parametrize(
    ("gap_bits", "code_bits", "message"),
    [
        (-1, 4, "gap_bits must be 0 to 12, not -1"),
        (13, 4, "gap_bits must be 0 to 12, not 13"),
        (4, -1, "code_bits must be 0 to 8, not -1"),
        (4, 9, "code_bits must be 0 to 8, not 9"),
    ],
)
def test_widths_out_of_range(gap_bits, code_bits, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        StreamFormat(gap_bits, code_bits)


def test_format_properties():
    assert (StreamFormat(0, 4).dense, StreamFormat(0, 4).filler) == (True, 0)
    assert (StreamFormat(3, 4).dense, StreamFormat(3, 4).filler) == (False, 7)
    assert StreamFormat(3, 4).entry_bits == 7
    assert [str(StreamFormat(0, 4)), str(StreamFormat(3, 2))] == ["dense/4b", "gap-3/2b"]


def test_random_networks_cover_the_formats():
    convs = [c for seed in range(400) for c in random_network(seed, max_channels=8).convs]
    assert {c.stream.code_bits for c in convs} == set(range(1, 9))
    assert {c.stream.gap_bits for c in convs} == {0, 1, 2, 3}
    assert {(c.output.bits, c.output.signed) for c in convs} == {
        (bits, signed) for bits in range(2, 9) for signed in (False, True)
    }
    assert {int(s) for c in convs for s in c.shift} == set(range(32))
    assert {c.stride for c in convs} == {1, 2}
    assert {c.kind for c in convs} == {"conv", "linear"}
    assert any(c.nonzeros == 0 for c in convs)
    assert any(0 < c.nonzeros and not c.weight.any(axis=(1, 2, 3)).all() for c in convs)
    assert any(len(set(c.padding)) == 4 or c.padding[0] != c.padding[1] for c in convs)
    assert min(c.bias.min() for c in convs) < 0 < max(c.bias.max() for c in convs)
    assert max(c.multiplier.max() for c in convs) > 127
    assert any(1 < c.groups < len(c.weight) for c in convs)
    assert any(1 < c.groups == len(c.weight) for c in convs)
    residuals = [c.residual for c in convs if c.residual]
    assert {r.stride for r in residuals} == {1, 2}
    assert any(r.first for r in residuals)
