"""Machine code of the layers: accumulator vectors stay in registers, a weight is a scalar.

One function a variant. A variant is an operation, the layer's stride and the shape of a block: how
many segments of how many neighbouring columns its vectors cover. A vector has the same
position of `lanes` images. The loops are, from the outside: blocks of positions, output channels,
pairs of weights that are not both zero. Requantization happens in registers, before the store.
"""

from typing import Any, NamedTuple

from llvmlite import ir

from sqhw.sim.emit_loops import declared, loop, variable
from sqhw.sim.plan_layout import BLOCK_FIELDS, CHANNEL, OP_FIELDS, RAW, ROUND
from sqhw.sim.variants import LOOKUP, MAXIMUM, SEGMENT_BYTES, SUM, Shape, Variant
from sqhw.sim.vectors import dot_product

BYTE, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
#: IR types of the fields of a channel record by NumPy type.
IR_TYPES = {"<i4": INT32, "<f4": FLOAT, "<f8": DOUBLE}


class _Outputs(NamedTuple):
    """Addresses of the outputs of a block: of its segments, of their offsets, of its sums."""

    lines: list[Any]
    segments: Any
    plane: Any
    sums: Any


class LayerFunction:
    """Emits the function of a variant: ``void (op, arena, plan, group, blocks)``.

    Its arguments are addresses of the operation's record, of the arena and of the plan, then the
    group of images and the number of blocks, int64 both.

    Parameters
    ----------
    module : llvmlite.ir.Module
        Gets the function.
    variant : Variant
    shape : Shape
        Shape of vectors.
    """

    def __init__(self, module: ir.Module, variant: Variant, shape: Shape) -> None:
        pointer = BYTE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer, INT64, INT64])
        self.function = ir.Function(module, kind, variant.symbol)
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.module, self.variant, self.shape, self.lanes = module, variant, shape, shape.lanes
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.floats = ir.VectorType(FLOAT, self.lanes)
        self.doubles = ir.VectorType(DOUBLE, self.lanes)
        self.vector = ir.VectorType(INT32, self.lanes)
        self.halves = ir.VectorType(INT16, 2 * self.lanes)
        op, self.arena, self.plan, group, blocks = self.function.args
        self.op = {field: self._load(op, INT64, 8 * place) for place, field in enumerate(OP_FIELDS)}
        self.x = self._tensor("x", group)
        self.y = self._tensor("y", group)
        self.skip = self._tensor("skip", group)
        self.lowest = self._splat(self.b.trunc(self.op["lowest"], INT32), self.vector)
        span = self.b.sub(self.op["highest"], self.op["lowest"])
        self.span = self.b.sitofp(span, FLOAT)
        self.acc = [variable(self.b, self.vector) for _ in range(variant.vectors)]
        self.stored = variable(self.b, self.vector, variant.vectors)
        with loop(self.b, INT64(0), blocks) as index:
            self._block(index)
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

    def _all(self, value: int) -> Any:
        return ir.Constant(self.vector, [value] * self.lanes)

    def _call(self, name: str, *values: Any) -> Any:
        kind = values[0].type
        name = f"llvm.{name}.v{self.lanes}{'f32' if kind == self.floats else 'f64'}"
        function = declared(self.b, ir.FunctionType(kind, [kind] * len(values)), name)
        return self.b.call(function, values)

    def _read(self, place: Any) -> Any:
        """Load a vector of pairs of activations, or of sums."""
        return self.b.load(self.b.bitcast(place, self.vector.as_pointer()), align=4 * self.lanes)

    def _put(self, value: Any, place: Any) -> None:
        self.b.store(value, self.b.bitcast(place, self.vector.as_pointer()), align=4 * self.lanes)

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
        size = self.variant.vectors * 4 * self.lanes
        sums = self._at(self.b.gep(self.arena, [self.op["sums"]]), block, size)
        with loop(self.b, INT64(0), self.op["outputs"]) as index:
            record = self._at(channels, index, CHANNEL.itemsize)
            plane = self.b.mul(self._integer(record, "pair"), self.op["y_plane"])
            outputs = _Outputs(
                [self.b.gep(y, [plane]) for _, y, _ in places],
                first,
                plane,
                self.b.gep(sums, [self.b.mul(index, self.op["sums_plane"])]),
            )
            self._begin(record, outputs)
            self._channel(record, [x for x, _, _ in places], [skip for *_, skip in places])
            self._finish(record, outputs)

    def _field(self, record: Any, name: str) -> Any:
        kind, offset = CHANNEL.fields[name][:2]  # type: ignore[index]
        return self._load(record, IR_TYPES[kind.str], offset)

    def _integer(self, record: Any, name: str) -> Any:
        return self.b.sext(self._field(record, name), INT64)

    def _is(self, record: Any, name: str, value: int) -> Any:
        return self.b.icmp_signed("==", self._field(record, name), INT32(value))

    def _add(self, at: int, weights: Any, values: Any) -> None:
        acc = self.b.load(self.acc[at])
        if self.variant.operation == MAXIMUM:
            one, two = (self.b.bitcast(value, self.halves) for value in (values, acc))
            most = self.b.select(self.b.icmp_signed(">", one, two), one, two)
            total = self.b.bitcast(most, self.vector)
        elif self.variant.operation == LOOKUP:
            total = values
        else:
            total = self.b.add(acc, dot_product(self.b, values, weights, self.shape))
        self.b.store(total, self.acc[at])

    def _begin(self, record: Any, outputs: _Outputs) -> None:
        """Let the accumulators of an output channel begin with the bias, or with stored sums."""
        bias = self._splat(self._field(record, "bias"), self.vector)
        for acc in self.acc:
            self.b.store(bias, acc)
        if self.variant.operation == SUM:
            with self.b.if_then(self._is(record, "go_on", 1)):
                for at, acc in enumerate(self.acc):
                    found = self._read(self.b.gep(outputs.sums, [INT64(4 * self.lanes * at)]))
                    self.b.store(found, acc)

    def _channel(self, record: Any, inputs: list[Any], skips: list[Any]) -> None:
        """Sum the products of an output channel."""
        columns, stride = self.variant.columns, self.variant.stride
        begin, end = (self._integer(record, name) for name in ("begin", "end"))
        entries = self.b.gep(self.plan, [self.op["entries"]])
        with loop(self.b, begin, end) as index:
            entry = self._at(entries, index, 8)
            offset = self.b.sext(self._load(entry, INT32), INT64)
            weights = self._splat(self._load(entry, INT32, 4), self.vector)
            for segment, x in enumerate(inputs):
                place = self.b.gep(x, [offset])
                for column in range(columns):
                    step = INT64(4 * self.lanes * stride * column)
                    values = self._read(self.b.gep(place, [step]))
                    self._add(segment * columns + column, weights, values)
        if self.variant.operation != SUM:
            return
        offset = self._integer(record, "skip")
        with self.b.if_then(self.b.icmp_signed(">=", offset, INT64(0))):
            weights = self._splat(self._field(record, "skip_weights"), self.vector)
            for segment, skip in enumerate(skips):
                place = self.b.gep(skip, [offset])
                for column in range(columns):
                    step = self.b.mul(self.op["skip_step"], INT64(column))
                    values = self._read(self.b.gep(place, [step]))
                    self._add(segment * columns + column, weights, values)

    def _finish(self, record: Any, outputs: _Outputs) -> None:
        """Requantize the accumulators and store them."""
        if self.variant.operation == MAXIMUM:
            for at, acc in enumerate(self.acc):
                self._put(self.b.load(acc), self._output(outputs, at))
            return
        if self.variant.operation == LOOKUP:
            self._look_up(outputs)
            return
        with self.b.if_else(self._is(record, "method", ROUND), likely=True) as (yes, no):
            with yes:
                self._round(record, outputs)
            with no, self.b.if_else(self._is(record, "method", RAW)) as (raw, other):
                with raw:
                    for at, acc in enumerate(self.acc):
                        place = self.b.gep(outputs.sums, [INT64(4 * self.lanes * at)])
                        self._put(self.b.load(acc), place)
                with other:
                    self._requantize(record, outputs)

    def _look_up(self, outputs: _Outputs) -> None:
        """Store the entries of the table that the halves of the accumulators number."""
        table = self.b.gep(self.plan, [self.op["table"]])
        for at, acc in enumerate(self.acc):
            place = self._output(outputs, at)
            self._put(self.b.load(acc), place)
            with loop(self.b, INT64(0), INT64(2 * self.lanes)) as index:
                value = self.b.bitcast(self._at(place, index, 2), INT16.as_pointer())
                entry = self._at(table, self.b.sext(self.b.load(value), INT64), 2)
                self.b.store(self.b.load(self.b.bitcast(entry, INT16.as_pointer())), value)

    def _output(self, outputs: _Outputs, at: int) -> Any:
        """Return the address of an output vector."""
        segment, column = divmod(at, self.variant.columns)
        return self.b.gep(outputs.lines[segment], [INT64(4 * self.lanes * column)])

    def _round(self, record: Any, outputs: _Outputs) -> None:
        """Store outputs by one rounded multiplication, as the lower or upper half of pairs."""
        names = ("scale", "offset")
        constants = [self._splat(self._field(record, name), self.floats) for name in names]
        places = [self._output(outputs, at) for at in range(self.variant.vectors)]
        with self.b.if_else(self._is(record, "upper", 0)) as (lower, upper):
            with lower:
                for acc, place in zip(self.acc, places, strict=True):
                    value = self._rounded(self.b.load(acc), constants)
                    self._put(self.b.and_(value, self._all(0xFFFF)), place)
            with upper:
                for acc, place in zip(self.acc, places, strict=True):
                    value = self._rounded(self.b.load(acc), constants)
                    self._put(self._upper(value, place), place)

    def _upper(self, value: Any, place: Any) -> Any:
        """Return pairs of the lower halves in memory and of values."""
        return self.b.or_(self.b.shl(value, self._all(16)), self._read(place))

    def _rounded(self, acc: Any, constants: list[Any]) -> Any:
        scale, offset = constants
        value = self._call("fmuladd", self.b.sitofp(acc, self.floats), scale, offset)
        return self._clamped(value, self.floats, self.span)

    def _clamped(self, value: Any, kind: ir.Type, span: Any) -> Any:
        """Return floats above the lowest output, clamped and rounded down, as outputs."""
        zero, most = ir.Constant(kind, None), self._splat(span, kind)
        value = self.b.select(self.b.fcmp_ordered(">", value, zero), value, zero)
        value = self.b.select(self.b.fcmp_ordered("<", value, most), value, most)
        return self.b.add(self.b.fptosi(value, self.vector), self.lowest)

    def _requantize(self, record: Any, outputs: _Outputs) -> None:
        """Store outputs by the definition; a loop, since most channels do not need it."""
        names = ("multiplier", "half", "unit")
        constants = [self._splat(self._field(record, name), self.doubles) for name in names]
        for at, acc in enumerate(self.acc):
            self.b.store(self.b.load(acc), self.b.gep(self.stored, [INT64(at)]))
        columns = INT64(self.variant.columns)
        lower = self._is(record, "upper", 0)
        with loop(self.b, INT64(0), INT64(self.variant.segments)) as segment:
            at = self._at(outputs.segments, segment, SEGMENT_BYTES)
            offset = self._load(at, INT64, 8 * BLOCK_FIELDS.index("y"))
            line = self.b.gep(self.y, [self.b.add(offset, outputs.plane)])
            with loop(self.b, INT64(0), columns) as column:
                index = self.b.add(self.b.mul(segment, columns), column)
                total = self.b.load(self.b.gep(self.stored, [index]))
                place = self._at(line, column, 4 * self.lanes)
                value = self._requantized(total, constants)
                low = self.b.and_(value, self._all(0xFFFF))
                self._put(self.b.select(lower, low, self._upper(value, place)), place)

    def _requantized(self, acc: Any, constants: list[Any]) -> Any:
        multiplier, half, unit = constants
        wide = self.b.sitofp(acc, self.doubles)
        scaled = self.b.fmul(self.b.fadd(self.b.fmul(wide, multiplier), half), unit)
        lowest = self.b.sitofp(self.lowest, self.doubles)
        above = self.b.fsub(self._call("floor", scaled), lowest)
        return self._clamped(above, self.doubles, self.b.fpext(self.span, DOUBLE))
