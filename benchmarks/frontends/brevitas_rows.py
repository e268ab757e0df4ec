"""Rows of residual networks that Brevitas exports, as QCDQ and as QONNX."""

import tempfile
import time
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.frontends.programs import (
    differing,
    in_qonnx,
    in_runtime,
    quantized_names,
    run_script,
)
from benchmarks.frontends.row import Case, Row, Sources
from sqhw.frontends.formats import read_model
from sqhw.frontends.quantized import lower
from sqhw.frontends.quantized.pixels import Pixels
from sqhw.frontends.quantized.source import Source

IMAGES, SEED = 100, 5
#: Largest difference between scores of Brevitas and of a runtime (unit: step of the scores).
NEAR = 1e-3


@cache
def _exports(python: str | None, bits: int) -> tuple["tempfile.TemporaryDirectory[str]", str]:
    """Return the folder with both exports, kept until the program ends, and Brevitas' version."""
    folder = tempfile.TemporaryDirectory()
    np.save(Path(folder.name) / "inputs.npy", _images() / np.float32(255))
    return folder, run_script(python, "brevitas", "brevitas_export.py", folder.name, str(bits))


def _images() -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 256, (IMAGES, 3, 16, 16), np.uint8)


def exported(form: str, bits: int, sources: Sources) -> Row:
    """Return the row of a network of Brevitas, imported, beside the program that runs the file."""
    exports, made = _exports(sources.pythons.get("brevitas"), bits)
    folder = Path(exports.name)
    images, x = _images(), np.load(folder / "inputs.npy")
    scores, path = np.load(folder / "scores.npy"), folder / f"{form}.onnx"
    start = time.process_time()
    graph = read_model(path)
    lowered = lower(graph, Source(graph, Pixels()).kernels, Pixels())
    seconds = time.process_time() - start
    names = quantized_names(lowered)
    if form == "qonnx":
        python = sources.pythons.get("qonnx")
        tensors, program = in_qonnx(python, path, x, names, folder=folder)
    else:
        tensors, program = in_runtime(path, x, names)
    grid = graph.tensors[graph.output].quantization
    assert grid is not None
    last = tensors[graph.output].astype(np.float64).reshape(scores.shape)
    unit = 1 if np.issubdtype(tensors[graph.output].dtype, np.integer) else float(grid.scale)
    steps = np.abs(last / unit - scores / float(grid.scale))
    exact = sum(not fit.differing for fit in lowered.fits)
    return Row(
        model=f"residual network of {made}, {bits} bits, random weights",
        spelling=f"ONNX, {form.upper()} of Brevitas",
        against=program,
        images=IMAGES,
        difference=(
            f"{differing(lowered, images, tensors)}; {exact} of {len(lowered.fits)} "
            f"requantizations equal for every sum; scores of {program.split()[0]} and Brevitas "
            f"differ in {int((steps > NEAR).sum())} of {steps.size:,}"
        ),
        seconds=seconds,
    )


CASES: dict[str, Case] = {
    f"brevitas-{form}-{bits}": partial(exported, form, bits)
    for bits in (4, 8)
    for form in ("qcdq", "qonnx")
}
