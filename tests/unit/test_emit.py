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
from sqhw.sim.emit import MAXIMUM, SUM, VARIANTS, LayerFunction, Variant
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.plan_layout import OP_FIELDS
from sqhw.sim.vectors import Shape, shape_of

VARIANT, SEGMENTS, BLOCK_SEGMENTS = (
    OP_FIELDS.index(name) for name in ("variant", "segments", "block_segments")
)


def machine(triple, cpu):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2, jit=True)


def compiled(variants, shape, target):
    """Return a module with the functions of variants, optimized for a target."""
    module = ir.Module()
    module.triple = str(target.triple)
    for variant in variants:
        LayerFunction(module, variant, shape).function.linkage = "external"
    found = llvm.parse_assembly(str(module))
    found.verify()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(found, builder)
    return found


def run(plan, arena, functions):
    for operation in plan.operations:
        blocks = -(-int(operation[SEGMENTS]) // int(operation[BLOCK_SEGMENTS]))
        addresses = (array.ctypes.data for array in (operation, arena, plan.content))
        functions[VARIANTS[operation[VARIANT]]](*addresses, 0, blocks)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs code for x86")
@pytest.mark.parametrize(
    ("cpu", "shape", "seed", "needed"),
    [
        ("x86-64", Shape(8, 4), 2, "sse2"),
        ("x86-64", Shape(8, 0), 4, "sse2"),  # as on targets that are not x86
        ("haswell", Shape(8, 8), 29, "avx2"),
        ("haswell", Shape(16, 8), 4, "avx2"),
        ("skylake-avx512", Shape(16, 16), 29, "avx512bw"),
        ("icelake-server", Shape(16, 16), 4, "avx512vnni"),
    ],
)
def test_targets_give_the_results_of_the_reference(cpu, shape, seed, needed):
    if not llvm.get_host_cpu_features().get(needed):
        pytest.skip(f"this machine has no {needed}")
    lanes = shape.lanes
    network = random_network(seed, max_channels=8, mult_bits=16, branches=True)
    images = random_images(network, seed, lanes - 1).astype(np.int32)
    runner = Runner(prepare(network, Choice(lanes, keep=True)))
    plan = runner.plan
    variants = {VARIANTS[operation[VARIANT]] for operation in plan.operations}
    target = machine(llvm.get_process_triple(), cpu)
    engine = llvm.create_mcjit_compiler(compiled(variants, shape, target), target)
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)
    functions = {one: kind(engine.get_function_address(one.symbol)) for one in variants}
    with runner.arena() as arena:
        runner.load(arena, images)
        run(plan, arena, functions)
        for name, shape in network.shapes().items():
            maps = np.empty((len(images), *shape), np.int32)
            runner.read(arena, name, maps)
            for image in (0, lanes - 2):
                expected = reference.run(network, images[image])[name]
                np.testing.assert_array_equal(maps[image], expected, err_msg=name)


TARGETS = {
    "skylake-avx512": ("x86_64-unknown-linux-gnu", Shape(16, 16), r"vpmaddwd\s.*zmm"),
    "icelake-server": ("x86_64-unknown-linux-gnu", Shape(16, 16), r"vpdpwssd\s.*zmm"),
    "haswell": ("x86_64-unknown-linux-gnu", Shape(8, 8), r"vpmaddwd\s.*ymm"),
    "x86-64": ("x86_64-unknown-linux-gnu", Shape(8, 4), r"pmaddwd\s.*xmm"),
    "cortex-a72": ("aarch64-unknown-linux-gnu", Shape(8, 0), r"ml[as]\s+v\d+\.4s"),
}


@pytest.mark.parametrize("cpu", TARGETS)
def test_the_loop_multiplies_pairs_for_each_accumulator(cpu):
    triple, shape, multiply_add = TARGETS[cpu]
    target = machine(triple, cpu)
    module = compiled([Variant(SUM, 1, 8)], shape, target)
    found = len(re.findall(multiply_add, target.emit_assembly(module)))
    assert found >= 8 * shape.lanes // (shape.width or 4)


@pytest.mark.parametrize("cpu", ["skylake-avx512", "cortex-a72"])
def test_other_strides_and_maxima_compile_for_other_targets(cpu):
    triple, shape, _ = TARGETS[cpu]
    target = machine(triple, cpu)
    assert target.emit_object(compiled([Variant(SUM, 2, 2), Variant(MAXIMUM, 2, 8)], shape, target))


def test_shapes_of_vectors():
    assert shape_of({"sse2", "avx2", "avx512f", "avx512bw"}) == (16, 16)
    assert shape_of({"sse2", "avx2", "avx512f"}) == (8, 8)
    assert shape_of({"sse2"}) == (8, 4)
    assert shape_of({"neon"}) == (8, 0)
    assert kernels.host_shape() == kernels.SHAPE
