"""What every stream format promises: each that stands in `FORMATS` is tested here."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.cost_models.schedule import least_slot, tile_cycles
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import (
    FORMATS,
    MAX_CODE_BITS,
    Entries,
    Places,
    StreamRecord,
    descriptor_fields,
    formats_for,
    words_of,
)
from sqhw.machine.timing import Timing

KINDS = pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.__name__)
WIDE = EngineConfig(word_bits=20, max_gap_bits=12, taps_per_entry=2, quotient_ones=8)


@st.composite
def layers(draw, kind):
    """Draw (weight, codebook, format): any format of a kind that the kernel admits."""
    out_channels, in_channels = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    form = draw(st.sampled_from(kind.choices(WIDE, in_channels, kernel[1])))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    density = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]))
    values = np.arange(-128, 128)
    if not form.stores_zeros:
        values = values[values != 0]
    book = rng.choice(values, draw(st.integers(1, len(values))), replace=False)
    if form.stores_zeros and density < 1:
        book[book == 0] = book[0]
        book[0] = 0
    weight = rng.choice(book, (out_channels, in_channels, *kernel))
    if density < 1:
        weight[rng.random(weight.shape) >= density] = 0
    return weight.astype(np.int8), tuple(sorted(book.tolist())), form.coded(len(book))


@KINDS
@given(data=st.data())
def test_decode_gives_back_what_encode_took(kind, data):
    weight, codebook, form = data.draw(layers(kind))
    decoded = form.decode(form.encode(weight, codebook), codebook, weight.shape)
    np.testing.assert_array_equal(decoded, weight)
    assert decoded.dtype == np.int8


@KINDS
@given(data=st.data())
def test_entries_and_bits_of_a_mask_are_those_of_its_encoding(kind, data):
    weight, codebook, form = data.draw(layers(kind))
    entries = form.encode(weight, codebook)
    counts = form.counts(Places.of(weight != 0))
    np.testing.assert_array_equal(counts, entries.counts)
    assert counts.min() >= 1
    assert counts.sum() == len(entries.values)
    written = form.written(entries)
    assert form.sizes(Places.of(weight)) == tuple(len(string) for string in written)
    known = form.counted((weight != 0)[None])
    fields = counts.sum() if form.fillers_have_fields else np.count_nonzero(weight)
    assert form.sizes(Places.of(weight))[0] == fields * form.entry_bits
    assert known.quotient_bits == sum(len(string) for string in written[1:])
    assert entries.values.min() >= 0
    codes = [form.read(int(value))[1] for value in entries.values]
    stored = weight.size if form.stores_zeros else np.count_nonzero(weight)
    assert sum(code is not None for code in codes) == stored


@KINDS
@given(data=st.data())
def test_entries_are_read_back_from_their_strings(kind, data):
    """Each string lies in words of its own, and anything may follow it."""
    weight, codebook, form = data.draw(layers(kind))
    entries = form.encode(weight, codebook)
    strings = form.written(entries)
    assert len(strings) == len(form.STRINGS)
    word = data.draw(st.sampled_from([8, 20, 64]))
    behind = []
    for string in strings:
        words = words_of(string, word)
        assert len(words) == -(-len(string) // word)
        bits = [number >> bit & 1 for number in words for bit in range(word)]
        behind.append(np.array([*bits, 1, 0, 1], dtype=np.uint8))
    again = form.taken_from(behind, entries.counts)
    np.testing.assert_array_equal(again.values, entries.values)
    for at, string in enumerate(strings):
        if len(string):
            cut = [part[: len(string) - 1] if part is string else part for part in strings]
            with pytest.raises(SqhwError, match=r"^its (fields|quotients) end "):
                form.taken_from(cut, entries.counts)
            assert at < 2


@KINDS
@given(data=st.data())
def test_entries_after_zeros_add_up(kind, data):
    weight, _, form = data.draw(layers(kind))
    places = Places.of(weight)
    rows, zeros = places.runs
    counts = np.bincount(rows, form.entries_after(zeros), len(weight)).astype(np.int64)
    if form.stores_zeros:  # those after a channel's last weight have entries too
        ends = [np.flatnonzero(row).max(initial=-1) + 1 for row in places.nonzero]
        counts += places.positions - np.array(ends)
    np.testing.assert_array_equal(np.maximum(counts, 1), form.counts(places))
    empty = np.count_nonzero(~places.nonzero.any(axis=1))
    bits = form.quotients_after(zeros).sum() + form.empty_quotient * empty
    assert bits == sum(form.sizes(places)[1:])


@KINDS
@pytest.mark.parametrize(("channels", "length"), [(1, 8), (3, 4), (2, 5)])
def test_expected_entries_are_the_mean_over_all_masks(kind, channels, length):
    size = channels * length
    numbers = np.arange(size + 1)
    for form in kind.choices(WIDE, length, 1):
        model = form.expected(numbers, channels, length)
        for nonzeros in numbers:
            places = list(combinations(range(size), nonzeros))
            every = np.zeros((len(places), size), dtype=bool)
            at = np.array(places, dtype=int).reshape(-1)
            every[np.arange(len(places)).repeat(nonzeros), at] = True
            known = form.counted(every.reshape(-1, channels, length, 1, 1))
            assert model.total[nonzeros] == pytest.approx(known.total.mean(), rel=1e-9)
            bits = known.quotient_bits.mean()
            assert model.quotient_bits[nonzeros] == pytest.approx(bits, rel=1e-9)
            for least in (1, 3, 14):
                wait = {"least": least, "rewind": 2, "skips": False}
                cycles = known.tile_cycles(**wait).mean()
                assert model.tile_cycles(**wait)[nonzeros] == pytest.approx(cycles, rel=1e-9)


@KINDS
@pytest.mark.parametrize("lanes", [8, 32])
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    ("channels", "length", "density"),
    [(64, 9, 0.3), (64, 144, 0.05), (32, 576, 0.02), (200, 40, 0.5), (10, 64, 0.4)],
)
def test_expectations_are_near_those_of_drawn_masks(kind, channels, length, density, lanes, skips):
    """The width of the count is that of a normal distribution: near where fillers are few."""
    print("seed 0")
    timing = Timing.of(EngineConfig(lanes=lanes, requantizers=lanes // 4))
    nonzeros = round(density * channels * length)
    rng = np.random.default_rng(0)
    rank = rng.random((100, channels * length)).argsort(axis=1).argsort(axis=1)
    drawn = (rank < nonzeros).reshape(100, channels, length, 1, 1)
    for form in kind.choices(WIDE, length, 1):
        known = form.counted(drawn)
        model = form.expected(np.array([nonzeros]), channels, length)
        assert set(known.nonzeros) == {nonzeros}
        assert model.total == pytest.approx(known.total.mean(), rel=0.01)
        assert model.quotient_bits == pytest.approx(known.quotient_bits.mean(), rel=0.01)
        for serial in (False, True):
            wait = {"least": least_slot(timing, serial), "rewind": timing.rewind, "skips": skips}
            cycles = known.tile_cycles(**wait)
            assert model.tile_cycles(**wait) == pytest.approx(cycles.mean(), rel=0.01)
        fillers = known.total.mean() > 1.25 * nonzeros
        assert abs(model.count_bits - known.count_bits.mean()) <= (3 if fillers else 1)


@KINDS
@given(data=st.data(), serial=st.booleans(), skips=st.booleans())
def test_counted_cycles_are_those_of_the_schedule(kind, data, serial, skips):
    weight, _, form = data.draw(layers(kind))
    timing = Timing.of(EngineConfig(lanes=32, requantizers=8))
    found = form.counted((weight != 0)[None]).tile_cycles(
        least=least_slot(timing, serial), rewind=timing.rewind, skips=skips
    )
    counts = form.counts(Places.of(weight))[None]
    assert found == tile_cycles(counts + skips, timing, serial)


@KINDS
@given(
    st.integers(1, 300), st.integers(1, 5), st.integers(0, 12), st.integers(1, 2), st.integers(0, 8)
)
def test_choices_are_what_kernel_and_engine_admit(kind, in_channels, kernel_w, gap, taps, ones):
    engine = EngineConfig(
        word_bits=20, max_gap_bits=gap, taps_per_entry=taps, quotient_ones=ones if gap else 0
    )
    found = kind.choices(engine, in_channels, kernel_w)
    assert set(found) <= set(formats_for(engine, in_channels, kernel_w))
    for form in found:
        form.check_kernel(in_channels, kernel_w)
        form.check_engine(engine, in_channels, kernel_w)
        assert form.narrowed(in_channels, in_channels, kernel_w) == form
        fewer = form.narrowed(in_channels, max(1, in_channels // 3), kernel_w)
        fewer.check_engine(engine, max(1, in_channels // 3), kernel_w)


@KINDS
def test_what_no_format_admits_is_refused(kind):
    (*_, form) = kind.choices(WIDE, 100, 3)
    full = form.coded(200)
    assert full.code_bits == MAX_CODE_BITS
    narrow = EngineConfig(
        word_bits=8, acc_bits=16, max_gap_bits=7, taps_per_entry=2, quotient_ones=4
    )
    assert full.entry_bits > 8 or kind is FORMATS[0]
    if full.entry_bits > 8:
        with pytest.raises(SqhwError, match=r"raise (word_bits|max_gap_bits)"):
            full.check_engine(narrow, 100, 3)
    with pytest.raises(SqhwError, match=r"^codebook has 5 values, 2-bit codes name only 4$"):
        form.coded(4).check_codebook((1, 2, 3, 4, 5), zeros=False)
    form.coded(4).check_codebook((1, 2, 3, 4), zeros=False)
    with pytest.raises(ValueError, match=r"^code_bits must be 0 to 8, not 9$"):
        form.coded(512)


@KINDS
def test_entries_beyond_a_channel_are_refused(kind):
    for form in kind.choices(WIDE, 2, 1):
        values = np.zeros(4, dtype=np.int64)
        with pytest.raises(
            ValueError,
            match=r"^entry 3 of channel 1 points at position 2, the channel has 2$",
        ):
            form.decode(Entries(values, np.array([1, 3], np.int32)), (5,), (2, 2, 1, 1))


@KINDS
def test_a_format_has_a_name_a_record_and_descriptor_fields(kind):
    fields = dict(descriptor_fields(WIDE))
    for form in kind.choices(WIDE, 4095, 2):
        coded = form.coded(16)
        assert str(coded) == f"{form.name}/4b"
        assert StreamRecord.of(coded).form() == coded
        assert form.descriptor.keys() <= fields.keys()
        assert all(0 <= value < 1 << fields[name] for name, value in coded.descriptor.items())
    names = [form.name for form in formats_for(WIDE, 4095, 2)]
    assert len(set(names)) == len(names) == 1 + 12 + 10
