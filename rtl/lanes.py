"""The multiply-accumulate lanes: all take the same weight, each its own activation."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.engine import EngineConfig


class Lanes(wiring.Component):
    """``acc = weight * x``, ``acc += weight * x`` or ``acc = max(acc, x)`` in every lane.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    vector : In(ArrayLayout(8, lanes))
        Activations.
    inside : In(lanes)
        Activations of lanes with a 0 are padding, hence 0.
    in_signed, pool : In(1)
        Activations are two's complement; take the maximum (the weight must be 1).
    weight : In(signed(8))
        One cycle after its vector.
    valid, first : In(1)
        There is a vector; it is the first of its accumulation.
    acc : Out(ArrayLayout(signed(acc_bits), lanes))
        `LATENCY` after the vector.
    """

    LATENCY = 3

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        super().__init__(
            {
                "vector": In(ArrayLayout(8, engine.lanes)),
                "inside": In(engine.lanes),
                "in_signed": In(1),
                "pool": In(1),
                "weight": In(signed(8)),
                "valid": In(1),
                "first": In(1),
                "acc": Out(ArrayLayout(signed(engine.acc_bits), engine.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build three stages: mask and extend, multiply, accumulate."""
        m = Module()
        valid = [Signal(name=f"valid_{stage}") for stage in range(2)]
        first = [Signal(name=f"first_{stage}") for stage in range(2)]
        m.d.sync += [
            Cat(valid).eq(Cat(self.valid, valid)),
            Cat(first).eq(Cat(self.first, first)),
        ]
        for lane in range(self._engine.lanes):
            x = Signal(signed(9), name=f"x_{lane}")
            product = Signal(signed(17), name=f"product_{lane}")
            byte = self.vector[lane]
            acc = self.acc[lane]
            m.d.sync += [
                x.eq(Mux(self.inside[lane], Cat(byte, byte[7] & self.in_signed).as_signed(), 0)),
                product.eq(x * self.weight),
            ]
            # A pooling accumulator is a 9-bit number, sign-extended.
            larger = Signal(name=f"larger_{lane}")
            m.d.comb += larger.eq(product[:9].as_signed() > acc[:9].as_signed())
            with m.If(valid[1]):
                with m.If(first[1] | (self.pool & larger)):
                    m.d.sync += acc.eq(product)
                with m.Elif(~self.pool):
                    m.d.sync += acc.eq(acc + product)
        return m
