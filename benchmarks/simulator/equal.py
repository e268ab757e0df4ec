"""Networks of the zoo, tensor by tensor, against the NumPy reference on all targets."""

import ctypes
from collections.abc import Iterator
from typing import Any
from unittest import mock

import llvmlite.binding as llvm
import numpy as np

from benchmarks.simulator.cases import images_of, random_network
from benchmarks.simulator.rows import Record
from sqhw.sim import kernels, reference
from sqhw.sim.arenas import Runner
from sqhw.sim.machine_code import compiled, host_features
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.variants import Shape

#: Density of the weights.
DENSITY = 0.1
#: LLVM's processor, shape of vectors and the feature that this machine must have, by target.
TARGETS = {
    "x86-64": ("x86-64", Shape(8, 4), "sse2"),
    "x86-64, code for other targets": ("x86-64", Shape(8, 0), "sse2"),
    "AVX2": ("haswell", Shape(8, 8), "avx2"),
    "AVX2, 16 images": ("haswell", Shape(16, 8), "avx2"),
    "AVX-512": ("skylake-avx512", Shape(16, 16, 16), "avx512bw"),
    "AVX-512 with VNNI": ("icelake-server", Shape(16, 16, 16), "avx512vnni"),
}


def measure(name: str) -> Record:
    """Return how many values of an image's maps equal the reference's, by target.

    Parameters
    ----------
    name : str
        Name in the zoo.
    """
    network = random_network(name, DENSITY)
    images = images_of(name, 1) % np.int32(network.input_format.hi + 1)
    expected = reference.run(network, images[0])
    values = sum(tensor.size for tensor in expected.values())
    found: dict[str, Any] = {}
    for label, (cpu, shape, needed) in TARGETS.items():
        if needed not in host_features():
            found[label] = None
            continue
        tensors = {
            tensor: np.empty((1, *form), np.int32) for tensor, form in network.shapes().items()
        }
        runner = Runner(prepare(network, Choice(shape, keep=True)))
        with _code(cpu, shape), runner.arena() as arena:
            runner.run(arena, images, tensors)
        found[label] = sum(
            int((tensors[tensor][0] == right).sum()) for tensor, right in expected.items()
        )
    return {"network": name, "values": values, "equal": found}


def _code(cpu: str, shape: Shape) -> Any:
    """Return a context in which the simulator runs code for another target."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, opt=2, jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(compiled(shape, target)))
    engine.finalize_object()

    def function(symbol: str, *arguments: Any) -> Any:
        return ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address(symbol))

    return mock.patch.object(kernels, "_function", function)


def lines(records: list[Record]) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each network."""
    for record in records:
        cells = []
        for label in TARGETS:
            count = record["equal"][label]
            cells.append("not run here" if count is None else f"{count:,}")
        yield record["network"], f"{record['values']:,}", *cells
