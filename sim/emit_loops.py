"""Parts of machine code that llvmlite's builder lacks: loops, variables, functions of LLVM."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

INT64 = ir.IntType(64)


@contextmanager
def loop(b: ir.IRBuilder, begin: Any, end: Any) -> Iterator[Any]:
    """Emit a loop; its body gets the index, int64, from `begin` to before `end`."""
    before = b.block
    head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(INT64)
    index.add_incoming(begin, before)
    b.cbranch(b.icmp_signed("<", index, end), body, after)
    b.position_at_end(body)
    yield index
    index.add_incoming(b.add(index, INT64(1)), b.block)
    b.branch(head)
    b.position_at_end(after)


def variable(b: ir.IRBuilder, kind: ir.Type, number: int = 1) -> Any:
    """Emit a variable, or an array, of the function."""
    with b.goto_entry_block():
        return b.alloca(kind, size=number)


def declared(b: ir.IRBuilder, kind: ir.FunctionType, name: str) -> Any:
    """Return a function that LLVM knows, declared once a module."""
    return b.module.globals.get(name) or ir.Function(b.module, kind, name)
