"""Start and end of the command line: its exit codes, and one sentence in place of a traceback.

Very little is imported before `main`, so that Ctrl-C during the imports ends as it does later.
"""

import errno
import os
import re
import sys

#: Exit codes besides 0, and besides 2 for an unknown option or a value out of its range.
FAILED, INTERRUPTED, PIPE_CLOSED, TERMINATED = 1, 130, 141, 143
#: Error numbers of a full stream or disk; such an error names no file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MEMORY = "there is not enough memory for this"


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 1."""
    code: int | str | None
    terminated = _interrupt_when_terminated()
    try:
        _open_streams()
        code, message = _run()
    except KeyboardInterrupt:
        code, message = INTERRUPTED, _interrupted()
    if terminated and code == INTERRUPTED:
        code, message = TERMINATED, message.replace("interrupted", "terminated", 1)
    _ignore_interrupts()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code, message = PIPE_CLOSED, ""
    except OSError as error:
        code = FAILED
        message = f"cannot write to standard output: {error.strerror or error}"
    try:
        sys.stderr.write(f"sqhw: {message}\n" if message else "")
    except OSError:
        pass  # no stream is left for the message
    for stream in (sys.stdout, sys.stderr):
        _discard_rest(stream)
    sys.exit(code)


def _run() -> tuple[int | str | None, str]:
    """Run a command; return the exit code and the sentence that says why."""
    from sqhw.errors import SqhwError, printable

    try:
        from sqhw.cli.commands import app

        app()
    except SqhwError as error:
        return FAILED, printable(str(error))
    except BrokenPipeError:
        return PIPE_CLOSED, ""
    except OSError as error:  # errors for which no step has a better sentence
        if error.errno is None and (message := _unloaded(error)) is not None:
            return FAILED, printable(message)
        where = f"{error.filename}: " if error.filename else ""
        what = "cannot write: " if not where and error.errno in NO_ROOM else where
        return FAILED, printable(f"{what}{error.strerror or error}")
    except MemoryError:
        return FAILED, NO_MEMORY
    except ImportError as error:
        if (message := _unloaded(error)) is None:
            raise
        return FAILED, printable(message)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer converts a broken pipe so
            return PIPE_CLOSED, ""
        if end.code == INTERRUPTED:  # and Ctrl-C so
            return end.code, _interrupted()
        return end.code, ""
    return 0, ""


def _unloaded(error: BaseException) -> str | None:
    """Return why a shared library of a package is not loaded; None if it is no such error."""
    text = ""
    cause: BaseException | None = error
    while cause is not None:  # packages wrap the loader's error in their own
        text += f"\n{cause}"
        cause = cause.__cause__ or cause.__context__
    if re.search("failed to map segment|cannot (allocate|map)|not enough memory", text, re.I):
        return NO_MEMORY
    found = re.search(r"([^\s/]+\.so[.\d]*): (.+)", text)
    return f"cannot load the library {found[1]}: {found[2]}" if found else None


def _interrupted() -> str:
    """Return the sentence after Ctrl-C; trainings can resume."""
    if sys.argv[1:2] not in (["compress"], ["train"]):
        return "interrupted"
    if any(word.split("=")[0] == "--resume" for word in sys.argv):
        return "interrupted; the same command goes on after the last complete epoch"
    return "interrupted; a training that is started with --resume FILE can be continued"


def _interrupt_when_terminated() -> list[int]:
    """Let SIGTERM end a command as Ctrl-C does; return the list that gets the signal.

    So the processes that the command started end, and half-written files are removed.
    """
    import signal

    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        if not received:
            received.append(number)
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    return received


def _open_streams() -> None:
    """Open the streams that the shell closed, and let both print every file name."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C while Python ends, as all work is done."""
    import atexit
    import signal

    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _discard_rest(stream: object) -> None:
    """Discard the text that a stream could not write, so that Python does not try again."""
    try:
        stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
        os.close(nowhere)
