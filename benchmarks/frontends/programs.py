"""Programs that run a quantized ONNX file, tensor by tensor: the QONNX executor, ONNX Runtime."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.frontends.row import Images
from sqhw.errors import SqhwError
from sqhw.frontends.quantized import Lowered
from sqhw.sim.simulator import Simulator

#: Time limit of a program (unit: s).
LIMIT = 1800

Tensors = dict[str, npt.NDArray[Any]]


def run_script(python: str | None, name: str, script: str, *arguments: str) -> str:
    """Run a script beside this file with the Python of another program; return its last line.

    Raises
    ------
    SqhwError
        If there is no such Python, or the script fails.
    """
    if python is None:
        raise SqhwError(f"the row runs {name}: name a Python that has it, --python {name}=PYTHON")
    command = [python, str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode:
        raise SqhwError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip().splitlines()[-1]


def in_qonnx(
    python: str | None,
    path: Path,
    x: npt.NDArray[Any],
    names: Sequence[str],
    *,
    folder: Path,
    batch: int = 1,
) -> tuple[Tensors, str]:
    """Return tensors of a file by the executor of QONNX, and its name.

    Parameters
    ----------
    python : str, optional
        Python that has `qonnx`.
    path : Path
    x : ndarray, shape (n, ...)
        Inputs, as the file takes them.
    names : sequence of str
    folder : Path
        For files between both programs.
    batch : int
        Images at a time, if the file does not fix their number.
    """
    given, out = folder / "inputs.npy", folder / "tensors.npz"
    np.save(given, x)
    files = (str(path), str(given), str(out), str(batch))
    version = run_script(python, "qonnx", "qonnx_execute.py", *files, *names)
    with np.load(out) as found:
        tensors = {name: found[f"arr_{at}"] for at, name in enumerate(names)}
    return tensors, f"QONNX executor {version}"


def in_runtime(path: Path, x: npt.NDArray[Any], names: Sequence[str]) -> tuple[Tensors, str]:
    """Return tensors of a file by ONNX Runtime without graph optimisations, one image at a time."""
    import onnx
    import onnxruntime

    proto = onnx.load(path)
    outputs = {value.name for value in proto.graph.output}
    proto.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in names if name not in outputs
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0].name
    parts = [session.run(list(names), {source: image[None]}) for image in x.astype(np.float32)]
    stacked = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return dict(zip(names, stacked, strict=True)), f"onnxruntime {onnxruntime.__version__}"


def quantized_names(lowered: Lowered) -> list[str]:
    """Return the tensors of a file that are integers in both: one grid for all channels."""
    graph = lowered.graph
    return [
        name
        for name in lowered.maps
        if (grid := graph.tensors[name].quantization) is not None
        and grid.axis is None
        and name != graph.input
    ]


def differing(lowered: Lowered, images: Images, tensors: Tensors) -> str:
    """Return how many integers differ from a program's, of how many, and by how many steps."""
    simulator, wrong, total, largest, exact = Simulator(lowered.network), 0, 0, 0, 0
    maps = simulator.run(images) | {"input": images.astype(np.int64)}
    for name, values in tensors.items():
        layer, held = lowered.maps[name]
        grid = lowered.graph.tensors[name].quantization
        assert grid is not None
        own = held.to_file(maps[layer]).reshape(len(images), -1)
        whole = np.issubdtype(values.dtype, np.integer)  # the output of QuantizeLinear
        other = values.astype(np.int64) if whole else grid.integers(values.astype(np.float64))
        steps = np.abs(own - other.reshape(own.shape))
        wrong, total = wrong + int(np.count_nonzero(steps)), total + steps.size
        largest = max(largest, int(steps.max()))
        exact += not steps.any()
    return (
        f"{wrong:,} of {total:,} activations, by at most {largest}; {exact} of {len(tensors)} "
        "tensors equal"
    )
