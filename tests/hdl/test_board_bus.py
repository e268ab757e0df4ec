"""The link of a board with registers for LiteX clients and frames in flight, in simulation."""

import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sqhw.boards.board_file import find_board
from sqhw.boards.clocks import DesignClock
from sqhw.host.client import BoardClient
from sqhw.host.port import SerialPort
from sqhw.machine.link import BUS_READ, BUS_WRITE, RUN, frame, queue_bytes
from sqhw.machine.registers import ID, find_register
from sqhw.steps.program import program_of
from sqhw.synth.board_roms import board_roms
from sqhw.synth.build_board import identity_of, verilog_sources, write_images, write_sources
from sqhw.verify.board_sim import BoardSimulation
from sqhw.verify.job import job_of

pytestmark = pytest.mark.evidence

NETWORK = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
BAUD, DIVISOR = 1_000_000, 8
#: Clock of the design: its UARTBone drops a transaction after 8,000 cycles.
CLOCK = DesignClock(0.08, "divider", {"halvings": 0})
#: Seconds that a simulated answer may take on a busy machine.
PATIENCE = 60
IMAGES = 6


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """Return simulation, job of random images, identity and queue of a board."""
    folder = tmp_path_factory.mktemp("board")
    program = program_of(NETWORK)
    board = find_board("ULX3S 25F")
    board = replace(board, uart=replace(board.uart, baud=round(CLOCK.mhz * 1e6 / DIVISOR)))
    pixels = program.network.input_format
    images = np.random.default_rng(0).integers(
        pixels.lo, pixels.hi + 1, (IMAGES, *program.network.input_shape)
    )
    job = job_of(program, images)
    queue = queue_bytes(job.sizes[0])
    roms = board_roms(program.engine, program.depths, board.device, queue)
    write_images(program, roms, folder, None)
    write_sources(program, board, CLOCK, roms.pieces, folder, queue)
    simulation = BoardSimulation(folder, verilog_sources(), DIVISOR, optimize=0)
    return simulation, job, identity_of(board, program.engine, roms.pieces, queue), queue


@pytest.fixture
def board(design):
    """Return (port, client) of a running board."""
    simulation, job, _, queue = design
    with simulation.port() as name, SerialPort(name, BAUD) as port:
        yield port, BoardClient(port, *job.sizes, 0, spare_seconds=PATIENCE, queue=queue)


def read_words(port, register, count=1):
    """Return words that follow each other, read by the bytes of UARTBone."""
    head = bytes([BUS_READ, count]) + (find_register(register).offset >> 2).to_bytes(4, "big")
    deadline = time.monotonic() + PATIENCE
    port.write(head, deadline)
    found = b""
    while len(found) < 4 * count and (data := port.read(deadline)):
        found += data
    return [int.from_bytes(found[at : at + 4], "big") for at in range(0, len(found), 4)]


def write_word(port, register, value):
    place = (find_register(register).offset >> 2).to_bytes(4, "big")
    data = bytes([BUS_WRITE, 1]) + place + value.to_bytes(4, "big")
    port.write(data, time.monotonic() + PATIENCE)


def test_frames_in_flight_equal_the_simulator(design, board):
    _, job, identity, _ = design
    port, client = board
    assert client.identify() == identity
    found = list(client.run_all([pixels.tobytes() for pixels in job.pixels]))
    assert [index for index, _, _ in found] == list(range(IMAGES))
    assert [results for _, results, _ in found] == [results.tobytes() for results in job.results]
    assert {cycles for _, _, cycles in found} == {job.cycles}
    assert client.retries == 0
    assert read_words(port, "CYCLES", 2) == [job.cycles, IMAGES]  # and FRAMES


def test_registers_are_read_and_written(board):
    port, _ = board
    assert read_words(port, "ID", 2) == [ID, 0x0001_0000]
    write_word(port, "IRQ_ENABLE", 3)
    assert read_words(port, "IRQ_ENABLE") == [3]
    write_word(port, "IRQ_ENABLE", 1)
    assert read_words(port, "IRQ_ENABLE") == [1]
    assert read_words(port, "STATUS") == [1]  # idle


def test_the_board_is_in_step_again_after_garbage(design, board):
    """Also after half a transaction, which it drops; and a lost frame is sent again."""
    _, job, _, _ = design
    port, client = board
    pixels = [one.tobytes() for one in job.pixels]
    for garbage in (
        bytes([BUS_WRITE, 200, 0, 0]),
        frame(bytes([RUN, 0]) + pixels[0])[:-3],
        bytes(np.random.default_rng(1).integers(0, 256, 40).astype(np.uint8)),
    ):
        port.write(garbage, time.monotonic() + PATIENCE)
        found = dict((index, results) for index, results, _ in client.run_all(pixels[:3]))
        assert found == {index: job.results[index].tobytes() for index in range(3)}
    # The last frame of garbage was still in step; the first swallowed a frame.
    assert client.retries > 0


@pytest.mark.skipif(find_spec("litex") is None, reason="litex is not installed")
def test_a_litex_client_reads_a_register(design):
    from litex.tools.remote.comm_uart import CommUART

    simulation, _, _, _ = design
    with simulation.port() as name:
        client = CommUART(name, BAUD)
        client.open()
        assert client.read(find_register("ID").offset) == ID
        client.write(find_register("IRQ_ENABLE").offset, 2)
        assert client.read(find_register("IRQ_ENABLE").offset, length=1) == [2]
        client.close()
