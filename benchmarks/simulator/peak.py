"""The most multiply-adds of float32 that a core does: a loop without loads."""

import ctypes
import time

import llvmlite.binding as llvm

#: Independent accumulators: more than latency times units of a core.
ACCUMULATORS = 12
STEPS = 2_000_000
ROUNDS = 9


def peak(lanes: int) -> float:
    """Return the median of multiply-adds a nanosecond of processor time.

    Parameters
    ----------
    lanes : int
        Numbers of a vector.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True
    )
    module = llvm.parse_assembly(_loop(lanes))
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    run = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64)(engine.get_function_address("loop"))
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run(STEPS)
        times.append(time.process_time() - start)
    return STEPS * ACCUMULATORS * lanes / sorted(times)[ROUNDS // 2] / 1e9


def _loop(lanes: int) -> str:
    """Return LLVM's text of a loop that multiplies and adds in registers."""
    vector = f"<{lanes} x float>"
    constant = f"<{', '.join(['float 0.5'] * lanes)}>"
    phis = "\n".join(
        f"  %a{k} = phi {vector} [ zeroinitializer, %entry ], [ %b{k}, %body ]"
        for k in range(ACCUMULATORS)
    )
    sums = "\n".join(
        f"  %b{k} = call {vector} @llvm.fmuladd({vector} %a{k}, {vector} {constant}, "
        f"{vector} {constant.replace('0.5', f'{k}.0')})"
        for k in range(ACCUMULATORS)
    ).replace("@llvm.fmuladd", f"@llvm.fmuladd.v{lanes}f32")
    total = "\n".join(
        f"  %s{k + 1} = fadd {vector} %s{k}, %b{k + 1}" for k in range(ACCUMULATORS - 1)
    ).replace("%s0,", "%b0,")
    module = f"""
declare {vector} @llvm.fmuladd.v{lanes}f32({vector}, {vector}, {vector})
define float @loop(i64 %n) {{
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %j, %body ]
{phis}
{sums}
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %body, label %end
end:
{total}
  %out = extractelement {vector} %s{ACCUMULATORS - 1}, i32 0
  ret float %out
}}
"""
    return module
