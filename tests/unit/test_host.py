"""`sqhw host` with a board that answers from the simulator, at a pseudo-terminal."""

import os
import pty
import threading
from pathlib import Path

import pytest
from command_line import refuse, run

from sqhw.boards.board_file import find_board
from sqhw.data import load_dataset
from sqhw.errors import SqhwError
from sqhw.machine.link import DONE, ESCAPE, FLAG, IDENTIFY, IDENTITY, RUN, crc, frame
from sqhw.machine.rom_pieces import to_plain, whole
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.host import host
from sqhw.steps.options import HostOptions
from sqhw.steps.program import program_of
from sqhw.steps.swap import NETWORK
from sqhw.synth.build_folder import FORMAT, Build, file_digest, write_build
from sqhw.verify.job import job_of

DIGITS = Path(__file__).parents[2] / "benchmarks" / "boards" / "digits.safetensors"
IDENTITY_OF_BUILD = 0xC0FFEE7E
IMAGES = 4


class FakeBoard(threading.Thread):
    """Answers frames with prepared results, and one frame in three not at all."""

    def __init__(self, file, job):
        super().__init__(daemon=True)
        self.file = file
        self.answers = dict(zip(map(bytes, job.pixels), map(bytes, job.results), strict=True))
        self.cycles = job.cycles
        self.identity = IDENTITY_OF_BUILD
        self.frames = 0

    def run(self):
        payload, escaped = bytearray(), False
        while True:
            try:
                received = os.read(self.file, 4096)
            except OSError:
                return
            for byte in received:
                if byte == FLAG:
                    payload, escaped = bytearray(), False
                elif byte == ESCAPE:
                    escaped = True
                else:
                    payload.append(byte ^ 0x20 if escaped else byte)
                    escaped = False
                    self.answer(bytes(payload))

    def answer(self, payload):
        pixels = len(next(iter(self.answers)))
        if len(payload) != {IDENTIFY: 3, RUN: 3 + pixels}[payload[0]] or crc(payload):
            return
        self.frames += 1
        if self.frames % 3 == 0:
            return
        if payload[0] == IDENTIFY:
            answer = bytes([IDENTITY]) + self.identity.to_bytes(4, "little")
        else:
            results = self.answers[payload[1:-2]]
            answer = bytes([DONE]) + results + self.cycles.to_bytes(4, "little")
        os.write(self.file, b"noise" + frame(answer))


@pytest.fixture
def build(tmp_path):
    """Return the folder of a made-up build of the digits' network."""
    folder = tmp_path / "build"
    folder.mkdir()
    program, board = program_of(DIGITS), find_board("iCEBreaker")
    save_network(load_network(DIGITS), folder / NETWORK)
    pieces = {image.name: whole(image.depth, image.width) for image in program.images}
    manifest = Build(
        format=FORMAT, board=board.name, device=board.device.name, family="ice40",
        engine=program.engine.to_dict(), pieces=to_plain(pieces), fixed=(), clock_mhz=34.5,
        baud=1_000_000, divisor=35, identity=IDENTITY_OF_BUILD, seed=1, placed="placed.asc",
        bitstream="board.bin", network=program.network.name,
        files={NETWORK: file_digest(folder / NETWORK)},
    )  # fmt: skip
    write_build(folder, manifest)
    return folder


@pytest.fixture
def board():
    """Return a board that answers, and the name of its port."""
    job = job_of(program_of(DIGITS), load_dataset("digits").test.images[:IMAGES])
    ours, theirs = pty.openpty()
    fake = FakeBoard(ours, job)
    fake.start()
    yield fake, os.ttyname(theirs)
    os.close(theirs)
    fake.join(10)
    os.close(ours)


def test_images_on_a_board(build, board, monkeypatch, capsys):
    _, port = board
    code, out, _ = run(monkeypatch, capsys, "host", build, "--port", port, "--images", IMAGES)
    assert code == 0
    assert f"digits-cnn on iCEBreaker at {port}" in out
    assert f"equal to the simulator  {IMAGES} of {IMAGES} images" in out
    assert "frames sent again       2" in out


def test_another_bitstream_is_told(build, board, monkeypatch, capsys):
    fake, port = board
    fake.identity = 1
    message = refuse(monkeypatch, capsys, "host", build, "--port", port, "--images", IMAGES)
    assert message == (
        f"the board at {port} has another bitstream (00000001) than the build in {build} "
        f"(c0ffee7e); load {build / 'board.bin'}"
    )


def test_other_results_and_cycles_are_told(build, board):
    fake, port = board
    options = HostOptions(build=build, port=port, images=IMAGES)
    fake.answers[list(fake.answers)[2]] = bytes(10)
    with pytest.raises(SqhwError) as error:
        host(options)
    assert str(error.value) == (
        "the results of 1 of 4 images differ from the simulator's, first those of image 2; is the "
        f"network in the bitstream that of {build / NETWORK}?"
    )
    fake.cycles += 1
    with pytest.raises(SqhwError, match=r"image 0: the board took \d+ cycles, \d+ are predicted"):
        host(options)


def test_a_wrong_port_is_one_sentence(build, tmp_path, monkeypatch, capsys):
    port = tmp_path / "ttyUSB9"
    message = refuse(monkeypatch, capsys, "host", build, "--port", port, "--images", 1)
    assert message == f"cannot open port {port}: No such file or directory"
