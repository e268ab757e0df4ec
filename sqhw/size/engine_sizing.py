"""The sizing of a network on an engine and a device, with formats that meet the budgets."""

import math
from dataclasses import dataclass, replace

import numpy as np

from sqhw.cost_models.budget import Budgets
from sqhw.cost_models.choice import choose_options
from sqhw.cost_models.device import Device
from sqhw.cost_models.energy import EnergyPrices
from sqhw.cost_models.layer_options import LayerTable, layer_table
from sqhw.cost_models.layer_shape import LayerShape, layer_shapes
from sqhw.cost_models.layer_weights import CONSTANT_BITS
from sqhw.cost_models.network_options import NetworkTable
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.size.sizing import Sizing
from sqhw.size.terms import Terms
from sqhw.size.workload import Workload

#: Largest number of choices under a limit of energy; each starts from the depths
#: of the one before.
ENERGY_STEPS = 5
#: ROM depths for which energies are compared while the formats are chosen.
TYPICAL_DEPTHS = {"weights": 1 << 14, "params": 1 << 10, "codebook": 1 << 8}


def size_on(workload: Workload, device: Device, engine: EngineConfig, terms: Terms) -> Sizing:
    """Return the sizing of a network on an engine and a device.

    Raises
    ------
    SqhwError
        If the network's maps do not fit the engine, or no formats meet the budgets.
    """
    shapes = layer_shapes(workload.network, engine, terms.batch)
    case = _Case(workload, device, engine, terms, shapes)
    budgets = terms.budgets
    # The energy of an access depends on the depths of the ROMs, which are known after the choice.
    without = None if budgets is None else budgets.without("energy")
    size = case.sized(TYPICAL_DEPTHS, without)
    most = math.inf if budgets is None else budgets.limits.get("energy", math.inf)
    if budgets is None or size.energy.total * 1e-6 <= most:
        return size
    limit = most
    for attempt in range(ENERGY_STEPS):
        try:
            size = case.sized(size.depths, budgets.at("energy", limit))
        except SqhwError:
            if attempt == 0:
                raise
            break
        if size.energy.total * 1e-6 <= most:
            return size
        limit *= most / (size.energy.total * 1e-6)
    least = math.ceil(size.energy.total * 1e-3) / 1e3
    raise SqhwError(f"budget {budgets} is too small: the least energy found is energy={least:g}")


@dataclass(frozen=True, eq=False)
class _Case:
    """A network on an engine of a device, whose formats are still to be chosen."""

    workload: Workload
    device: Device
    engine: EngineConfig
    terms: Terms
    shapes: tuple[LayerShape, ...]

    def sized(self, depths: dict[str, int], budgets: Budgets | None) -> Sizing:
        """Return the sizing with formats chosen at the energies of ROMs of these depths."""
        batch = self.terms.batch
        prices = EnergyPrices(self.terms.technology, self.engine, depths)
        tables = self._tables(prices)
        whole = NetworkTable(tuple(tables), self.engine, self.device, batch)
        chosen = choose_options(whole, budgets, objective=self.terms.objective)
        kept = tuple(t.only(np.array([at])) for t, at in zip(tables, chosen, strict=True))
        size = Sizing(
            self.workload,
            self.device,
            self.engine,
            batch,
            NetworkTable(kept, self.engine, self.device, batch),
            self.shapes,
            prices,
        )
        return _priced(size, EnergyPrices(self.terms.technology, self.engine, size.depths))

    def _tables(self, prices: EnergyPrices) -> list[LayerTable]:
        """Return the options of every layer, those in the formats of the terms if it has any."""
        formats = self.terms.formats or {}
        tables = []
        for shape in self.shapes:
            table = layer_table(
                shape,
                self.engine,
                prices,
                self.workload.weights.get(shape.name),
                self.workload.constant_bits.get(shape.name, CONSTANT_BITS),
            )
            if shape.name in formats:
                table = table.only(table.stored.has_format(formats[shape.name]))
            tables.append(table)
        return tables


def _priced(size: Sizing, prices: EnergyPrices) -> Sizing:
    """Return the sizing with the energies of ROMs of their real depths."""
    layers = tuple(
        replace(layer, energy_pj=np.asarray(prices.layer(layer.done).total))
        for layer in size.table.layers
    )
    return replace(size, table=replace(size.table, layers=layers), prices=prices)
