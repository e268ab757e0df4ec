"""From kernel taps to accumulators: the masks of the lanes, the weight, and the lanes."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH
from sqhw.machine.timing import (
    ROW_CYCLES,
    is_deep,
    mask_cycles,
    read_cycles,
    rom_cycles,
    sum_cycles,
)
from sqhw.rtl.delay import delayed
from sqhw.rtl.descriptor import LayerFields, pool_of
from sqhw.rtl.interfaces import Phases, SumStream, TapStream
from sqhw.rtl.lane_masks import LaneMasks
from sqhw.rtl.lanes import Lanes


class Accumulate(wiring.Component):
    """Multiplies the vector of each tap by the tap's weight and accumulates in the lanes.

    In pooling the weight is 1. Lanes outside of the map take zeros. In a filler all lanes do.

    Parameters
    ----------
    engine : EngineConfig

    Members
    -------
    layer : In(LayerFields)
        The `LAYER_FIELDS` of the descriptor.
    phases : In(Phases)
    taps : In(TapStream)
    weight : In(signed(8))
        Word of the codebook, `weight_cycles` after the tap.
    vector : In(ArrayLayout(8, lanes))
        Activations, `ROW_CYCLES` plus `sqhw.machine.timing.read_cycles` after the tap.
    sums : Out(SumStream)
        Accumulators, `latency` after the tap of the channel's last entry.
    """

    #: Cycles from a tap to the address of its vector in the activation memory.
    ROW_CYCLES = ROW_CYCLES
    #: Fields of the layer descriptor that it reads.
    LAYER_FIELDS = (
        "pool", "in_signed", "in_split", "in_last_x", "in_last_y", "batch_shift", "skip_signed",
        "skip_weight", "pitch_last_x",
    )  # fmt: skip

    def __init__(self, engine: EngineConfig) -> None:
        self._engine = engine
        self.latency = sum_cycles(engine)
        self.weight_cycles = is_deep(engine) + rom_cycles(engine, "codebook") - 1
        super().__init__(
            {
                "layer": In(LayerFields(engine, self.LAYER_FIELDS)),
                "phases": In(Phases()),
                "taps": In(TapStream(engine)),
                "weight": In(CODEBOOK_WIDTH),
                "vector": In(ArrayLayout(8, engine.lanes)),
                "sums": Out(SumStream(engine)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Connect masks and lanes, each input as late as the vector comes."""
        m = Module()
        engine, layer, taps = self._engine, self.layer, self.taps
        m.submodules.masks = masks = LaneMasks(engine)
        m.submodules.lanes = lanes = Lanes(engine)
        read = read_cycles(engine)
        spare = read - mask_cycles(engine)  # the masks are ready in the cycle before the vector
        if engine.max_batch > 1:
            m.d.comb += masks.batch_shift.eq(layer.batch_shift)
        m.d.comb += [
            masks.last_x.eq(layer.in_last_x),
            masks.last_y.eq(layer.in_last_y),
            masks.split.eq(layer.in_split),
            masks.pitch_last_x.eq(layer.pitch_last_x),
            masks.clear.eq(self.phases.prepare),
            masks.fill.eq(self.phases.fill),
            masks.advance.eq(delayed(m, taps.new_tile, spare, "advance", reset_less=False)),
            masks.dx.eq(delayed(m, taps.x, spare, "dx")),
            masks.dy.eq(delayed(m, taps.y, spare, "dy")),
        ]
        pool, wait = pool_of(engine, layer), self.weight_cycles
        chosen, covered, in_signed = Mux(pool, 1, self.weight), masks.inside, layer.in_signed
        if engine.residuals:
            aside = taps.residual
            chosen = Mux(delayed(m, aside, wait, "skip_weight"), layer.skip_weight, chosen)
            covered = covered | delayed(m, aside, read, "covered").replicate(engine.lanes)
            late = delayed(m, aside, ROW_CYCLES + read, "skip_signed")
            in_signed = Mux(late, layer.skip_signed, in_signed)
        inside = Signal(engine.lanes, name="inside", reset_less=True)
        weight = Signal(signed(8), name="weight", reset_less=True)
        m.d.sync += [
            inside.eq(Mux(delayed(m, taps.useful, read, "useful_late"), covered, 0)),
            weight.eq(chosen),
        ]
        valid = delayed(m, taps.valid, ROW_CYCLES + read, "valid", reset_less=False)
        whole = delayed(m, taps.last, self.latency, "last", reset_less=False)
        m.d.comb += [
            lanes.vector.eq(self.vector),
            lanes.inside.eq(inside),
            lanes.in_signed.eq(in_signed),
            lanes.pool.eq(pool),
            lanes.weight.eq(delayed(m, weight, read - wait, "weight")),
            lanes.valid.eq(valid),
            lanes.first.eq(delayed(m, taps.first, ROW_CYCLES + read, "first")),
            self.sums.valid.eq(whole),
            self.sums.acc.eq(lanes.acc),
        ]
        return m
