"""Vectors of pairs of 16-bit integers, and their products, for the targets of the machine code.

A lane of 32 bits holds two activations, those of two neighbouring channels. One instruction
multiplies both with their weights and adds the two products, as int32 (``pmaddwd``; with VNNI the
addition to the accumulator is in it, ``vpdpwssd``). Other targets than x86 get the same result from
shifts and two multiplications.
"""

from typing import Any

from llvmlite import ir

from sqhw.sim.emit_loops import declared
from sqhw.sim.variants import Shape

INT16, INT32 = ir.IntType(16), ir.IntType(32)
#: LLVM's names of the instruction by its number of lanes.
INSTRUCTIONS = {
    4: "llvm.x86.sse2.pmadd.wd",
    8: "llvm.x86.avx2.pmadd.wd",
    16: "llvm.x86.avx512.pmaddw.d.512",
}


def dot_product(b: ir.IRBuilder, values: Any, weights: Any, shape: Shape) -> Any:
    """Emit the sums of the two products of each lane.

    Parameters
    ----------
    b : llvmlite.ir.IRBuilder
    values, weights : llvmlite.ir.Value
        Vectors of int32 that hold pairs of int16.
    shape : Shape

    Returns
    -------
    llvmlite.ir.Value
        Vector of int32.
    """
    if shape.width:
        return _by_instruction(b, values, weights, shape)
    sixteen = ir.Constant(values.type, [16] * shape.lanes)
    lower = b.mul(*(b.ashr(b.shl(vector, sixteen), sixteen) for vector in (values, weights)))
    upper = b.mul(*(b.ashr(vector, sixteen) for vector in (values, weights)))
    return b.add(lower, upper)


def _by_instruction(b: ir.IRBuilder, values: Any, weights: Any, shape: Shape) -> Any:
    """Emit the products part by part, each as wide as the instruction."""
    width = shape.width
    pairs, sums = ir.VectorType(INT16, 2 * width), ir.VectorType(INT32, width)
    function = declared(b, ir.FunctionType(sums, [pairs, pairs]), INSTRUCTIONS[width])
    parts = []
    for first in range(0, shape.lanes, width):
        chosen = _indices(first, first + width)
        two = (b.shuffle_vector(vector, vector, chosen) for vector in (values, weights))
        parts.append(b.call(function, [b.bitcast(part, pairs) for part in two]))
    while len(parts) > 1:
        both = _indices(0, 2 * parts[0].type.count)
        parts = [
            b.shuffle_vector(one, two, both)
            for one, two in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]


def _indices(begin: int, end: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(INT32, end - begin), list(range(begin, end)))
