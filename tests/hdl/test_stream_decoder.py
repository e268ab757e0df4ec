import random

import numpy as np
import pytest
from hdl.support import clocked
from strategies import random_network

from sqhw.engine import EngineConfig
from sqhw.network import Conv
from sqhw.rtl.stream_decoder import StreamDecoder
from sqhw.stream import StreamFormat, encode, max_gap_bits

OUTPUTS = ["valid", "start", "step", "weight", "code", "location"]


def random_layer(rng, gap_bits, code_bits, in_channels, kernel, out_channels=3):
    """Return (weight, codebook, format); one channel has many weights, one few and one none."""
    stream = StreamFormat(gap_bits, code_bits)
    values = np.arange(-128, 128)
    values = values[values != 0]
    book = rng.choice(values, rng.integers(1, min(1 << code_bits, 255) + 1), replace=False)
    if stream.dense:
        book[0] = 0
    weight = rng.choice(book, (out_channels, in_channels, *kernel))
    if 0 in book or not stream.dense:
        density = rng.permutation([0.7, 1.5 / (in_channels * kernel[0]), 0.0])
        for channel in range(out_channels):
            weight[channel][rng.random(weight.shape[1:]) >= density[channel % 3]] = 0
    return weight.astype(np.int8), tuple(sorted(book.tolist())), stream


def expected_weights(weight, codebook, stream):
    """Return for every output channel its weights: (kernel tap, input channel, code)."""
    _, in_channels, kernel_h, kernel_w = weight.shape
    return [
        [
            (ky * kernel_w + kx, channel, codebook.index(int(kernel[channel, ky, kx])))
            for ky in range(kernel_h)
            for kx in range(kernel_w)
            for channel in range(in_channels)
            if stream.dense or kernel[channel, ky, kx]
        ]
        for kernel in weight
    ]


class Issue:
    """Issues the entries of layers and collects the weights that come out."""

    def __init__(self, rng, engine):
        self.rng = rng
        self.engine = engine
        self.stimulus = []
        self.issued = []  # (issue, first) of every cycle

    def cycle(self, issue, first, entry=0, bits=0, **inputs):
        """Add a cycle; the bits of the window above the entry are those of the next."""
        above = self.rng.getrandbits(self.engine.word_bits) >> bits << bits
        self.stimulus.append({**inputs, "issue": issue, "first": first, "entry": entry | above})
        self.issued.append((issue, first))

    def pause(self, cycles, **inputs):
        for _ in range(cycles):
            # `first` and `entry` mean nothing without `issue`.
            self.cycle(0, self.rng.randint(0, 1), **inputs)

    def layer(self, gap_bits, code_bits, channels, pool):
        """Begin a layer when the one before it has come out."""
        self.pause(StreamDecoder.LATENCY)
        self.pause(
            1, gap_bits=gap_bits, code_bits=code_bits, channels=channels, pool=int(pool), channel=0
        )

    def channel(self, number, entries, bits, pause_chance):
        for index, entry in enumerate(entries):
            while self.rng.random() < pause_chance:
                self.pause(1)
            self.cycle(1, int(index == 0), entry, bits, channel=number)

    def weights(self):
        """Return the weights of every output channel and check what has a fixed latency."""
        self.pause(StreamDecoder.LATENCY)
        seen = clocked(StreamDecoder(self.engine), self.stimulus, OUTPUTS)
        channels = []
        late = self.issued[: -StreamDecoder.LATENCY]
        for (issue, first), out in zip(late, seen[StreamDecoder.LATENCY :], strict=True):
            assert out["valid"] == issue
            if not issue:
                continue
            assert out["start"] == first
            if first:
                assert not out["step"]
                tap = 0
                channels.append([])
            tap += out["step"]
            if out["weight"]:
                channels[-1].append((tap, out["location"], out["code"]))
        assert not any(out["valid"] for out in seen[: StreamDecoder.LATENCY])
        return channels


def add_conv(issue, weight, codebook, stream, pause_chance=0.2):
    entries = encode(weight, codebook, stream)
    issue.layer(stream.gap_bits, stream.code_bits, weight.shape[1], pool=False)
    words = (entries.gaps | entries.codes << stream.gap_bits).tolist()
    for number, count in enumerate(entries.counts.tolist()):
        issue.channel(number, words[:count], stream.entry_bits, pause_chance)
        words = words[count:]
    return expected_weights(weight, codebook, stream)


def add_pool(issue, channels, kernel, pause_chance=0.2):
    issue.layer(0, 0, channels, pool=True)
    for number in range(channels):
        issue.channel(number, [0] * kernel**2, 0, pause_chance)
    return [[(tap, number, 0) for tap in range(kernel**2)] for number in range(channels)]


@pytest.mark.parametrize("gap_bits", range(9))
def test_every_gap_and_code_width(gap_bits):
    """With as few channels as the gap admits, one more, and a power of two."""
    rng = np.random.default_rng(gap_bits)
    issue = Issue(random.Random(gap_bits), EngineConfig(word_bits=17))
    expected = []
    least = max(1, (1 << gap_bits) - 1)
    for code_bits in range(9):
        kernel = tuple(rng.integers(1, 4, 2).tolist())
        channels = least + code_bits % 3
        if channels > 40:
            kernel = (1, 2)
        expected += add_conv(issue, *random_layer(rng, gap_bits, code_bits, channels, kernel))
    assert issue.weights() == expected


def test_the_widest_gap_and_the_most_channels():
    rng = np.random.default_rng(1)
    engine = EngineConfig(word_bits=20, max_gap_bits=12, bank_depth=8192)
    issue = Issue(random.Random(1), engine)
    expected = []
    for channels, gap_bits in [(4095, 12), (8191, 12), (8191, 11)]:
        weight = np.zeros((1, channels, 2, 2), np.int8)
        weight.reshape(-1)[rng.integers(0, weight.size, 30)] = 7
        weight[0, -1] = weight[0, 0, 1, 1] = 7
        expected += add_conv(issue, weight, (-3, 7), StreamFormat(gap_bits, 8))
    assert issue.weights() == expected


@pytest.mark.parametrize("in_channels", [3, 4, 5, 6, 7])
def test_weights_at_regular_distances(in_channels):
    """Gaps and fillers that end at the end of a tap, before it and behind it."""
    issue = Issue(random.Random(in_channels), EngineConfig())
    length = 4 * in_channels
    flat = np.zeros((in_channels * in_channels, length), np.int8)
    for row in range(len(flat)):
        flat[row, row // in_channels :: row % in_channels + 1] = 5
    weight = flat.reshape(-1, 2, 2, in_channels).transpose(0, 3, 1, 2)
    expected = []
    for gap_bits in range(1, max_gap_bits(in_channels, 8) + 1):
        expected += add_conv(issue, weight, (5,), StreamFormat(gap_bits, 0), pause_chance=0)
    assert issue.weights() == expected


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_pooling_visits_every_tap_of_its_channel(kernel):
    issue = Issue(random.Random(kernel), EngineConfig())
    expected = [out for channels in (1, 2, 7) for out in add_pool(issue, channels, kernel)]
    assert issue.weights() == expected


@pytest.mark.parametrize("seed", range(8))
def test_layers_of_random_networks(seed):
    issue = Issue(random.Random(seed), EngineConfig())
    network = random_network(seed, max_channels=8, max_kernel=3, max_size=4)
    shapes = network.shapes()
    expected = []
    for layer in network.layers:
        if isinstance(layer, Conv):
            expected += add_conv(issue, layer.weight, layer.codebook, layer.stream)
        else:
            expected += add_pool(issue, shapes[layer.source][0], layer.kernel)
    assert issue.weights() == expected
