"""Energy of a run: counted operations and accesses, times the energy of each in a technology table.

The energy is an estimate. It has the dynamic energy of arithmetic and memories, as if both were
built in the table's process. It has no leakage, no clock, no wires between the blocks, and no
overhead of an FPGA. It ranks networks and engines; it does not tell the power of a board.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sqhw.cost_models.activity import Activity, LayerActivity
from sqhw.cost_models.layer_shape import SKIP_WEIGHT_BITS
from sqhw.cost_models.technology import Technology
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import CODEBOOK_WIDTH

BYTE = 8


@dataclass(frozen=True, eq=False)
class EnergySplit:
    """Energy by use (unit: pJ); each part a number, or an array with one value an option.

    Parameters
    ----------
    multiply : float or ndarray
        Products of weights, or of skip connections, and activations, at the widths of both.
    accumulate : float or ndarray
        Additions to accumulators, and comparisons of maxima.
    requantize : float or ndarray
        Additions of the bias, products, and additions for the rounding of each result.
    activation_reads, activation_writes : float or ndarray
        Accesses of the activation banks, pixels and results included.
    weights : float or ndarray
        Words of the weight ROM.
    codebook : float or ndarray
        Bytes of the codebook.
    parameters : float or ndarray
        Words of the parameter ROM.
    """

    multiply: Any
    accumulate: Any
    requantize: Any
    activation_reads: Any
    activation_writes: Any
    weights: Any
    codebook: Any
    parameters: Any

    @property
    def total(self) -> Any:
        """Energy of all uses (unit: pJ)."""
        return sum(self.to_dict().values())

    def to_dict(self) -> dict[str, Any]:
        """Return the parts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def scaled(self, factor: float) -> "EnergySplit":
        """Return the split with every part times `factor`."""
        return EnergySplit(**{name: part * factor for name, part in self.to_dict().items()})


@dataclass(frozen=True)
class EnergyPrices:
    """Energy of each operation of an engine.

    Parameters
    ----------
    technology : Technology
    engine : EngineConfig
        Engine with the widths of accumulators, multipliers and words, and the size of a bank.
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``. Each is priced as one memory of
        its size.
    """

    technology: Technology
    engine: EngineConfig
    depths: Mapping[str, int]

    @property
    def capacities(self) -> dict[str, int]:
        """Size of a memory of each kind (unit: bit)."""
        return {
            "activation bank": self.engine.bank_depth * BYTE,
            "weight ROM": self.depths["weights"] * self.engine.word_bits,
            "parameter ROM": self.depths["params"] * self.engine.word_bits,
            "codebook": self.depths["codebook"] * CODEBOOK_WIDTH,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on operations and memories outside of the technology's table."""
        return tuple(
            f"{kind} of {bits:,} bit is beyond the memories of {self.technology.name}, extrapolated"
            for kind, bits in self.capacities.items()
            if self.technology.extrapolates(bits)
        )

    def layer(self, layer: LayerActivity) -> EnergySplit:
        """Return the energy of a layer in a run, one value an option."""
        technology, engine, sizes = self.technology, self.engine, self.capacities
        bank = technology.access(sizes["activation bank"], BYTE)
        accumulate = technology.add(engine.acc_bits)
        requantize = 2 * accumulate + technology.multiply(engine.acc_bits, engine.mult_bits)
        product = technology.multiply(max(1, layer.weight_bits), layer.activation_bits)
        skip = technology.multiply(SKIP_WEIGHT_BITS, max(1, layer.skip_bits))
        return EnergySplit(
            multiply=layer.macs * product + layer.skips * skip,
            accumulate=(layer.macs + layer.skips) * accumulate
            + layer.comparisons * technology.add(layer.activation_bits),
            requantize=layer.requantizations * requantize,
            activation_reads=layer.bank_reads * bank,
            activation_writes=layer.writes * bank,
            weights=layer.weight_words * technology.access(sizes["weight ROM"], engine.word_bits),
            codebook=layer.codebook_reads * technology.access(sizes["codebook"], CODEBOOK_WIDTH),
            parameters=layer.param_words
            * technology.access(sizes["parameter ROM"], engine.word_bits),
        )

    def run(self, run: Activity) -> EnergySplit:
        """Return the energy of a whole run, pixels and results included."""
        bank = self.technology.access(self.capacities["activation bank"], BYTE)
        parts = dict.fromkeys((field.name for field in fields(EnergySplit)), 0.0)
        for layer in run.layers:
            for name, value in self.layer(layer).to_dict().items():
                parts[name] += float(np.asarray(value).item())
        parts["activation_writes"] += run.pixels * bank
        parts["activation_reads"] += run.results * bank
        return EnergySplit(**parts)
