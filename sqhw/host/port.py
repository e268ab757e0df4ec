"""A serial port of the host, or a pseudo-terminal that stands for one."""

import errno
import os
import select
import termios
import time
from typing import Self

from sqhw.errors import SqhwError

CHUNK = 4096  # bytes that are read at a time


class SerialPort:
    """A serial port, opened for one process: 8 data bits, no parity, one stop bit.

    Parameters
    ----------
    path : str
        Name of the device, for example ``/dev/ttyUSB1``.
    baud : int
        Speed (unit: bit/s).

    Raises
    ------
    SqhwError
        If there is no such port, it is no port, another process has it, or it has no such speed.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self.baud = baud
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise SqhwError(f"port {path}: this system has no speed of {baud:,} bit/s")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            hint = "; add yourself to the group that owns it" if _is_denied(error) else ""
            raise SqhwError(f"cannot open port {path}: {reason}{hint}") from None
        try:
            _set_raw(self._file, speed)
        except (OSError, termios.error):
            os.close(self._file)
            raise SqhwError(f"{path} is not a serial port") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def write(self, data: bytes, deadline: float) -> None:
        """Send bytes.

        Parameters
        ----------
        data : bytes
        deadline : float
            Value of `time.monotonic` at which sending ends.

        Raises
        ------
        SqhwError
            If the port is gone, or does not take the bytes in time.
        """
        rest = memoryview(data)
        while rest:
            if not select.select([], [self._file], [], max(0, deadline - time.monotonic()))[1]:
                raise SqhwError(f"port {self.path} takes no bytes; is flow control switched on?")
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(error) from None

    def read(self, deadline: float) -> bytes:
        """Return the bytes that have come; wait for the first one until the deadline.

        Returns
        -------
        bytes
            Nothing after the deadline.

        Raises
        ------
        SqhwError
            If the port is gone.
        """
        while select.select([self._file], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                data = os.read(self._file, CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(error) from None
            if not data:
                raise self._gone(OSError(errno.EIO, os.strerror(errno.EIO)))
            return data
        return b""

    def discard(self) -> None:
        """Drop all bytes that have come."""
        while self.read(0):
            pass

    def _gone(self, error: OSError) -> SqhwError:
        return SqhwError(f"port {self.path} is gone ({error.strerror}); is the board unplugged?")


def _is_denied(error: Exception) -> bool:
    return isinstance(error, PermissionError)


def _set_raw(file: int, speed: int) -> None:
    """Set speed and format of a terminal, and pass every byte as it is."""
    settings = termios.tcgetattr(file)
    settings[0] = settings[1] = settings[3] = 0  # input, output and local flags
    settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    settings[4] = settings[5] = speed
    termios.tcsetattr(file, termios.TCSANOW, settings)
    termios.tcflush(file, termios.TCIOFLUSH)
