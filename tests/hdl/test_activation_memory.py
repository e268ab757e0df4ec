"""The addresses and the rotation; the leaf `sqhw_ram` is Verilog, here a model stands for it."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.memory import Memory
from hdl.support import clocked

from sqhw.engine import EngineConfig
from sqhw.rtl import activation_memory
from sqhw.rtl.activation_memory import ActivationMemory


class RamModel(Elaboratable):
    """What `sqhw_ram` says it does, with the ports of its instance."""

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
        m.d.comb += [
            write.en.eq(ports["i_write_en"]),
            write.addr.eq(ports["i_write_addr"]),
            write.data.eq(ports["i_write_data"]),
            read.addr.eq(ports["i_read_addr"]),
            ports["o_read_data"].eq(read.data),
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


@pytest.mark.parametrize(("lanes", "depth"), [(2, 64), (4, 128), (8, 64), (16, 64), (32, 64)])
def test_random_reads_and_writes(lanes, depth):
    rng = random.Random(lanes)
    banks = [[0] * depth for _ in range(lanes)]
    stimulus, expected = [], []
    rows = [rng.randrange(depth) for _ in range(4)] + [0, depth - 1]  # often the same ones
    for _ in range(1600 // lanes + 300):
        reading = {
            "row": rng.choice(rows),
            "lane": rng.randrange(lanes),
            "channels": (rng.choice(rows) - rng.choice(rows)) % depth,
        }
        writing = {
            "write_en": rng.randint(0, 1),
            "write_row": rng.choice(rows),
            "write_lane": rng.randrange(lanes),
            "write_data": rng.getrandbits(8),
        }
        stimulus.append(reading | writing)
        expected.append(vector(banks, **reading))  # the bytes before the write
        if writing["write_en"]:
            banks[writing["write_lane"]][writing["write_row"]] = writing["write_data"]
    stimulus += [{"write_en": 0}] * ActivationMemory.READ_CYCLES
    memory = ActivationMemory(EngineConfig(lanes=lanes, bank_depth=depth))
    seen = [out["vector"] for out in clocked(memory, stimulus, ["vector"])]
    assert seen[ActivationMemory.READ_CYCLES :] == expected


@pytest.mark.parametrize("lanes", [2, 8])
def test_consecutive_positions_from_any_position(lanes):
    """Element (position p, channel c) lies in bank p % lanes, row (p // lanes) * channels + c."""
    channels, positions = 3, 4 * lanes
    elements = [(p, c) for p in range(positions) for c in range(channels)]
    stimulus = [
        {
            "write_en": 1,
            "write_row": p // lanes * channels + c,
            "write_lane": p % lanes,
            "write_data": 10 + p * channels + c,
        }
        for p, c in elements
    ]
    starts = [(p, c) for p, c in elements if p <= positions - lanes]
    stimulus += [
        {"write_en": 0, "row": p // lanes * channels + c, "lane": p % lanes, "channels": channels}
        for p, c in starts
    ]
    stimulus += [{}] * ActivationMemory.READ_CYCLES
    memory = ActivationMemory(EngineConfig(lanes=lanes, bank_depth=64))
    seen = [out["vector"] for out in clocked(memory, stimulus, ["vector"])]
    expected = [[10 + (p + i) * channels + c for i in range(lanes)] for p, c in starts]
    assert seen[len(elements) + ActivationMemory.READ_CYCLES :] == expected
