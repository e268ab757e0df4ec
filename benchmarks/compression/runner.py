"""Running one case: resumable, with its result and its log in files."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.compression.cases import Case
from benchmarks.origin import commit
from benchmarks.seal import read_sealed, write_sealed
from sqhw.atomic import atomic_write_text, make_folder
from sqhw.compress import evaluate, torch_logits
from sqhw.compress.methods import CompressionResult
from sqhw.compress.methods.accounting import account
from sqhw.compress.methods.base import compress_with, run_key
from sqhw.compress.methods.job import Job
from sqhw.data import Dataset
from sqhw.data.dataset import Split
from sqhw.network.quantized_file import save_network
from sqhw.size.account_file import read_account


def run_case(case: Case, job: Job, out: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Return the account of a case, from its file if that is there already.

    Parameters
    ----------
    case : Case
    job : Job
        What all cases of a table share.
    out : Path
        Folder of the results.
    note : callable
        Told what goes on.

    Returns
    -------
    dict
        As `read_result` returns it.
    """
    job = case.job(job)
    folder = make_folder(out)
    path = folder / f"{case.label}.json"
    done = finished(case, job, folder)
    if done is not None:
        note(f"{case.label}: done before")
        return done
    checkpoint = make_folder(folder / "work") / f"{case.label}.safetensors"
    log = folder / f"{case.label}.log"
    lines = log.read_text().splitlines() if checkpoint.is_file() and log.is_file() else []

    def progress(stage: str, done: int, total: int, detail: str) -> None:
        line = f"{stage} {done}/{total} {detail}"
        if stage != "resumed":  # the log of an interrupted run is that of a whole one
            lines.append(line)
            atomic_write_text(log, "\n".join(lines) + "\n")
        note(f"{case.label}: {line}")

    start = time.monotonic()
    result = compress_with(replace(job, progress=progress, resume=checkpoint), case.config)
    seconds = time.monotonic() - start
    found_account = account(
        result,
        job.engine,
        job.device,
        label=case.label,
        accuracy=accuracies(result, job.data),
    )
    if result.quantized is not None:
        label = {"engine": json.dumps(job.engine.to_dict()), "device": job.device.name}
        network = replace(result.quantized, metadata=result.quantized.metadata | label)
        save_network(network, folder / f"{case.label}.safetensors")
    else:
        (folder / f"{case.label}.safetensors").unlink(missing_ok=True)
    run_facts = {
        "key": run_key(job, case.config),
        "history": result.history,
        "tables": result.tables,
        "seconds": round(seconds),
        "commit": commit(),
    }
    write_sealed(path, found_account.to_dict() | run_facts)
    checkpoint.unlink(missing_ok=True)
    return read_result(path)


def finished(case: Case, job: Job, out: Path) -> dict[str, Any] | None:
    """Return the account of a case that was run before, None if it was not or in another way.

    Parameters
    ----------
    case : Case
    job : Job
    out : Path
        Folder of the results.
    """
    path = out / f"{case.label}.json"
    if not path.is_file():
        return None
    found = read_result(path)
    return found if found.get("key") == run_key(case.job(job), case.config) else None


def read_result(path: Path) -> dict[str, Any]:
    """Return the account in a file of results.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        As `read_account` returns it, with ``key``, ``history``, ``tables``, ``commit`` and
        ``seconds``: those of the last part of a run that was interrupted.

    Raises
    ------
    SqhwError
        If it is no account, or was changed after it was written.
    """
    read_account(path)
    return read_sealed(path)


def accuracies(result: CompressionResult, data: Dataset) -> dict[str, float]:
    """Return the accuracies on validation and test split, before and after, floats and integers."""
    found = {"test_before": evaluate(result.original, data.test.images, data.test.labels)}
    if result.quantized is None:
        found["test_float"] = evaluate(result.network, data.test.images, data.test.labels)
        return found
    for name, split in (("validation", data.validation), ("test", data.test)):
        found[name] = _on_integers(result, split)
    return found


def _on_integers(result: CompressionResult, split: Split) -> float:
    assert result.quantized is not None
    best = torch_logits(result.quantized, split.images).argmax(axis=1)
    return float((best == split.labels).mean())
