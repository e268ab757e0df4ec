"""The line of a tool's log that explains its failure, for error messages."""

import os
from errno import EDQUOT, ENOSPC
from pathlib import Path

#: Largest numbers of characters that are read of a log, and that are shown of a line.
MAX_LOG_CHARS, MAX_LINE_CHARS = 1 << 20, 300
FULL = tuple(os.strerror(number) for number in (ENOSPC, EDQUOT))


def said(log: Path) -> str:
    """Return the line of a log that says why a tool failed, as part of a sentence.

    It is the line about a full disk, or else the first line about an error, or else the last line.

    Parameters
    ----------
    log : path
        Path of the log, which may be missing or empty.
    """
    try:
        with log.open(errors="replace") as file:
            lines = [line.strip() for line in file.read(MAX_LOG_CHARS).splitlines() if line.strip()]
    except OSError:
        lines = []
    full = [line for line in lines if any(text in line for text in FULL)]
    if full:
        return (
            f"because a disk is full: {_cut(full[0])!r}; free some space, in the folder of "
            "temporary files (TMPDIR) too"
        )
    errors = [line for line in lines if "error" in line.lower()]
    found = [*errors[:1], *lines[-1:]]
    return f"saying {_cut(found[0])!r}" if found else "saying nothing"


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}..."
