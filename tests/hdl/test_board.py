"""The design of a board in simulation, driven by the host's program through a pseudo-terminal."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sqhw.boards.board_file import find_board
from sqhw.boards.clocks import DesignClock
from sqhw.errors import SqhwError
from sqhw.host.client import BoardClient, Decoder
from sqhw.host.port import SerialPort
from sqhw.machine.link import BAD_CRC, DONE, ESCAPE, FLAG, IDENTIFY, IDENTITY, RUN, frame
from sqhw.steps.program import program_of
from sqhw.synth.board_roms import board_roms
from sqhw.synth.build_board import identity_of, verilog_sources, write_images, write_sources
from sqhw.verify.board_sim import BoardSimulation
from sqhw.verify.job import job_of

NETWORK = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"
BAUD, DIVISOR = 1_000_000, 8
CLOCK = DesignClock(8.0, "divider", {"halvings": 0})
#: Seconds that a simulated answer may take on a busy machine.
PATIENCE = 60


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """Return simulation, job of random images and identity of a board with a small network."""
    folder = tmp_path_factory.mktemp("board")
    program = program_of(NETWORK)
    board = find_board("iCEBreaker")
    board = replace(board, uart=replace(board.uart, baud=BAUD))
    roms = board_roms(program.engine, program.depths, board.device)
    write_images(program, roms, folder, None)
    write_sources(program, board, CLOCK, roms.pieces, folder)
    simulation = BoardSimulation(folder, verilog_sources(), DIVISOR, optimize=0)
    pixels = program.network.input_format
    images = np.random.default_rng(0).integers(
        pixels.lo, pixels.hi + 1, (6, *program.network.input_shape)
    )
    # Bytes that the link escapes.
    images[0, 0, 0, :2] = FLAG, ESCAPE
    return simulation, job_of(program, images), identity_of(board, program.engine, roms.pieces)


@pytest.fixture
def board(design):
    """Return (port, client) of a running board."""
    simulation, job, _ = design
    with simulation.port() as name, SerialPort(name, BAUD) as port:
        yield port, BoardClient(port, *job.sizes, run_seconds=0, spare_seconds=PATIENCE)


def answers(port, job, data, count=1):
    """Send bytes; return the statuses of the answers."""
    decoder, found = Decoder(job.sizes[1]), []
    deadline = time.monotonic() + PATIENCE
    port.write(data, deadline)
    while len(found) < count and (received := port.read(deadline)):
        found += decoder.feed(received)
    assert not decoder.damaged
    return [answer.status for answer in found]


def test_results_and_cycles_are_those_of_the_simulator(design, board):
    _, job, identity = design
    _, client = board
    assert client.identify() == identity
    for pixels, results in zip(job.pixels, job.results, strict=True):
        assert client.run(pixels.tobytes()) == (results.tobytes(), job.cycles)
    assert client.retries == 0


def test_the_board_is_in_step_again_after_garbage(design, board):
    _, job, _ = design
    port, client = board
    pixels = job.pixels[1].tobytes()
    noise = np.random.default_rng(1).integers(0, 256, 40).astype(np.uint8).tobytes()
    whole = frame(bytes([RUN]) + pixels)
    damaged = bytearray(whole)
    damaged[20] ^= 1
    for garbage in (noise.replace(bytes([FLAG]), b""), whole[:30], frame(b"?" + pixels)):
        assert answers(port, job, garbage + whole) == [DONE]
    assert answers(port, job, bytes(damaged)) == [BAD_CRC]
    # After a frame that is too long, its CRC is wrong.
    assert answers(port, job, frame(bytes([RUN]) + pixels + b"more")) == [BAD_CRC]
    assert answers(port, job, frame(bytes([IDENTIFY]))) == [IDENTITY]
    assert client.run(pixels) == (job.results[1].tobytes(), job.cycles)


def test_bytes_during_an_answer_are_ignored(design, board):
    _, job, _ = design
    port, client = board
    whole = frame(bytes([RUN]) + job.pixels[2].tobytes())
    # The second frame begins while the first one is answered, and is lost.
    assert answers(port, job, whole + whole[:8]) == [DONE]
    assert client.run(job.pixels[3].tobytes())[0] == job.results[3].tobytes()


def test_a_board_with_another_network_is_told(design):
    simulation, job, _ = design
    with simulation.port() as name, SerialPort(name, BAUD) as port:
        client = BoardClient(port, job.sizes[0] + 1, job.sizes[1], 0, spare_seconds=PATIENCE)
        # The board takes the last pixel for the first byte of the CRC.
        with pytest.raises(SqhwError, match=r"received damaged frames, 3 times; is this its port"):
            client.run(bytes(job.sizes[0] + 1))
