import random

import numpy as np
import pytest
from hdl.support import clocked
from strategies import random_network

from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import FORMATS, Gap, Rice, StreamRecord, max_gap_bits
from sqhw.machine.timing import decode_cycles
from sqhw.network.quantized import Conv
from sqhw.rtl.stream_decoder import StreamDecoder

OUTPUTS = ["valid", "start", "step", "residual", "weight", "code", "location"]
TAPS = [1, 2]


def random_layer(rng, gap_bits, code_bits, in_channels, kernel, out_channels=3):
    """Return (weight, codebook, format); one channel has many weights, one few and one none."""
    stream = StreamRecord(gap_bits, code_bits).form()
    values = np.arange(-128, 128)
    values = values[values != 0]
    book = rng.choice(values, rng.integers(1, min(1 << code_bits, 255) + 1), replace=False)
    if stream.stores_zeros:
        book[0] = 0
    weight = rng.choice(book, (out_channels, in_channels, *kernel))
    if 0 in book or not stream.stores_zeros:
        density = rng.permutation([0.7, 1.5 / (in_channels * kernel[0]), 0.0])
        for channel in range(out_channels):
            weight[channel][rng.random(weight.shape[1:]) >= density[channel % 3]] = 0
    return weight.astype(np.int8), tuple(sorted(book.tolist())), stream


def offsets(weight, groups):
    """Return for every output channel the input channel at which its group begins."""
    out_channels, in_channels = weight.shape[:2]
    return [number // (out_channels // groups) * in_channels for number in range(out_channels)]


def expected_weights(weight, codebook, stream, groups=1):
    """Return for every output channel its weights: (kernel tap, input channel, code)."""
    _, in_channels, kernel_h, kernel_w = weight.shape
    return [
        [
            (ky * kernel_w + kx, offset + channel, codebook.index(int(kernel[channel, ky, kx])))
            for ky in range(kernel_h)
            for kx in range(kernel_w)
            for channel in range(in_channels)
            if stream.stores_zeros or kernel[channel, ky, kx]
        ]
        for kernel, offset in zip(weight, offsets(weight, groups), strict=True)
    ]


class Issue:
    """Issues the entries of layers and collects the weights that come out."""

    def __init__(self, rng, engine):
        self.rng = rng
        self.engine = engine
        self.stimulus = []
        self.issued = []  # (issue, first, skip, offset) of every cycle

    def cycle(self, issue, first, entry=0, bits=0, offset=0, skip=0, **inputs):
        """Add a cycle; the bits of the window above the entry are those of the next."""
        above = self.rng.getrandbits(self.engine.word_bits) >> bits << bits
        self.stimulus.append(
            {
                **inputs,
                "issue": issue,
                "first": first,
                "entry": entry | above,
                "skip": skip,
            }
        )
        self.issued.append((issue, first, skip, offset))

    def pause(self, cycles, **inputs):
        for _ in range(cycles):
            # All but the format of the layer means nothing without `issue`.
            first, skip = self.rng.randint(0, 1), self.rng.randint(0, 1)
            self.cycle(0, first, offset=self.any_row(), skip=skip, **inputs)

    def any_row(self):
        return self.rng.getrandbits(self.engine.row_bits)

    def layer(self, gap_bits, code_bits, channels, **split):
        """Begin a layer after the last weight of the layer before it."""
        self.pause(decode_cycles(self.engine), **split)
        self.pause(1, gap_bits=gap_bits, code_bits=code_bits, channels=channels)

    def channel(self, entries, bits, pause_chance, offset=0, skip=None):
        """Issue the entries of a channel, after one of the residual's channel `skip` if any.

        The engine issues no residual entry between the weights; there too it would change nothing.
        """
        if skip is not None:
            self.residual(skip)
        for index, entry in enumerate(entries):
            while self.rng.random() < pause_chance:
                if skip is not None and self.rng.random() < 0.3:
                    self.residual(self.any_row())
                else:
                    self.pause(1)
            self.cycle(1, int(index == 0), entry, bits, offset)

    def residual(self, channel):
        """Issue a channel of the residual; the window shows an entry that is not taken."""
        self.cycle(1, self.rng.randint(0, 1), offset=channel, skip=1)

    def weights(self):
        """Return the weights of every output channel, and check the signals of fixed latency.

        A channel of the residual is checked where it comes out and is not among the weights.
        """
        self.pause(decode_cycles(self.engine))
        two = ["step_two"] if self.engine.taps_per_entry > 1 else []
        seen = clocked(StreamDecoder(self.engine), self.stimulus, OUTPUTS + two)
        channels = []
        latency = decode_cycles(self.engine)
        for entry, out in zip(self.issued[:-latency], seen[latency:], strict=True):
            issue, first, skip, offset = entry
            assert out["valid"] == issue
            if not issue:
                continue
            assert out["residual"] == skip
            step, step_two = out["step"], out.get("step_two", 0)
            if skip:
                assert (out["start"], step, out["location"]) == (0, 0, 0)
                continue
            assert out["start"] == first
            if first:
                assert not step_two
                assert not step or two
                tap = 0
                channels.append([])
            tap += step * (1 + step_two)
            assert step or not step_two
            if out["weight"]:
                channels[-1].append((tap, offset + out["location"], out["code"]))
        assert not any(out["valid"] for out in seen[:latency])
        return channels


def add_conv(issue, weight, codebook, stream, pause_chance=0.2, groups=1, residual=False):
    entries = stream.encode(weight, codebook)
    issue.layer(stream.entry_bits - stream.code_bits, stream.code_bits, weight.shape[1])
    words = entries.values.tolist()
    starts = offsets(weight, groups)
    for number, count in enumerate(entries.counts.tolist()):
        skip = number if residual else None
        issue.channel(words[:count], stream.entry_bits, pause_chance, starts[number], skip)
        words = words[count:]
    return expected_weights(weight, codebook, stream, groups)


def add_rice(issue, weight, codebook, stream):
    """Add a layer of a Golomb-Rice stream, whose quotients come beside the fields."""
    entries = stream.encode(weight, codebook)
    issue.layer(stream.remainder_bits, stream.code_bits, weight.shape[1], split=1)
    words = []
    for value in entries.values.tolist():
        gap, code = stream.read(value)
        quotient, remainder = gap >> stream.remainder_bits, gap % (1 << stream.remainder_bits)
        field = 0 if code is None else remainder | code << stream.remainder_bits
        words.append((field, {"quotient": quotient, "filler": int(code is None)}))
    for count in entries.counts.tolist():
        # A filler has no field; the window shows the field of the next entry.
        own = words[:count]
        for entry in own:
            bits = 0 if entry[1]["filler"] else stream.entry_bits
            first = int(entry is own[0])
            issue.cycle(1, first, entry[0], bits, **entry[1])
            if issue.rng.random() < 0.2:
                issue.pause(1)
        words = words[count:]
    issue.pause(decode_cycles(issue.engine))
    issue.pause(1, split=0, quotient=0, filler=0)
    return expected_weights(weight, codebook, stream)


def add_pool(issue, channels, kernel, pause_chance=0.2):
    """Add a pooling layer: groups of one channel, entries of no bits."""
    issue.layer(0, 0, 1)
    for number in range(channels):
        issue.channel([0] * kernel**2, 0, pause_chance, offset=number)
    return [[(tap, number, 0) for tap in range(kernel**2)] for number in range(channels)]


def test_every_format_has_a_decoder():
    assert StreamDecoder.FORMATS == FORMATS


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("gap_bits", range(9))
def test_every_gap_and_code_width(gap_bits, taps):
    """Layers with the fewest channels that the gap admits, one more, and a power of two."""
    rng = np.random.default_rng(gap_bits)
    lanes = 8 << gap_bits % 2
    engine = EngineConfig(lanes=lanes, word_bits=17, taps_per_entry=taps)
    issue = Issue(random.Random(gap_bits), engine)
    expected = []
    least = max(1, -(-((1 << gap_bits) - 1) // taps))
    for code_bits in range(9):
        kernel = tuple((rng.integers(1, 4, 2) + np.array([0, taps - 1])).tolist())
        channels = least + code_bits % 3
        if channels > 40:
            kernel = (1, 3)
        expected += add_conv(issue, *random_layer(rng, gap_bits, code_bits, channels, kernel))
    assert issue.weights() == expected


@pytest.mark.parametrize("taps", TAPS)
def test_golomb_rice_streams_among_others(taps):
    rng = np.random.default_rng(taps)
    engine = EngineConfig(lanes=8 * taps, word_bits=18, taps_per_entry=taps, quotient_ones=8)
    issue = Issue(random.Random(taps), engine)
    expected = []
    for in_channels in (1, 5, 16):
        for form in Rice.choices(engine, in_channels, 3):
            parts = random_layer(rng, 1, min(8, 9 - form.remainder_bits), in_channels, (2, 3))
            expected += add_rice(issue, *parts[:2], form.coded(len(parts[1])))
        expected += add_conv(issue, *random_layer(rng, 1, 3, in_channels, (2, 3)))
    assert issue.weights() == expected


@pytest.mark.parametrize("taps", TAPS)
def test_the_widest_gap_and_the_most_channels(taps):
    rng = np.random.default_rng(1)
    engine = EngineConfig(word_bits=20, max_gap_bits=12, bank_depth=8192, taps_per_entry=taps)
    issue = Issue(random.Random(1), engine)
    expected = []
    for channels, gap_bits in [(4096 // taps, 12), (4095, 12), (8191, 12), (8191, 11)]:
        weight = np.zeros((1, channels, 2, 2), np.int8)
        weight.reshape(-1)[rng.integers(0, weight.size, 30)] = 7
        weight[0, -1] = weight[0, 0, 1, 1] = 7
        expected += add_conv(issue, weight, (-3, 7), Gap(gap_bits, 8))
    assert issue.weights() == expected


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("in_channels", [3, 4, 5, 6, 7])
def test_weights_at_regular_distances(in_channels, taps):
    """Gaps and fillers that end at the end of a tap, before it and after it."""
    issue = Issue(random.Random(in_channels), EngineConfig(taps_per_entry=taps))
    reach = taps * in_channels
    length = 4 * in_channels
    flat = np.zeros((reach * reach, length), np.int8)
    for row in range(len(flat)):
        flat[row, row // reach :: row % reach + 1] = 5
    weight = flat.reshape(-1, 2, 2, in_channels).transpose(0, 3, 1, 2)
    expected = []
    for gap_bits in range(1, max_gap_bits(in_channels, 2, taps) + 1):
        expected += add_conv(issue, weight, (5,), Gap(gap_bits, 0), pause_chance=0)
    assert issue.weights() == expected


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_pooling_visits_every_tap_of_its_channel(kernel, taps):
    issue = Issue(random.Random(kernel), EngineConfig(taps_per_entry=taps))
    expected = [out for channels in (1, 2, 7) for out in add_pool(issue, channels, kernel)]
    assert issue.weights() == expected


@pytest.mark.parametrize("groups", [1, 2, 5])
@pytest.mark.parametrize("gap_bits", [0, 1, 2])
def test_every_group_begins_at_its_offset(gap_bits, groups):
    rng = np.random.default_rng(groups)
    issue = Issue(random.Random(gap_bits), EngineConfig())
    expected = []
    for in_channels in (3, 4):
        parts = random_layer(rng, gap_bits, 3, in_channels, (2, 3), out_channels=3 * groups)
        for residual in (False, True):
            expected += add_conv(issue, *parts, groups=groups, residual=residual)
    assert issue.weights() == expected


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("seed", range(8))
def test_layers_of_random_networks(seed, taps):
    issue = Issue(random.Random(seed), EngineConfig(lanes=8 * taps, taps_per_entry=taps))
    network = random_network(seed, max_channels=8, max_kernel=3, max_size=4, taps_per_entry=taps)
    shapes = network.shapes()
    expected = []
    for layer in network.layers:
        if isinstance(layer, Conv):
            parts = layer.weight, layer.codebook, layer.stream
            skips = layer.residual is not None
            expected += add_conv(issue, *parts, groups=layer.groups, residual=skips)
        else:
            expected += add_pool(issue, shapes[layer.source][0], layer.kernel)
    assert issue.weights() == expected
