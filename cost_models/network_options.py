"""The options of all layers of a network, for compressors under a budget.

Block RAMs do not add up layer by layer: `NetworkTable` maps the memories of a whole choice, so that
the added cost of an option includes the rounding to blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sqhw.arrays import Ints, Numbers
from sqhw.cost_models.budget import LIMITS
from sqhw.cost_models.device import Device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_options import LayerTable, layer_table
from sqhw.cost_models.layer_shape import layer_shapes
from sqhw.cost_models.layer_weights import BITS, has_stream, random_weights
from sqhw.cost_models.rom import rom_blocks
from sqhw.errors import unknown_name
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import ROMS, rom_widths
from sqhw.network.graph import Graph, GraphConv, MaxPool


@dataclass(frozen=True)
class ChoiceCost:
    """Costs of one option a layer together.

    Parameters
    ----------
    payload : int
        Bits of the codes of weights.
    stream : int
        Bits of weight streams and codebooks.
    rom : int
        Bits of the three ROM images.
    blocks : int
        Block RAMs that they occupy.
    cycles : float
        Cycles of a run.
    energy : float
        Energy of an image (unit: uJ).
    """

    payload: int
    stream: int
    rom: int
    blocks: int
    cycles: float
    energy: float


@dataclass(frozen=True, eq=False)
class NetworkTable:
    """The tables of all layers of a network on an engine and a device.

    Parameters
    ----------
    layers : tuple of LayerTable
        In execution order.
    engine : EngineConfig
    device : Device
    batch : int
        Images of a run.
    """

    layers: tuple[LayerTable, ...]
    engine: EngineConfig
    device: Device
    batch: int = 1

    def cost(self, choice: Sequence[int]) -> ChoiceCost:
        """Return the cost of one option a layer, blocks included.

        Parameters
        ----------
        choice : sequence of int
            Index of the option of each layer.
        """
        rows = zip(self.layers, choice, strict=True)
        words = np.array([self._words[i][:, at] for i, (_, at) in enumerate(rows)]).sum(axis=0)
        rows = zip(self.layers, choice, strict=True)
        cycles, energy = np.sum([(t.cycles[at], t.energy_pj[at]) for t, at in rows], axis=0)
        rows = zip(self.layers, choice, strict=True)
        bits = np.sum([(t.payload_bits[at], t.stream_bits[at]) for t, at in rows], axis=0)
        return ChoiceCost(
            payload=int(bits[0]),
            stream=int(bits[1]),
            rom=int(self._bits(words)),
            blocks=int(self._blocks(words[:, None])[0]),
            cycles=float(cycles) + 1,
            energy=float(energy) * 1e-6 / self.batch,
        )

    def marginal(self, choice: Sequence[int], layer: int) -> dict[str, Numbers]:
        """Return the costs of the network with each option of one layer, the others as chosen.

        Parameters
        ----------
        choice : sequence of int
            Index of the option of each layer.
        layer : int
            Index of the layer whose options are tried.

        Returns
        -------
        dict of str to ndarray, shape (options,)
            All costs by name, exactly as `cost` has them.
        """
        table, at = self.layers[layer], choice[layer]
        total = np.sum([self._words[i][:, j] for i, j in enumerate(choice)], axis=0)
        words = (total - self._words[layer][:, at])[:, None] + self._words[layer]
        base = self.cost(choice)
        return {
            "payload": base.payload - table.payload_bits[at] + table.payload_bits,
            "stream": base.stream - table.stream_bits[at] + table.stream_bits,
            "rom": self._bits(words),
            "blocks": self._blocks(words),
            "cycles": base.cycles - table.cycles[at] + table.cycles,
            "energy": base.energy + (table.energy_pj - table.energy_pj[at]) * 1e-6 / self.batch,
        }

    def costs(self, layer: int, basis: str) -> Numbers:
        """Return the cost on a basis that each option of a layer adds, shape (options,).

        Parameters
        ----------
        layer : int
            Index of the layer.
        basis : str
            One of `sqhw.cost_models.budget.LIMITS`; ``blocks`` count as the bits that they hold.

        Raises
        ------
        SqhwError
            If the basis is unknown.
        """
        table = self.layers[layer]
        if basis in ("rom", "blocks"):
            bits: Numbers = self._words[layer].T @ self.widths
            return bits
        if basis == "payload":
            return table.payload_bits
        if basis == "stream":
            return table.stream_bits
        if basis == "cycles":
            return table.cycles
        if basis == "energy":
            return np.asarray(table.energy_pj * 1e-6 / self.batch)
        raise unknown_name("cost", basis, LIMITS)

    def words_of(self, layer: int) -> Ints:
        """Return the words of weight, parameter and codebook ROM, shape (3, options)."""
        return self._words[layer]

    @property
    def widths(self) -> Ints:
        """Width of a word of each of the three ROMs, shape (3,) (unit: bit)."""
        return np.array([rom_widths(self.engine)[name] for name in ROMS])

    @cached_property
    def _words(self) -> list[Ints]:
        return [
            np.stack((t.weight_words, t.param_words, t.stored.codebook_words)) for t in self.layers
        ]

    def _bits(self, words: Ints) -> Ints:
        bits: Ints = np.maximum(words, 1).T @ self.widths
        return bits

    def _blocks(self, words: Ints) -> Ints:
        """Return the blocks of the three ROMs, shape (options,)."""
        total = np.zeros(words.shape[1], dtype=np.int64)
        for name, depths in zip(ROMS, np.maximum(words, 1), strict=True):
            unique, back = np.unique(depths, return_inverse=True)
            total += self._rising(name, unique)[back]
        return total

    def _rising(self, name: str, depths: Ints) -> Ints:
        """Return the blocks of a ROM of rising depths; each number of blocks is sought once.

        Synthesis may give up a memory that would fill a block badly. A deeper ROM then takes fewer
        blocks, but only beyond a multiple of a block's depth, never between two of these.
        """
        blocks = np.zeros(len(depths), dtype=np.int64)

        def at(index: int) -> int:
            return rom_blocks(name, int(depths[index]), self.engine, self.device)

        step = min(depth for depth, _ in self.device.bram.modes)
        ends = np.flatnonzero(np.diff((depths - 1) // step, append=-1))
        starts = np.concatenate(([0], ends[:-1] + 1))
        spans = [
            (low, high, at(low), at(high))
            for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        while spans:
            low, high, first, last = spans.pop()
            if first == last or high - low < 2:
                blocks[low : high + 1] = first
                blocks[high] = last
                continue
            middle = (low + high) // 2
            between = at(middle)
            spans += [(low, middle, first, between), (middle, high, between, last)]
        return blocks


def network_table(
    network: Graph[GraphConv],
    engine: EngineConfig,
    device: Device,
    prices: EnergyPrices,
    nonzeros: Mapping[str, Ints],
    bits: Sequence[int] | Mapping[str, Sequence[int]] = BITS,
) -> NetworkTable:
    """Return the expected costs of all layers of a network in a run of one image.

    The weights lie at random places, whatever the network's own are.

    Parameters
    ----------
    network : Graph
    engine : EngineConfig
    device : Device
    prices : EnergyPrices
    nonzeros : mapping of str to ndarray of int64, shape (counts,)
        Numbers of non-zeros to try, for each layer with a weight stream.
    bits : sequence of int, 1 to 8, or mapping of str to such
        Code widths to try, for all layers or each with a weight stream.

    Raises
    ------
    SqhwError
        If the network does not fit the engine's activation memory.
    """
    tables = []
    for shape in layer_shapes(network, engine):
        weights = None
        if not isinstance(shape.layer, MaxPool) and has_stream(shape):
            widths = bits[shape.name] if isinstance(bits, Mapping) else bits
            weights = random_weights(shape.layer, nonzeros[shape.name], widths)
        tables.append(layer_table(shape, engine, prices, weights))
    return NetworkTable(tuple(tables), engine, device)


def nonzero_grid(weights: int, counts: int = 64) -> Ints:
    """Return numbers of non-zeros from 1 to `weights`, evenly on a logarithmic scale.

    Parameters
    ----------
    weights : int
        Weights of the layer.
    counts : int, 2 or more
        Largest number of results; there are fewer if rounding makes some of them equal.
    """
    return np.unique(np.round(np.geomspace(1, weights, counts)).astype(np.int64))
