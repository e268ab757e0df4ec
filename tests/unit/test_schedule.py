"""What the cycles of a layer are spent on. That the cycles are the RTL's is shown in tests/hdl."""

import pytest
from hypothesis import given
from strategies import networks, reads_with_one_stride

from sqhw.cost_models.layer_use import BOUNDS, layer_use
from sqhw.cost_models.schedule import schedule
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import fetch_cycles

ENGINES = {
    "small": EngineConfig(lanes=8, bank_depth=4096, groups=True, residuals=True),
    "deep": EngineConfig(
        lanes=16, bank_depth=4096, requantizers=4, max_batch=4, groups=True, residuals=True
    ),
    "slow to write": EngineConfig(lanes=32, bank_depth=4096, groups=True, residuals=True),
}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@given(network=networks().filter(reads_with_one_stride))
def test_every_cycle_is_spent_on_something(engine, network):
    for batch in {1, engine.max_batch}:
        plan = schedule(network, engine, batch)
        uses = layer_use(network, engine, batch)
        for layer, use in zip(plan.layers, uses, strict=True):
            assert (use.name, use.cycles, use.work) == (layer.name, layer.cycles, layer.bound)
            assert tuple(use.spent) == BOUNDS
            assert sum(use.spent.values()) == use.cycles
            assert min(use.spent.values()) >= 0
            assert use.spent["entries"] == layer.tiles * layer.entries
            assert 0 <= use.utilisation <= 1
            assert use.spent[use.bounded_by] == max(use.spent.values())
            if engine.lanes // engine.requantizers <= fetch_cycles(engine) and batch > 1:
                assert use.spent["writes"] == 0
