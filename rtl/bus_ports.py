"""Buses as flat ports: vendor tools recognise them by names such as ``s_axi_awaddr``."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Member


def bus_ports(prefix: str, bus: Member) -> dict[str, Member]:
    """Return the flat ports of a bus, as members of a component."""
    return {f"{prefix}_{name}": member for name, member in bus.signature.members.items()}


def connect_ports(m: Module, component: wiring.Component, prefix: str, bus) -> None:
    """Connect the flat ports of a bus of a component to the bus of one of its parts."""
    for name, member in bus.signature.members.items():
        port, inner = getattr(component, f"{prefix}_{name}"), getattr(bus, name)
        m.d.comb += inner.eq(port) if member.flow == wiring.In else port.eq(inner)
