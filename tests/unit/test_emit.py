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
from sqhw.sim.emit import FLOATS, INTEGERS, MAXIMUM, VARIANTS, LayerFunction, Variant
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.plan_layout import OP_FIELDS

VARIANT, SEGMENTS, BLOCK_SEGMENTS = (
    OP_FIELDS.index(name) for name in ("variant", "segments", "block_segments")
)


def machine(triple, cpu):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2, jit=True)


def compiled(variants, lanes, target):
    """Return a module with the functions of variants, optimized for a target."""
    module = ir.Module()
    module.triple = str(target.triple)
    for variant in variants:
        LayerFunction(module, variant, lanes).function.linkage = "external"
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
    ("cpu", "lanes", "seed", "integers"),
    [
        ("x86-64", 8, 2, False),
        ("x86-64", 8, 4, True),
        ("haswell", 8, 29, False),
        ("haswell", 16, 4, False),
    ],
)
def test_targets_give_the_results_of_the_reference(cpu, lanes, seed, integers):
    features = llvm.get_host_cpu_features()
    if cpu == "haswell" and not (features.get("avx2") and features.get("fma")):
        pytest.skip("this machine has no AVX2")
    network = random_network(seed, max_channels=8, mult_bits=16, branches=True)
    images = random_images(network, seed, lanes - 1).astype(np.int32)
    runner = Runner(prepare(network, Choice(lanes, keep=True, integers=integers)))
    plan = runner.plan
    variants = {VARIANTS[operation[VARIANT]] for operation in plan.operations}
    target = machine(llvm.get_process_triple(), cpu)
    engine = llvm.create_mcjit_compiler(compiled(variants, lanes, target), target)
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


@pytest.mark.parametrize(
    ("triple", "cpu", "lanes", "multiply_add"),
    [
        ("x86_64-unknown-linux-gnu", "skylake-avx512", 16, r"vfmadd\d+ps\s.*zmm"),
        ("x86_64-unknown-linux-gnu", "haswell", 8, r"vfmadd\d+ps\s.*ymm"),
        ("aarch64-unknown-linux-gnu", "cortex-a72", 8, r"fmla\s+v\d+\.4s"),
    ],
)
def test_the_loop_has_a_multiply_add_for_each_accumulator(triple, cpu, lanes, multiply_add):
    target = machine(triple, cpu)
    module = compiled([Variant(FLOATS, 1, 8)], lanes, target)
    found = len(re.findall(multiply_add, target.emit_assembly(module)))
    assert found >= 8


def test_integers_and_maxima_compile_for_other_targets():
    variants = [Variant(INTEGERS, 2, 2), Variant(MAXIMUM, 2, 8)]
    for triple, cpu, lanes in (
        ("x86_64-unknown-linux-gnu", "skylake-avx512", 16),
        ("aarch64-unknown-linux-gnu", "cortex-a72", 8),
    ):
        target = machine(triple, cpu)
        assert target.emit_object(compiled(variants, lanes, target))


def test_lanes_of_this_machine():
    assert kernels.LANES == kernels.host_lanes()
    assert kernels.LANES in (8, 16)
