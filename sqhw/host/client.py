"""Runs of images on a board, by the link of `sqhw.machine.link`."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
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
    TAG_BYTES,
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
    tag : int
        Tag of the frame; 0 of a board without tags.
    """

    status: int
    results: bytes
    number: int
    tag: int = 0


class Decoder:
    """Finds answers in a stream of bytes, whatever is between them.

    Parameters
    ----------
    results : int
        Bytes of the results of a run.
    tagged : bool
        Whether answers have tags.
    """

    def __init__(self, results: int, *, tagged: bool = False) -> None:
        self._tag_bytes = TAG_BYTES if tagged else 0
        fixed = 1 + self._tag_bytes + NUMBER_BYTES + CRC_BYTES
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
        first = 1 + self._tag_bytes
        results = payload[first : -NUMBER_BYTES - CRC_BYTES]
        return [Answer(payload[0], results, number, payload[1] if first > 1 else 0)]


@dataclass(frozen=True)
class _Sent:
    """A frame on its way: its place in the sequence, its tag, and its bytes on the line."""

    index: int
    tag: int
    data: bytes


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
    queue : int
        Bytes of the queue of a tagged link; 0 for a plain one, which takes a frame at a time.
    """

    def __init__(
        self,
        port: SerialPort,
        pixels: int,
        results: int,
        run_seconds: float,
        spare_seconds: float = SPARE_SECONDS,
        queue: int = 0,
    ) -> None:
        self._port = port
        self._pixels = pixels
        self._results = results
        self._run_seconds = run_seconds
        self._spare_seconds = spare_seconds
        self._queue = queue
        self._tag = 0
        #: Number of frames that were sent again.
        self.retries = 0

    def identify(self) -> int:
        """Return the identity of the board's build.

        Raises
        ------
        SqhwError
            If the board does not answer.
        """
        return next(self._ask(IDENTIFY, [b""], IDENTITY, 0))[1].number

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
        return next(self.run_all([pixels]))[1:]

    def run_all(self, frames: Sequence[bytes]) -> Iterator[tuple[int, bytes, int]]:
        """Run frames, several of them in flight if the board has a queue.

        Parameters
        ----------
        frames : sequence of bytes
            Pixels of each frame.

        Yields
        ------
        tuple of (int, bytes, int)
            Index, results and cycles of a frame. A frame that was sent again comes later.

        Raises
        ------
        SqhwError
            If the board does not answer, or every try is damaged on the way.
        """
        for pixels in frames:
            if len(pixels) != self._pixels:
                raise SqhwError(f"a frame has {self._pixels} pixels, not {len(pixels)}")
        for index, answer in self._ask(RUN, frames, DONE, self._run_seconds):
            yield index, answer.results, answer.number

    def _ask(
        self, command: int, payloads: Sequence[bytes], status: int, seconds: float
    ) -> Iterator[tuple[int, Answer]]:
        """Yield index and answer of each payload; those without an answer are sent again."""
        left = dict(enumerate(payloads))
        attempt = 0
        while left:
            before = len(left)
            self._port.discard()
            decoder = Decoder(self._results, tagged=self._queue > 0)
            waiting: deque[_Sent] = deque()
            unsent = deque(self._framed(command, index, pixels) for index, pixels in left.items())
            early: deque[Answer] = deque()
            answer: Answer | None = None
            while unsent or waiting:
                patience = seconds + self._spare_seconds
                while unsent and self._has_room(waiting, unsent[0]):
                    waiting.append(unsent.popleft())
                    self._port.write(
                        waiting[-1].data, time.monotonic() + patience + self._line_seconds(waiting)
                    )
                patience += self._line_seconds(waiting)
                deadline = time.monotonic() + patience
                answer = self._wait(decoder, early, deadline)
                while answer is not None and self._is_stale(answer, waiting):
                    answer = self._wait(decoder, early, deadline)
                expected = waiting[0]
                if answer is None or (answer.status, answer.tag) != (status, expected.tag):
                    break
                del left[expected.index]
                waiting.popleft()
                yield expected.index, answer
            attempt = attempt + 1 if len(left) == before else 1
            if left and attempt == TRIES:
                raise self._dead(answer, decoder.damaged, patience)
            self.retries += len(waiting)
            if len(waiting) > 1:
                self._let_go(len(waiting) * patience)

    def _is_stale(self, answer: Answer, waiting: Sequence[_Sent]) -> bool:
        """Return whether an answer is that of a frame that was given up before."""
        tags = [sent.tag for sent in waiting]
        return self._queue > 0 and answer.status != BAD_CRC and answer.tag not in tags

    def _framed(self, command: int, index: int, pixels: bytes) -> _Sent:
        """Return the frame of a payload, with the next tag."""
        self._tag = (self._tag + 1) % 256 if self._queue else 0
        tag = bytes([self._tag]) if self._queue else b""
        return _Sent(index, self._tag, frame(bytes([command]) + tag + pixels))

    def _has_room(self, waiting: Sequence[_Sent], another: _Sent) -> bool:
        """Return whether the board takes another frame: all but the oldest lie in its queue."""
        queued = sum(len(sent.data) for sent in [*waiting, another][1:])
        return not waiting or queued <= self._queue

    def _line_seconds(self, waiting: Sequence[_Sent]) -> float:
        """Return twice the time that frames and their answers take on the line (unit: s)."""
        # Each byte of an answer may be escaped.
        answer = 2 * (1 + TAG_BYTES + self._results + NUMBER_BYTES + CRC_BYTES)
        most = sum(len(sent.data) + answer for sent in waiting)
        return 2 * most * LINE_BITS / self._port.baud

    def _let_go(self, seconds: float) -> None:
        """Drop the answers to frames that a board still has in its queue."""
        end = time.monotonic() + seconds
        while self._port.read(min(end, time.monotonic() + self._run_seconds + SPARE_SECONDS)):
            pass

    def _wait(self, decoder: Decoder, early: deque[Answer], deadline: float) -> Answer | None:
        """Return the next answer; `early` has those that came together with another one."""
        while not early and (data := self._port.read(deadline)):
            early += decoder.feed(data)
        return early.popleft() if early else None

    def _dead(self, answer: Answer | None, damaged: int, seconds: float) -> SqhwError:
        """Return the error of a board that gave no right answer."""
        if answer is not None and answer.status == BAD_CRC:
            reason = "received damaged frames"
        elif damaged or answer is not None:
            reason = "sent damaged or foreign answers"
        else:
            reason = f"did not answer within {seconds:.1f} s"
        return SqhwError(
            f"the board at {self._port.path} {reason}, {TRIES} times; is this its port, and is the "
            f"bitstream loaded that speaks {self._port.baud:,} bit/s?"
        )
