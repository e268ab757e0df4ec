"""Weight streams entry by entry; what all formats promise is in test_stream_formats."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, random_network

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import (
    Dense,
    Entries,
    Gap,
    StreamRecord,
    channel_order,
    code_width,
    formats_for,
    max_gap_bits,
)


@st.composite
def gap_layers(draw):
    """Draw (weight, codebook, format) with any gap field that the kernel admits."""
    out_channels, in_channels = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    form = Gap(draw(st.integers(1, max_gap_bits(in_channels, kernel[1], 2))), 2)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    density = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]))
    weight = rng.choice((-7, 1, 3), (out_channels, in_channels, *kernel))
    weight[rng.random(weight.shape) >= density] = 0
    return weight.astype(np.int8), (-7, 1, 3), form


@given(gap_layers())
def test_fillers_carry_no_code_and_all_others_a_weight(case):
    weight, codebook, form = case
    entries = form.encode(weight, codebook)
    gaps, codes = entries.values & form.step, entries.values >> form.gap_bits
    assert codes.max() < len(codebook)
    assert not codes[gaps == form.step].any()
    assert np.count_nonzero(gaps != form.step) == np.count_nonzero(weight)


@given(gap_layers())
def test_an_entry_passes_at_most_two_taps_and_one_in_a_narrow_kernel(case):
    weight, codebook, form = case
    in_channels, _, kernel_w = weight.shape[1:]
    entries = form.encode(weight, codebook)
    ends = np.cumsum(entries.counts)
    for begin, end in zip(ends - entries.counts, ends, strict=True):
        gaps = entries.values[begin:end] & form.step
        ahead = np.where(gaps == form.step, gaps, gaps + 1)
        taps = np.concatenate(([-1], np.cumsum(ahead) - 1)).clip(0) // in_channels
        assert np.diff(taps).max() <= (2 if kernel_w > 1 else 1)
        assert taps[1] < 2
        assert taps[-1] < weight[0, 0].size


@given(networks(max_channels=12, min_code_bits=0))
def test_layers_of_valid_networks_survive(network):
    for layer in network.convs:
        entries = layer.stream.encode(layer.weight, layer.codebook)
        decoded = layer.stream.decode(entries, layer.codebook, layer.weight.shape)
        np.testing.assert_array_equal(decoded, layer.weight)


def encoded(positions, length, gap_bits):
    """Return the gaps and codes of one channel with weight 5 at `positions`."""
    weight = np.zeros((1, length, 1, 1), np.int8)
    weight[0, positions] = 5
    form = Gap(gap_bits, 1)
    values = form.encode(weight, (3, 5)).values.tolist()
    return [(value & form.step, value >> gap_bits) for value in values]


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


def test_dense_entries_by_hand():
    weight = np.array([0, 5, 0, 3], np.int8).reshape(2, 2, 1, 1)
    entries = Dense(2).encode(weight, (0, 3, 5))
    assert entries.values.tolist() == [0, 2, 0, 1]
    assert entries.counts.tolist() == [2, 2]


def test_order_is_row_column_channel():
    weight = np.arange(12).reshape(1, 2, 2, 3)  # channel 0 holds 0..5, channel 1 holds 6..11
    np.testing.assert_array_equal(channel_order(weight), [[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]])


def test_empty_channels_among_full_ones():
    weight = np.zeros((5, 4, 1, 1), np.int8)
    weight[1, 3] = weight[3, 0] = 5
    entries = Gap(2, 0).encode(weight, (5,))
    assert entries.counts.tolist() == [1, 2, 1, 1, 1]
    assert entries.values.tolist() == [3, 3, 0, 3, 0, 3]


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
    entries = Entries(np.array([1, 2]), np.array([1, 1], np.int32))
    with pytest.raises(
        ValueError, match=r"^entry 1 of channel 1 points at position 2, the channel has 2$"
    ):
        Gap(2, 0).decode(entries, (5,), (2, 2, 1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StreamRecord(-1, 4), "gap_bits must be 0 to 12, not -1"),
        (lambda: StreamRecord(13, 4), "gap_bits must be 0 to 12, not 13"),
        (lambda: StreamRecord(4, -1), "code_bits must be 0 to 8, not -1"),
        (lambda: StreamRecord(0, 9), "code_bits must be 0 to 8, not 9"),
        (lambda: Gap(0, 4), "gap_bits must be 1 to 12, not 0"),
        (lambda: Gap(13, 4), "gap_bits must be 1 to 12, not 13"),
    ],
)
def test_widths_out_of_range(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: Dense(2).check_codebook((1, 2), zeros=True),
            "a dense stream with zero weights needs 0 in its codebook",
        ),
        (
            lambda: Gap(2, 2).check_codebook((0, 1), zeros=True),
            "a gap stream stores non-zeros only; take 0 out of its codebook",
        ),
        (
            lambda: Gap(3, 1).check_kernel(2, 3),
            "a gap field of 3 bits is too wide for 2 input channels and a kernel 3 wide; at most 2",
        ),
        (
            lambda: Gap(4, 1).check_engine(EngineConfig(max_gap_bits=3), 100, 3),
            "gap field of 4 bits exceeds the engine's 3; raise max_gap_bits",
        ),
        (
            lambda: Gap(4, 1).check_engine(EngineConfig(), 8, 3),
            (
                "a gap of 4 bits skips up to 15 positions, more than the 8 that an entry of this "
                "engine may pass; raise taps_per_entry to 2 or choose the streams for this engine"
            ),
        ),
        (
            lambda: Gap(8, 8).check_engine(EngineConfig(word_bits=15), 300, 3),
            "stream entries of 16 bits exceed the ROM word of 15; raise word_bits",
        ),
    ],
)
def test_refusals(check, message):
    with pytest.raises(SqhwError, match=f"^{re.escape(message)}$"):
        check()


def test_formats_of_a_layer():
    engine = EngineConfig(max_gap_bits=3)
    assert formats_for(engine, 100, 3) == (Dense(), Gap(1), Gap(2), Gap(3))
    assert formats_for(engine, 4, 3) == (Dense(), Gap(1), Gap(2))
    assert formats_for(EngineConfig(max_gap_bits=0), 100, 3) == (Dense(),)


def test_format_properties():
    assert (Dense(4).entry_bits, Dense(4).stores_zeros) == (4, True)
    assert (Gap(3, 4).entry_bits, Gap(3, 4).stores_zeros, Gap(3, 4).step) == (7, False, 7)
    assert [str(Dense(4)), str(Gap(3, 2))] == ["dense/4b", "gap-3/2b"]
    assert [code_width(values) for values in (1, 2, 3, 4, 5, 256)] == [1, 1, 2, 2, 3, 8]


def test_random_networks_cover_the_formats():
    convs = [c for seed in range(400) for c in random_network(seed, max_channels=8).convs]
    assert {c.stream.code_bits for c in convs} == set(range(1, 9))
    assert {c.stream.name for c in convs} == {"dense", "gap-1", "gap-2", "gap-3"}
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
