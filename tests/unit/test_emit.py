"""The machine code of the simulator on other targets: equal results, vectors of their own."""

import ctypes
import platform
import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from strategies import random_images, random_network

from sqhw.sim import kernels, reference
from sqhw.sim.arenas import Runner
from sqhw.sim.emit import LayerFunction
from sqhw.sim.machine_code import compiled, host_features, optimized
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.variants import MAXIMUM, SUM, Shape, Variant, shape_of, variants_of


def machine(triple, cpu):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2, jit=True)


def functions(variants, shape, target):
    """Return a module with the functions of variants, optimized for a target."""
    module = ir.Module()
    module.triple = str(target.triple)
    for variant in variants:
        LayerFunction(module, variant, shape).function.linkage = "external"
    return optimized(module, target)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs code for x86")
@pytest.mark.parametrize(
    ("cpu", "shape", "seed", "needed"),
    [
        ("x86-64", Shape(8, 4), 2, "sse2"),
        ("x86-64", Shape(8, 0), 4, "sse2"),  # as on targets that are not x86
        ("haswell", Shape(8, 8), 29, "avx2"),
        ("haswell", Shape(16, 8), 4, "avx2"),
        ("skylake-avx512", Shape(16, 16, 16), 29, "avx512bw"),
        ("icelake-server", Shape(16, 16, 16), 4, "avx512vnni"),
    ],
)
def test_targets_give_the_results_of_the_reference(monkeypatch, cpu, shape, seed, needed):
    if not llvm.get_host_cpu_features().get(needed):
        pytest.skip(f"this machine has no {needed}")
    target = machine(llvm.get_process_triple(), cpu)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(compiled(shape, target)))
    engine.finalize_object()

    def function(symbol, *arguments):
        return ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address(symbol))

    monkeypatch.setattr(kernels, "_function", function)
    network = random_network(seed, max_channels=8, mult_bits=16, branches=True)
    images = random_images(network, seed, shape.lanes - 1).astype(np.int32)
    tensors = {
        name: np.empty((len(images), *form), np.int32) for name, form in network.shapes().items()
    }
    runner = Runner(prepare(network, Choice(shape, keep=True)))
    with runner.arena() as arena:
        runner.run(arena, images, tensors)
    for image in (0, shape.lanes - 2):
        for name, expected in reference.run(network, images[image]).items():
            np.testing.assert_array_equal(tensors[name][image], expected, err_msg=name)


TARGETS = {
    "skylake-avx512": ("x86_64-unknown-linux-gnu", Shape(16, 16, 16), r"vpmaddwd\s.*zmm"),
    "icelake-server": ("x86_64-unknown-linux-gnu", Shape(16, 16, 16), r"vpdpwssd\s.*zmm"),
    "haswell": ("x86_64-unknown-linux-gnu", Shape(8, 8), r"vpmaddwd\s.*ymm"),
    "x86-64": ("x86_64-unknown-linux-gnu", Shape(8, 4), r"pmaddwd\s.*xmm"),
    "cortex-a72": ("aarch64-unknown-linux-gnu", Shape(8, 0), r"ml[as]\s+v\d+\.4s"),
}


@pytest.mark.parametrize("cpu", TARGETS)
def test_the_loop_multiplies_pairs_for_each_accumulator(cpu):
    triple, shape, multiply_add = TARGETS[cpu]
    target = machine(triple, cpu)
    variant = variants_of(shape)[0]
    module = functions([variant], shape, target)
    found = len(re.findall(multiply_add, target.emit_assembly(module)))
    assert found >= variant.vectors * shape.lanes // (shape.width or 4)


@pytest.mark.parametrize("cpu", ["skylake-avx512", "cortex-a72"])
def test_other_strides_and_maxima_compile_for_other_targets(cpu):
    triple, shape, _ = TARGETS[cpu]
    target = machine(triple, cpu)
    assert target.emit_object(
        functions([Variant(SUM, 2, 2), Variant(MAXIMUM, 2, 8)], shape, target)
    )


@pytest.mark.parametrize("shape", [Shape(16, 16, 16), Shape(8, 8), Shape(8, 0)])
def test_accumulators_of_a_block_fill_half_of_the_registers(shape):
    for variant in variants_of(shape):
        assert variant.vectors == min(shape.vectors, 8 * variant.columns)
        assert variant.segments * variant.columns == variant.vectors


def test_shapes_of_vectors():
    assert shape_of({"sse2", "avx2", "avx512f", "avx512bw"}) == (16, 16, 16)
    assert shape_of({"sse2", "avx2", "avx512f"}) == (8, 8, 8)
    assert shape_of({"sse2"}) == (8, 4, 8)
    assert shape_of({"neon"}) == (8, 0, 8)
    assert shape_of(host_features()) == kernels.SHAPE
