"""The layer descriptor and the channel record as Amaranth layouts."""

from collections.abc import Iterable

from amaranth.hdl import Cat, signed
from amaranth.lib import data

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import COUNT_BITS, SHIFT_BITS, descriptor_fields


def descriptor_layout(engine: EngineConfig) -> data.StructLayout:
    """Return the layer descriptor as an Amaranth layout; two's complement where it is signed."""
    negative = {"start_dx", "start_dy", "last_dx", "clamp_lo"}
    return data.StructLayout(
        {
            name: signed(width) if name in negative else width
            for name, width in descriptor_fields(engine)
        }
    )


def record_layout(engine: EngineConfig) -> data.StructLayout:
    """Return a decoded channel record."""
    return data.StructLayout(
        {
            "count": COUNT_BITS,
            "bias": signed(engine.acc_bits),
            "multiplier": engine.mult_bits,
            "shift": SHIFT_BITS,
        }
    )


def fields_layout(engine: EngineConfig, names: Iterable[str]) -> data.StructLayout:
    """Return some fields of the layer descriptor, without those that the engine lacks.

    Parameters
    ----------
    engine : EngineConfig
    names : iterable of str
        Fields of `sqhw.machine.layout.descriptor_fields` of an engine that has everything.
    """
    members = descriptor_layout(engine).members
    return data.StructLayout({name: members[name] for name in names if name in members})


def fields_of(descriptor, layout: data.StructLayout):
    """Return the fields of a descriptor that are in a layout, as its value."""
    return Cat(descriptor[name] for name in layout.members)
