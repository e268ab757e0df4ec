"""Frames on the serial line of a board, as the host writes and reads them."""

import os
import pty
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.errors import SqhwError
from sqhw.host.client import Answer, BoardClient, Decoder
from sqhw.host.port import SerialPort
from sqhw.machine.link import BAD_CRC, DONE, ESCAPE, FLAG, IDENTITY, RUN, crc, frame

RESULTS = 3


def answer(status, results=b"", number=0):
    return frame(bytes([status]) + results + number.to_bytes(4, "little"))


def test_crc_is_that_of_the_catalogue():
    """The check value of CRC-16/IBM-3740 in the catalogue of parametrised CRC algorithms."""
    assert crc(b"123456789") == 0x29B1


def test_a_frame_by_hand():
    payload = bytes([RUN, FLAG, ESCAPE])
    assert frame(payload)[:6] == bytes([FLAG, RUN, ESCAPE, FLAG ^ 0x20, ESCAPE, ESCAPE ^ 0x20])
    assert crc(payload + crc(payload).to_bytes(2, "big")) == 0


@given(st.binary(max_size=40), st.binary(min_size=RESULTS, max_size=RESULTS), st.integers(0, 9))
def test_answers_are_found_after_garbage(garbage, results, cut):
    whole = answer(DONE, results, 123_456)
    sent = garbage + whole[: len(whole) - cut] if cut else garbage + whole
    decoder = Decoder(RESULTS)
    found = decoder.feed(sent)
    found += decoder.feed(answer(DONE, results, 5))
    assert found[-1] == Answer(DONE, results, 5)
    if not cut:
        assert Answer(DONE, results, 123_456) in found


def test_damaged_answers_are_counted():
    whole = bytearray(answer(IDENTITY, number=7))
    whole[2] ^= 1
    decoder = Decoder(RESULTS)
    assert decoder.feed(bytes(whole)) == []
    assert decoder.feed(bytes([FLAG]) + b"\x99") == []
    assert decoder.damaged == 2
    assert decoder.feed(answer(BAD_CRC)) == [Answer(BAD_CRC, b"", 0)]


@pytest.fixture
def ends():
    """Return the file of the board's side of a pseudo-terminal, and the name of the host's."""
    ours, theirs = pty.openpty()
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_no_answer_is_one_sentence(ends):
    with SerialPort(ends[1], 1_000_000) as port:
        client = BoardClient(port, 4, RESULTS, run_seconds=0.01, spare_seconds=0.01)
        with pytest.raises(SqhwError) as error:
            client.run(bytes(4))
    assert str(error.value) == (
        f"the board at {ends[1]} did not answer within 0.0 s, 3 times; is this its port, and is "
        "the bitstream loaded that speaks 1,000,000 bit/s?"
    )
    assert client.retries == 2


def test_foreign_answers_are_told(ends, monkeypatch):
    with SerialPort(ends[1], 1_000_000) as port:
        client = BoardClient(port, 4, RESULTS, run_seconds=0.01, spare_seconds=0.05)
        monkeypatch.setattr(port, "discard", lambda: os.write(ends[0], bytes([FLAG]) + b"login:"))
        with pytest.raises(SqhwError, match="sent damaged or foreign answers, 3 times"):
            client.identify()


def test_wrong_ports_are_one_sentence(tmp_path):
    for path, message in (
        (tmp_path / "none", "cannot open port .*: No such file or directory"),
        (tmp_path, "cannot open port .*: Is a directory"),
        ("/dev/null", "/dev/null is not a serial port"),
    ):
        with pytest.raises(SqhwError, match=message):
            SerialPort(str(path), 115_200)
    with pytest.raises(SqhwError, match="has no speed of 123 bit/s"):
        SerialPort("/dev/null", 123)


def test_an_unplugged_board_is_told():
    ours, theirs = pty.openpty()
    with SerialPort(os.ttyname(theirs), 115_200) as port:
        os.close(theirs)
        os.close(ours)
        with pytest.raises(SqhwError, match=r"is gone .*; is the board unplugged"):
            port.read(time.monotonic() + 5)
