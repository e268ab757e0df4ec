"""Machine code of the layers: eight accumulator vectors stay in registers, a weight is a scalar.

One function a variant. A variant is an operation, the layer's stride and the shape of a block: how
many segments of how many neighbouring columns its eight vectors cover. A vector has the same
position of `lanes` images. The loops are, from the outside: blocks of positions, output channels,
non-zero weights. Requantization happens in registers, before the only store.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sqhw.sim.plan_layout import BLOCK_FIELDS, CHANNEL, DEFINITION, OP_FIELDS, ROUND

BYTE, INT32, INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
#: IR types of the fields of a channel record by NumPy type.
IR_TYPES = {"<i4": INT32, "<f4": FLOAT, "<f8": DOUBLE}
#: Operations: products summed as float32 or as int32, and the maximum.
FLOATS, INTEGERS, MAXIMUM = range(3)
#: Number of accumulator vectors of a block.
VECTORS = 8
#: Size of the offsets of a segment (unit: byte).
SEGMENT_BYTES = 8 * len(BLOCK_FIELDS)
#: Numbers of neighbouring columns in a segment of a block.
COLUMNS = (8, 4, 2, 1)
STRIDES = (1, 2)


class Variant(NamedTuple):
    """The constants of one function."""

    operation: int
    stride: int
    columns: int

    @property
    def segments(self) -> int:
        """Number of segments of a block."""
        return VECTORS // self.columns

    @property
    def symbol(self) -> str:
        """Name of the function in the machine code."""
        return f"sqhw_layer_{self.operation}_{self.stride}_{self.columns}"


VARIANTS = tuple(Variant(*found) for found in product(range(3), STRIDES, COLUMNS))


class _Segments(NamedTuple):
    """Address of the segments of a block, and offset of an output channel."""

    first: Any
    plane: Any


class LayerFunction:
    """Emits the function of a variant: ``void (op, arena, plan, group, blocks)``.

    Its arguments are addresses of the operation's record, of the arena and of the plan, then the
    group of images and the number of blocks, int64 both.

    Parameters
    ----------
    module : llvmlite.ir.Module
        Gets the function.
    variant : Variant
    lanes : int
        Images of a vector.
    """

    def __init__(self, module: ir.Module, variant: Variant, lanes: int) -> None:
        pointer = BYTE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer, INT64, INT64])
        self.function = ir.Function(module, kind, variant.symbol)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.module, self.variant, self.lanes = module, variant, lanes
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.floats = ir.VectorType(FLOAT, lanes)
        self.doubles = ir.VectorType(DOUBLE, lanes)
        integers = variant.operation == INTEGERS
        self.scalar: ir.Type = INT32 if integers else FLOAT
        self.vector = ir.VectorType(self.scalar, lanes)
        op, self.arena, self.plan, group, blocks = self.function.args
        self.op = {field: self._load(op, INT64, 8 * place) for place, field in enumerate(OP_FIELDS)}
        self.x = self._tensor("x", group)
        self.y = self._tensor("y", group)
        self.skip = self._tensor("skip", group)
        self.lowest, self.highest = (
            self.b.sitofp(self.op[field], FLOAT) for field in ("lowest", "highest")
        )
        self.acc = [cgutils.alloca_once(self.b, self.vector) for _ in range(VECTORS)]
        self.sums = cgutils.alloca_once(self.b, self.vector, size=VECTORS)
        with cgutils.for_range(self.b, blocks, intp=INT64) as loop:
            self._block(loop.index)
        self.b.ret_void()

    def _tensor(self, name: str, group: Any) -> Any:
        pitch = self.b.mul(self.op[f"{name}_group"], group)
        return self.b.gep(self.arena, [self.b.add(self.op[name], pitch)])

    def _load(self, base: Any, kind: ir.Type, offset: int = 0) -> Any:
        place = self.b.gep(base, [INT64(offset)]) if offset else base
        return self.b.load(self.b.bitcast(place, kind.as_pointer()))

    def _at(self, base: Any, index: Any, size: int) -> Any:
        return self.b.gep(base, [self.b.mul(index, INT64(size))])

    def _splat(self, value: Any, kind: ir.VectorType) -> Any:
        empty = ir.Constant(kind, ir.Undefined)
        first = self.b.insert_element(empty, value, INT32(0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(first, empty, zeros)

    def _call(self, name: str, *values: Any) -> Any:
        kind = values[0].type
        letter = "f32" if kind == self.floats else "f64"
        function = cgutils.get_or_insert_function(
            self.module,
            ir.FunctionType(kind, [kind] * len(values)),
            f"llvm.{name}.v{self.lanes}{letter}",
        )
        return self.b.call(function, values)

    def _values(self, place: Any) -> Any:
        """Load activations, floats in memory, as the accumulator's type."""
        found = self.b.load(self.b.bitcast(place, self.floats.as_pointer()), align=4 * self.lanes)
        return found if self.scalar == FLOAT else self.b.fptosi(found, self.vector)

    def _block(self, block: Any) -> None:
        blocks = self.b.gep(self.plan, [self.op["blocks"]])
        first = self._at(blocks, block, SEGMENT_BYTES * self.variant.segments)
        places: list[list[Any]] = []
        for segment in range(self.variant.segments):
            offsets = [
                self._load(first, INT64, SEGMENT_BYTES * segment + 8 * place)
                for place in range(len(BLOCK_FIELDS))
            ]
            bases = (self.x, self.y, self.skip)
            places.append(
                [self.b.gep(base, [offset]) for base, offset in zip(bases, offsets, strict=True)]
            )
        channels = self.b.gep(self.plan, [self.op["channels"]])
        with cgutils.for_range(self.b, self.op["outputs"], intp=INT64) as loop:
            record = self._at(channels, loop.index, CHANNEL.itemsize)
            plane = self.b.mul(loop.index, self.op["y_plane"])
            outputs = [self.b.gep(y, [plane]) for _, y, _ in places]
            self._begin(record, outputs)
            self._channel(record, [x for x, _, _ in places], [skip for *_, skip in places])
            self._finish(record, outputs, _Segments(first, plane))

    def _field(self, record: Any, name: str) -> Any:
        kind, offset = CHANNEL.fields[name][:2]  # type: ignore[index]
        found = self._load(record, IR_TYPES[kind.str], offset)
        return found

    def _number(self, record: Any, name: str) -> Any:
        """Load a field that holds a number of the accumulator's type."""
        _, offset = CHANNEL.fields[name][:2]  # type: ignore[index]
        return self._load(record, self.scalar, offset)

    def _add(self, at: int, weight: Any, values: Any) -> None:
        acc = self.b.load(self.acc[at])
        if self.variant.operation == MAXIMUM:
            total = self.b.select(self.b.fcmp_ordered(">", values, acc), values, acc)
        elif self.scalar == FLOAT:
            total = self._call("fmuladd", values, weight, acc)
        else:
            total = self.b.add(acc, self.b.mul(values, weight))
        self.b.store(total, self.acc[at])

    def _begin(self, record: Any, outputs: list[Any]) -> None:
        """Let the accumulators of an output channel begin with the bias, or with stored sums."""
        bias = self._splat(self._number(record, "bias"), self.vector)
        for acc in self.acc:
            self.b.store(bias, acc)
        if self.variant.operation != MAXIMUM:
            with self.b.if_then(self.b.icmp_signed("!=", self._field(record, "go_on"), INT32(0))):
                for at, acc in enumerate(self.acc):
                    found = self.b.load(
                        self.b.bitcast(self._output(outputs, at), self.vector.as_pointer()),
                        align=4 * self.lanes,
                    )
                    self.b.store(found, acc)

    def _output(self, outputs: list[Any], at: int) -> Any:
        """Return the address of an output vector."""
        segment, column = divmod(at, self.variant.columns)
        return self.b.gep(outputs[segment], [INT64(4 * self.lanes * column)])

    def _channel(self, record: Any, inputs: list[Any], skips: list[Any]) -> None:
        """Sum the products of an output channel."""
        columns, stride = self.variant.columns, self.variant.stride
        begin, end = (self.b.sext(self._field(record, name), INT64) for name in ("begin", "end"))
        entries = self.b.gep(self.plan, [self.op["entries"]])
        with cgutils.for_range_slice(self.b, begin, end, INT64(1), intp=INT64) as (index, _):
            entry = self._at(entries, index, 8)
            offset = self.b.sext(self._load(entry, INT32), INT64)
            weight = self._splat(self._load(entry, self.scalar, 4), self.vector)
            for segment, x in enumerate(inputs):
                place = self.b.gep(x, [offset])
                for column in range(columns):
                    step = INT64(4 * self.lanes * stride * column)
                    values = self._values(self.b.gep(place, [step]))
                    self._add(segment * columns + column, weight, values)
        offset = self._field(record, "skip")
        with self.b.if_then(self.b.icmp_signed(">=", offset, INT32(0))):
            weight = self._splat(self._number(record, "skip_weight"), self.vector)
            for segment, skip in enumerate(skips):
                place = self.b.gep(skip, [self.b.sext(offset, INT64)])
                for column in range(columns):
                    step = self.b.mul(self.op["skip_step"], INT64(column))
                    values = self._values(self.b.gep(place, [step]))
                    self._add(segment * columns + column, weight, values)

    def _finish(self, record: Any, outputs: list[Any], segments: _Segments) -> None:
        """Requantize the accumulators and store them."""
        method = self._field(record, "method")
        if self.variant.operation == FLOATS:
            with self.b.if_else(self.b.icmp_signed("==", method, INT32(ROUND))) as (yes, no):
                with yes:
                    constants = self._constants(record, ("scale", "offset"), self.floats)
                    self._store(outputs, lambda acc: self._rounded(acc, constants))
                with no:
                    self._finish_slowly(record, outputs, segments)
        elif self.variant.operation == INTEGERS:
            self._finish_slowly(record, outputs, segments)
        else:
            self._store(outputs, lambda acc: acc)

    def _finish_slowly(self, record: Any, outputs: list[Any], segments: _Segments) -> None:
        """Store the accumulators as they are, or requantized by the definition.

        The loops are loops of the machine code, since most channels do not need them.
        """
        method = self._field(record, "method")
        with self.b.if_else(self.b.icmp_signed("==", method, INT32(DEFINITION))) as (yes, no):
            with yes:
                self._requantize(record, segments)
            with no:
                self._store(outputs, lambda acc: self.b.bitcast(acc, self.floats))

    def _requantize(self, record: Any, segments: _Segments) -> None:
        constants = self._constants(record, ("multiplier", "half", "unit"), self.doubles)
        for at, acc in enumerate(self.acc):
            self.b.store(self.b.load(acc), self.b.gep(self.sums, [INT64(at)]))
        number = self.op["block_segments"]
        columns = self.b.sdiv(INT64(VECTORS), number)
        with cgutils.for_range(self.b, number, intp=INT64) as segment:
            at = self._at(segments.first, segment.index, SEGMENT_BYTES)
            offset = self._load(at, INT64, 8 * BLOCK_FIELDS.index("y"))
            line = self.b.gep(self.y, [self.b.add(offset, segments.plane)])
            with cgutils.for_range(self.b, columns, intp=INT64) as column:
                index = self.b.add(self.b.mul(segment.index, columns), column.index)
                total = self.b.load(self.b.gep(self.sums, [index]))
                place = self._at(line, column.index, 4 * self.lanes)
                self._put(self._requantized(total, constants), place)

    def _store(self, outputs: list[Any], convert: Callable[[Any], Any]) -> None:
        for at, acc in enumerate(self.acc):
            self._put(convert(self.b.load(acc)), self._output(outputs, at))

    def _put(self, value: Any, place: Any) -> None:
        self.b.store(value, self.b.bitcast(place, self.floats.as_pointer()), align=4 * self.lanes)

    def _constants(self, record: Any, names: tuple[str, ...], kind: ir.Type) -> list[Any]:
        """Load fields of a channel, and the limits of the output, into vectors."""
        found = [self._splat(self._field(record, name), kind) for name in names]
        limits = (self.lowest, self.highest)
        return found + [self._splat(limit, self.floats) for limit in limits]

    def _clamped(self, value: Any, lowest: Any, highest: Any) -> Any:
        value = self.b.select(self.b.fcmp_ordered(">", value, lowest), value, lowest)
        return self.b.select(self.b.fcmp_ordered("<", value, highest), value, highest)

    def _rounded(self, acc: Any, constants: list[Any]) -> Any:
        scale, offset, lowest, highest = constants
        value = self._call("floor", self._call("fmuladd", acc, scale, offset))
        return self._clamped(value, lowest, highest)

    def _requantized(self, acc: Any, constants: list[Any]) -> Any:
        multiplier, half, unit, lowest, highest = constants
        wide = (
            self.b.fpext(acc, self.doubles)
            if self.scalar == FLOAT
            else self.b.sitofp(acc, self.doubles)
        )
        scaled = self.b.fmul(self.b.fadd(self.b.fmul(wide, multiplier), half), unit)
        value = self.b.fptrunc(self._call("floor", scaled), self.floats)
        return self._clamped(value, lowest, highest)


def layer_intrinsic(lanes: int) -> Any:
    """Return the intrinsic that runs blocks of one layer, for vectors of `lanes` images.

    Its arguments are int64: addresses of the operation's record, of the arena and of the plan, the
    group of images, and the number of blocks.
    """

    @intrinsic
    def run_layer(context, op, arena, plan, group, blocks):  # type: ignore[no-untyped-def]
        signature = types.void(*[types.int64] * 5)

        def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]
            pointers = [builder.inttoptr(value, BYTE.as_pointer()) for value in values[:3]]
            code = builder.load(builder.bitcast(pointers[0], INT64.as_pointer()))
            end = builder.append_basic_block("end")
            switch = builder.switch(code, end)
            for number, variant in enumerate(VARIANTS):
                function = builder.module.globals.get(variant.symbol)
                if function is None:
                    function = LayerFunction(builder.module, variant, lanes).function
                case = builder.append_basic_block("case")
                switch.add_case(INT64(number), case)
                with builder.goto_block(case):
                    builder.call(function, [*pointers, *values[3:]])
                    builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, generate

    return run_layer
