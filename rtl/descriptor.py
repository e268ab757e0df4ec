"""The layer descriptor and the channel record as Amaranth layouts."""

from collections.abc import Iterable

from amaranth.hdl import C, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

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


class LayerFields(wiring.Signature):
    """Some fields of the layer descriptor, without those that the engine lacks.

    Parameters
    ----------
    engine : EngineConfig
    names : iterable of str
        Fields of `sqhw.machine.layout.descriptor_fields` of an engine that has everything.
    """

    def __init__(self, engine: EngineConfig, names: Iterable[str]) -> None:
        fields = descriptor_layout(engine).members
        super().__init__({name: Out(fields[name]) for name in names if name in fields})

    @staticmethod
    def of(descriptor, layer):
        """Return the assignments that give the fields their values in a descriptor."""
        return [getattr(layer, name).eq(descriptor[name]) for name in layer.signature.members]


def group_channels_of(engine: EngineConfig, layer):
    """Return the input channels that an output channel of a layer reads.

    Without groups in the engine, pooling alone reads channel by channel.
    """
    if engine.groups:
        return layer.group_channels
    return Mux(pool_of(engine, layer), 1, layer.in_channels)


def pool_of(engine: EngineConfig, layer):
    """Return whether a layer takes the maximum."""
    return layer.pool if engine.maxpool else C(0)
