"""The whole machine code: all variants, the loop over a plan, the way of images in and out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from sqhw.sim.emit import BYTE, INT16, INT32, INT64, LayerFunction
from sqhw.sim.emit_loops import loop
from sqhw.sim.plan_layout import MAP_FIELDS, OP_FIELDS
from sqhw.sim.variants import Shape, Variant, variants_of

POINTER = BYTE.as_pointer()
#: Widths of the pixels that images may have (unit: bit).
PIXEL_BITS = (8, 32)


def module_for(shape: Shape) -> ir.Module:
    """Return LLVM's text of all functions, for vectors of a shape."""
    module = ir.Module("sqhw")
    variants = variants_of(shape)
    for variant in variants:
        LayerFunction(module, variant, shape)
    _run(module, _dispatch(module, variants))
    for bits in PIXEL_BITS:
        _pack(module, ir.IntType(bits), shape.lanes)
    _unpack(module, shape.lanes)
    return module


def _function(
    module: ir.Module, name: str, pointers: int, numbers: int
) -> tuple[ir.IRBuilder, Any, list[Any]]:
    kind = ir.FunctionType(ir.VoidType(), [POINTER] * pointers + [INT64] * numbers)
    function = ir.Function(module, kind, name)
    return ir.IRBuilder(function.append_basic_block("entry")), function, list(function.args)


def _field(b: ir.IRBuilder, base: Any, place: int) -> Any:
    return b.load(b.bitcast(b.gep(base, [INT64(8 * place)]), INT64.as_pointer()))


def _dispatch(module: ir.Module, variants: tuple[Variant, ...]) -> Any:
    """Emit the call of an operation's variant: ``void (op, arena, plan, group, groups)``.

    It runs the blocks of `groups` groups, from that numbered `group` on.
    """
    b, function, arguments = _function(module, "sqhw_operation", 3, 2)
    function.linkage = "internal"
    op, arena, plan, group, groups = arguments
    segments = b.mul(_field(b, op, OP_FIELDS.index("segments")), groups)
    size = _field(b, op, OP_FIELDS.index("block_segments"))
    blocks = b.sdiv(b.add(segments, b.sub(size, INT64(1))), size)
    end = function.append_basic_block("end")
    switch = b.switch(_field(b, op, OP_FIELDS.index("variant")), end)
    for number, variant in enumerate(variants):
        case = function.append_basic_block("case")
        switch.add_case(INT64(number), case)
        b.position_at_end(case)
        b.call(module.globals[variant.symbol], [op, arena, plan, group, blocks])
        b.branch(end)
    b.position_at_end(end)
    b.ret_void()
    return function


def _run(module: ir.Module, dispatch: Any) -> None:
    """Emit ``void (plan, operations, arena, split, count, groups)``.

    The first `split` of `count` operations run group after group, the others on all groups at once.
    """
    b, _, (plan, operations, arena, split, count, groups) = _function(module, "sqhw_run", 3, 3)

    def call(at: Any, group: Any, number: Any) -> None:
        op = b.gep(operations, [b.mul(at, INT64(8 * len(OP_FIELDS)))])
        b.call(dispatch, [op, arena, plan, group, number])

    zero = INT64(0)
    with loop(b, zero, groups) as group, loop(b, zero, split) as at:
        call(at, group, INT64(1))
    with loop(b, split, count) as at:
        call(at, zero, groups)
    b.ret_void()


class _Map:
    """Addresses of values, in a tensor of the arena and in images of a plain array."""

    def __init__(self, b: ir.IRBuilder, fields: Any, lanes: int) -> None:
        self.b, self.lanes = b, lanes
        self.field = {name: _field(b, fields, place) for place, name in enumerate(MAP_FIELDS)}

    @contextmanager
    def rows(self) -> Iterator[tuple[Any, Any]]:
        """Emit loops over channels and their rows."""
        zero = INT64(0)
        with (
            loop(self.b, zero, self.field["channels"]) as channel,
            loop(self.b, zero, self.field["height"]) as row,
        ):
            yield channel, row

    def tensor_row(self, base: Any, image: Any, channel: Any, row: Any) -> Any:
        """Return the address of an image's row in a tensor."""
        b = self.b
        group, lane = b.sdiv(image, INT64(self.lanes)), b.srem(image, INT64(self.lanes))
        parts = (
            b.mul(group, self.field["group"]),
            b.mul(b.sdiv(channel, INT64(2)), self.field["plane"]),
            b.mul(b.srem(channel, INT64(2)), INT64(2)),
            b.mul(row, self.field["row"]),
            b.mul(lane, INT64(4)),
        )
        for part in parts:
            base = b.gep(base, [part])
        return base

    def image_row(self, base: Any, image: Any, channel: Any, row: Any, size: int) -> Any:
        """Return the address of an image's row in a plain array."""
        b = self.b
        index = b.add(b.mul(image, self.field["channels"]), channel)
        index = b.add(b.mul(index, self.field["height"]), row)
        return b.gep(base, [b.mul(b.mul(index, self.field["width"]), INT64(size))])

    def value(self, row: Any, column: Any, kind: ir.Type, pitch: int) -> Any:
        """Return the address of a column's value."""
        place = self.b.gep(row, [self.b.mul(column, INT64(pitch))])
        return self.b.bitcast(place, kind.as_pointer())


def _pack(module: ir.Module, kind: Any, lanes: int) -> None:
    """Emit ``void (images, tensor, fields)``; lanes without an image get zeros."""
    b, _, (images, tensor, fields) = _function(module, f"sqhw_pack_{kind.width}", 3, 0)
    places = _Map(b, fields, lanes)
    count, size = places.field["images"], kind.width // 8
    filled = b.mul(b.sdiv(b.add(count, INT64(lanes - 1)), INT64(lanes)), INT64(lanes))
    with places.rows() as (channel, row), loop(b, INT64(0), filled) as image:
        live = b.icmp_signed("<", image, count)
        source = b.select(live, image, INT64(0))
        pixels = places.image_row(images, source, channel, row, size)
        line = places.tensor_row(tensor, image, channel, row)
        with loop(b, INT64(0), places.field["width"]) as column:
            pixel = b.load(places.value(pixels, column, kind, size))
            wide = b.zext(pixel, INT16) if size == 1 else b.trunc(pixel, INT16)
            value = b.select(live, wide, INT16(0))
            b.store(value, places.value(line, column, INT16, 4 * lanes))
    b.ret_void()


def _unpack(module: ir.Module, lanes: int) -> None:
    """Emit ``void (images, tensor, fields)``, the other way, to images of int32."""
    b, _, (images, tensor, fields) = _function(module, "sqhw_unpack", 3, 0)
    places = _Map(b, fields, lanes)
    with places.rows() as (channel, row), loop(b, INT64(0), places.field["images"]) as image:
        pixels = places.image_row(images, image, channel, row, 4)
        line = places.tensor_row(tensor, image, channel, row)
        with loop(b, INT64(0), places.field["width"]) as column:
            value = b.load(places.value(line, column, INT16, 4 * lanes))
            b.store(b.sext(value, INT32), places.value(pixels, column, INT32, 4))
    b.ret_void()
