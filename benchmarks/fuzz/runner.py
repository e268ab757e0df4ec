"""Feeding mutated files to one reader, in a process of bounded memory and time."""

import faulthandler
import multiprocessing
import random
import resource
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.fuzz.mutate import mutate_bytes
from benchmarks.fuzz.readers import Reader
from sqhw.errors import SqhwError

#: Limits of reading one file: time (unit: s), and memory beyond what the process has (unit: byte).
SECONDS = 20.0
MEMORY = 2 << 30
LONGEST = 2000  # most characters of the sentence of a refusal


@dataclass
class Outcome:
    """What became of the mutated files of a reader.

    Parameters
    ----------
    reader : str
    files, refused, equal, different, used : int
        All of them; refused with a sentence; read as the valid file is; read as something else;
        read, and then taken by what the commands do with it.
    failures : list of str
        What must not be: another exception, a time or a sentence beyond the limit, a file with a
        checksum that was read as something else.
    slowest : float
        Most processor time of a file (unit: s).
    memory : int
        Growth of the process over all files (unit: byte).
    """

    reader: str
    files: int = 0
    refused: int = 0
    equal: int = 0
    different: int = 0
    used: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0


def fuzz(reader: Reader, files: int, seed: int) -> Outcome:
    """Feed mutated files to a reader in a process of its own.

    Parameters
    ----------
    reader : Reader
    files : int
    seed : int
        The same seed gives the same files.

    Returns
    -------
    Outcome
    """
    mine, theirs = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_child, args=(reader, files, seed, theirs)
    )
    process.start()
    theirs.close()
    outcome = Outcome(reader.name)
    try:
        while True:
            outcome = mine.recv()
    except EOFError:
        pass
    process.join()
    if process.exitcode:
        last = f"the process ended with {process.exitcode} after file {outcome.files}"
        outcome.failures.append(f"{last}: beyond {SECONDS:.0f} s, or a crash")
    return outcome


def _child(reader: Reader, files: int, seed: int, results: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcome = Outcome(reader.name)
        path = reader.write(Path(folder))
        content, valid = path.read_bytes(), reader.read(path)
        reader.use(path)
        _limit_memory()
        before = _peak()
        rng = random.Random(f"{seed} {reader.name}")
        for number in range(files):
            mutation = rng.choice((mutate_bytes, *reader.mutations, *reader.mutations))
            changed, signed = mutation(content, rng)
            path.write_bytes(changed)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            start = time.process_time()
            problem = _feed(reader, path, valid, outcome, signed)
            outcome.slowest = max(outcome.slowest, time.process_time() - start)
            faulthandler.cancel_dump_traceback_later()
            outcome.files = number + 1
            outcome.memory = max(outcome.memory, _peak() - before)
            if problem:
                outcome.failures.append(f"file {number}, {mutation.__name__}: {problem}")
            if number % 100 == 0:
                results.send(outcome)
        results.send(outcome)


def _feed(reader: Reader, path: Path, valid: object, outcome: Outcome, signed: bool) -> str | None:
    """Read a file and use it; return what must not be."""
    try:
        found = reader.read(path)
    except SqhwError as error:
        outcome.refused += 1
        sentence = str(error)
        if len(sentence) > LONGEST or "\n" in sentence:
            return f"a refusal of {len(sentence)} characters: {sentence[:200]!r}"
        sentence.encode()
        return None
    except Exception:
        return traceback.format_exc()
    if found == valid:
        outcome.equal += 1
    else:
        outcome.different += 1
        if reader.sealed and not signed:
            return "read as something else although its checksum is that of before"
    try:
        reader.use(path)
    except SqhwError:
        return None
    except Exception:
        return traceback.format_exc()
    outcome.used += 1
    return None


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
