"""The budget as the compressor sees it: the exact cost of a network, and what it may be."""

from dataclasses import dataclass

from sqhw.budget import Budget
from sqhw.cost_models.device import Device
from sqhw.cost_models.rom import rom_cost
from sqhw.engine import EngineConfig
from sqhw.network import QuantizedNetwork

IMPOSSIBLE = 1 << 62


@dataclass(frozen=True)
class Target:
    """A budget on an engine and a device.

    Parameters
    ----------
    budget : Budget
    engine : EngineConfig
    device : Device
    """

    budget: Budget
    engine: EngineConfig
    device: Device

    def size(self, network: QuantizedNetwork) -> int:
        """Return the exact size on the budget's basis; huge if the engine cannot address it."""
        cost = rom_cost(network, self.engine)
        limits = {
            "weights": self.engine.weight_addr_bits,
            "params": self.engine.param_addr_bits,
            "codebook": self.engine.codebook_addr_bits,
        }
        for name, depth, _ in cost.memories:
            if depth > 1 << limits[name]:
                return IMPOSSIBLE
        return cost.size(self.budget.basis, self.device)

    def admits(self, size: int) -> bool:
        """Return whether a network of that size meets the budget."""
        return size <= self.budget.limit
