"""The budget as the compressor sees it: the exact costs of a network, and their limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sqhw.cost_models.activity import activity
from sqhw.cost_models.budget import BASES, Budget, Budgets
from sqhw.cost_models.device import Device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.rom import RomCost, rom_cost
from sqhw.cost_models.schedule import schedule
from sqhw.cost_models.technology import load_technology
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.graph import Graph
from sqhw.network.stored import StoredConv

#: Cost of a network that the engine cannot run: above every limit.
IMPOSSIBLE = 1 << 62


@dataclass(frozen=True)
class Target:
    """One or several budgets on an engine and a device.

    Parameters
    ----------
    budget : Budget or Budgets
    engine : EngineConfig
    device : Device
    """

    budget: Budget | Budgets
    engine: EngineConfig
    device: Device

    @property
    def limits(self) -> dict[str, float]:
        """Limit by basis."""
        return Budgets.of(self.budget).limits

    def costs(self, network: Graph[StoredConv]) -> dict[str, float]:
        """Return the exact cost on each basis, `IMPOSSIBLE` if the engine cannot address the ROMs.

        Energy is an estimate from the exact activity (`sqhw.cost_models.energy`).
        """
        rom = rom_cost(network, self.engine)
        addressable = {
            "weights": self.engine.weight_addr_bits,
            "params": self.engine.param_addr_bits,
            "codebook": self.engine.codebook_addr_bits,
        }
        if any(depth > 1 << addressable[name] for name, depth, _ in rom.memories):
            return dict.fromkeys(self.limits, IMPOSSIBLE)
        return {basis: self._cost(basis, network, rom) for basis in self.limits}

    def _cost(self, basis: str, network: Graph[StoredConv], rom: RomCost) -> float:
        if basis in BASES:
            return rom.size(basis, self.device)
        if basis == "cycles":
            return schedule(network, self.engine).cycles
        depths = {name: depth for name, depth, _ in rom.memories}
        prices = EnergyPrices(load_technology(), self.engine, depths)
        return float(prices.run(activity(network, self.engine)).total) * 1e-6

    def admits(self, costs: Mapping[str, float]) -> bool:
        """Return whether a network of these costs meets the budget."""
        return self.excess(costs) <= 1

    def excess(self, costs: Mapping[str, float]) -> float:
        """Return the largest ratio of a cost to its limit."""
        limits = self.limits
        return max(cost / limits[basis] for basis, cost in costs.items())

    def refusal(self, network: str, least: Mapping[str, float]) -> SqhwError:
        """Return the error of a budget that is too small; it says which budget would be enough.

        Parameters
        ----------
        network : str
            Name of the network.
        least : mapping of str to float
            Costs of the smallest network.
        """
        limits = self.limits
        if IMPOSSIBLE in least.values():
            return SqhwError(
                f"network {network!r}: even the smallest needs more words of ROM than the engine "
                f"addresses (weight_addr_bits {self.engine.weight_addr_bits}, param_addr_bits "
                f"{self.engine.param_addr_bits}, codebook_addr_bits "
                f"{self.engine.codebook_addr_bits}); take a larger device (--device)"
            )
        lacking = [
            f"{basis}={_above(cost):.6g}" if basis == "energy" else f"{basis}={int(cost)}"
            for basis, cost in least.items()
            if cost > limits[basis]
        ]
        return SqhwError(
            f"budget {self.budget} is too small for network {network!r}; "
            f"the smallest that is sure to do is {','.join(lacking)}"
        )


def _above(value: float) -> float:
    """Return the value rounded up to five digits, so that six printed digits are not below it."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 4)
    return math.ceil(value / unit) * unit
