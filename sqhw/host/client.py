"""Runs of images on a board, by the link of `sqhw.machine.link`."""

import time
from dataclasses import dataclass

from sqhw.errors import SqhwError
from sqhw.host.port import SerialPort
from sqhw.machine.link import (
    BAD_CRC,
    CRC_BYTES,
    DONE,
    ESCAPE,
    ESCAPE_BIT,
    FLAG,
    IDENTIFY,
    IDENTITY,
    NUMBER_BYTES,
    RUN,
    crc,
    frame,
)

#: Bits of a byte on the line.
LINE_BITS = 10
#: Times that a frame is sent before the board counts as dead.
TRIES = 3
#: Time that the operating system and a USB bridge may take beside the line (unit: s).
SPARE_SECONDS = 0.5


@dataclass(frozen=True)
class Answer:
    """An answer of a board.

    Parameters
    ----------
    status : int
        One of the statuses of `sqhw.machine.link`.
    results : bytes
        Results of a run.
    number : int
        Cycles of the run, or the identity of the build.
    """

    status: int
    results: bytes
    number: int


class Decoder:
    """Finds answers in a stream of bytes, whatever is between them.

    Parameters
    ----------
    results : int
        Bytes of the results of a run.
    """

    def __init__(self, results: int) -> None:
        fixed = 1 + NUMBER_BYTES + CRC_BYTES
        self._lengths = {IDENTITY: fixed, BAD_CRC: fixed, DONE: fixed + results}
        self._payload: bytearray | None = None
        self._escaped = False
        #: Number of frames that were damaged.
        self.damaged = 0

    def feed(self, data: bytes) -> list[Answer]:
        """Take bytes; return the answers that end in them."""
        found = []
        for byte in data:
            if byte == FLAG:
                self.damaged += bool(self._payload)
                self._payload, self._escaped = bytearray(), False
            elif self._payload is None:
                continue
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._payload.append(byte ^ ESCAPE_BIT if self._escaped else byte)
                self._escaped = False
                found += self._complete()
        return found

    def _complete(self) -> list[Answer]:
        payload = bytes(self._payload or b"")
        length = self._lengths.get(payload[0], 1)
        if len(payload) < length:
            return []
        self._payload = None
        if length == 1 or crc(payload):
            self.damaged += 1
            return []
        number = int.from_bytes(payload[-NUMBER_BYTES - CRC_BYTES : -CRC_BYTES], "little")
        return [Answer(payload[0], payload[1 : -NUMBER_BYTES - CRC_BYTES], number)]


class BoardClient:
    """A board at a port.

    Parameters
    ----------
    port : SerialPort
    pixels, results : int
        Bytes of a frame, and of its results.
    run_seconds : float
        Time of a run on the board, without the line (unit: s).
    spare_seconds : float
        Time that an answer may take beside that of board and line (unit: s); more for a board in
        simulation.
    """

    def __init__(
        self,
        port: SerialPort,
        pixels: int,
        results: int,
        run_seconds: float,
        spare_seconds: float = SPARE_SECONDS,
    ) -> None:
        self._port = port
        self._pixels = pixels
        self._results = results
        self._run_seconds = run_seconds
        self._spare_seconds = spare_seconds
        #: Number of frames that were sent again.
        self.retries = 0

    def identify(self) -> int:
        """Return the identity of the board's build.

        Raises
        ------
        SqhwError
            If the board does not answer.
        """
        return self._ask(bytes([IDENTIFY]), IDENTITY, 0).number

    def run(self, pixels: bytes) -> tuple[bytes, int]:
        """Run a frame; return its results and cycles.

        Parameters
        ----------
        pixels : bytes
            All pixels, in the order of the engine.

        Raises
        ------
        SqhwError
            If the board does not answer, or every try is damaged on the way.
        """
        if len(pixels) != self._pixels:
            raise SqhwError(f"a frame has {self._pixels} pixels, not {len(pixels)}")
        answer = self._ask(bytes([RUN]) + pixels, DONE, self._run_seconds)
        return answer.results, answer.number

    def _ask(self, payload: bytes, status: int, seconds: float) -> Answer:
        """Send a frame until it is answered with a status."""
        sent = frame(payload)
        most = len(sent) + 2 * (1 + self._results + NUMBER_BYTES + CRC_BYTES)
        seconds += self._spare_seconds + 2 * most * LINE_BITS / self._port.baud
        reason = ""
        for attempt in range(TRIES):
            self.retries += attempt > 0
            self._port.discard()
            deadline = time.monotonic() + seconds
            self._port.write(sent, deadline)
            decoder = Decoder(self._results)
            answer = self._wait(decoder, deadline)
            if answer is not None and answer.status == status:
                return answer
            if answer is not None and answer.status == BAD_CRC:
                reason = "received damaged frames"
            elif decoder.damaged or answer is not None:
                reason = "sent damaged or foreign answers"
            else:
                reason = f"did not answer within {seconds:.1f} s"
        raise SqhwError(
            f"the board at {self._port.path} {reason}, {TRIES} times; is this its port, and is the "
            f"bitstream loaded that speaks {self._port.baud:,} bit/s?"
        )

    def _wait(self, decoder: Decoder, deadline: float) -> Answer | None:
        while data := self._port.read(deadline):
            for answer in decoder.feed(data):
                return answer
        return None
