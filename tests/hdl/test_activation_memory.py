"""Addresses and rotation of the activation memory, with a model for the Verilog of `sqhw_ram`."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib.memory import Memory
from hdl.support import clocked

from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import WRITE_CYCLES, is_deep, read_cycles
from sqhw.rtl import activation_memory
from sqhw.rtl.activation_memory import ActivationMemory


class RamModel(Elaboratable):
    """Model of `sqhw_ram` by its description, with the ports of its instance.

    A word that is read while it is written is undefined. The model returns the complement of the
    old one.
    """

    def __init__(self, module, **ports):
        assert module == "sqhw_ram"
        self.ports = ports

    def elaborate(self, platform):
        m = Module()
        ports = self.ports
        m.submodules.memory = memory = Memory(
            shape=ports["p_WIDTH"], depth=ports["p_DEPTH"], init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        assert len(read.addr) == ports["p_ADDR"]
        clash = Signal()
        m.d.sync += clash.eq(write.en & (write.addr == read.addr))
        m.d.comb += [
            write.en.eq(ports["i_write_en"]),
            write.addr.eq(ports["i_write_addr"]),
            write.data.eq(ports["i_write_data"]),
            read.addr.eq(ports["i_read_addr"]),
            ports["o_read_data"].eq(read.data ^ clash.replicate(ports["p_WIDTH"])),
        ]
        return m


@pytest.fixture(autouse=True)
def model_of_the_leaf(monkeypatch):
    monkeypatch.setattr(activation_memory, "Instance", RamModel)


def vector(banks, row, lane, channels):
    """Return the elements of `lanes` consecutive positions of one channel."""
    lanes, depth = len(banks), len(banks[0])
    places = [divmod(lane + element, lanes) for element in range(lanes)]
    return [banks[bank][(row + carry * channels) % depth] for carry, bank in places]


@pytest.mark.parametrize(
    ("lanes", "depth", "requantizers"),
    [
        (2, 64, 1), (2, 64, 2), (4, 128, 1), (4, 64, 4), (8, 64, 1), (8, 64, 2), (8, 64, 4),
        (16, 64, 4), (16, 64, 8), (32, 64, 2),
    ],
)  # fmt: skip
def test_random_reads_and_writes(lanes, depth, requantizers):
    rng = random.Random(lanes)
    engine = EngineConfig(lanes=lanes, bank_depth=depth, requantizers=requantizers)
    banks = [[0] * depth for _ in range(lanes)]
    stimulus, expected, writes = [], [], [{}]
    # A row address is registered in a deep engine, as a write is in all of them.
    order = WRITE_CYCLES - is_deep(engine)
    rows = [rng.randrange(depth) for _ in range(4)] + [0, depth - 1]  # often the same rows
    for _ in range(1600 // lanes + 300):
        reading = {
            "read.row": rng.choice(rows),
            "read.lane": rng.randrange(lanes),
            "read.channels": (rng.choice(rows) - rng.choice(rows)) % depth,
        }
        group, row = rng.randint(0, 1), rng.choice(rows)
        lane = rng.randrange(0, lanes, requantizers if group else 1)
        data = [rng.getrandbits(8) for _ in range(requantizers)]
        writing = {
            "write.en": rng.randint(0, 1),
            "write.row": row,
            "write.lane": lane,
            "write.data": data,
            "write.group": group,
        }
        stimulus.append(reading | writing)
        written = enumerate(data if group else data[:1]) if writing["write.en"] else ()
        writes.append({(lane + index, row): byte for index, byte in written})
        for (bank, at), byte in writes[-1 - order].items():
            banks[bank][at] = None, byte  # undefined if it is read now
        expected.append(vector(banks, *reading.values()))
        for (bank, at), byte in writes[-1 - order].items():
            banks[bank][at] = byte
    stimulus += [{"write.en": 0}] * read_cycles(engine)
    seen = [out["vector"] for out in clocked(ActivationMemory(engine), stimulus, ["vector"])]
    for got, wanted in zip(seen[read_cycles(engine) :], expected, strict=True):
        for byte, known in zip(got, wanted, strict=True):
            assert isinstance(known, tuple) or byte == known


@pytest.mark.parametrize(("lanes", "at_once"), [(2, 1), (8, 1), (2, 2), (8, 2), (8, 4), (16, 4)])
def test_consecutive_positions_from_any_position(lanes, at_once):
    """Element (position p, channel c) lies in bank p % lanes, row (p // lanes) * channels + c."""
    channels, positions = 3, 4 * lanes
    elements = [(p, c) for p in range(positions) for c in range(channels)]
    stimulus = [
        {
            "write.en": 1,
            "write.row": p // lanes * channels + c,
            "write.lane": p % lanes,
            "write.data": [10 + (p + index) * channels + c for index in range(at_once)],
            "write.group": int(at_once > 1),
        }
        for p, c in elements
        if p % at_once == 0
    ]
    stimulus += [{"write.en": 0}] * WRITE_CYCLES
    writes = len(stimulus)
    starts = [(p, c) for p, c in elements if p <= positions - lanes]
    stimulus += [
        {
            "write.en": 0,
            "read.row": p // lanes * channels + c,
            "read.lane": p % lanes,
            "read.channels": channels,
        }
        for p, c in starts
    ]
    engine = EngineConfig(lanes=lanes, bank_depth=64, requantizers=at_once)
    stimulus += [{}] * read_cycles(engine)
    seen = [out["vector"] for out in clocked(ActivationMemory(engine), stimulus, ["vector"])]
    expected = [[10 + (p + i) * channels + c for i in range(lanes)] for p, c in starts]
    assert seen[writes + read_cycles(engine) :] == expected
