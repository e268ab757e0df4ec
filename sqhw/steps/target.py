"""The device, the engine and the budget that a network is compressed for."""

from sqhw.compiler.accumulator import check_acc_bits, proposed_acc_bits
from sqhw.compiler.device_engine import activation_blocks, engine_for, weight_blocks
from sqhw.cost_models.budget import Budget, Budgets
from sqhw.cost_models.device import Device, find_device
from sqhw.errors import SqhwError
from sqhw.frontends.zoo import zoo_topology
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.input_stage import with_input_stage

#: Widest code that the compressor chooses from (unit: bit).
COMPRESSED_BITS = 5


def target(
    network: FloatNetwork,
    device_name: str,
    budget_text: str | None,
    *,
    max_batch: int = 1,
    acc_bits: int | None = None,
    bank_ram: str | None = None,
    quotient_ones: int = 0,
) -> tuple[Device, EngineConfig, Budgets]:
    """Return the device, the engine for a network on it, and the budget.

    Without `acc_bits` the accumulators have the width that codes of 5 bits need, 24 bits or more.

    Raises
    ------
    SqhwError
        If the device is unknown or too small, the budget exceeds it, or no engine has accumulators
        of `acc_bits`.
    """
    device = find_device(device_name)
    check_acc_bits(acc_bits)
    engine = engine_for(
        device,
        with_input_stage(network),
        max_batch=max_batch,
        acc_bits=acc_bits or proposed_acc_bits(network, bits=COMPRESSED_BITS),
        bank_ram=bank_ram,
        quotient_ones=quotient_ones,
    )
    available = weight_blocks(engine, device)
    given = () if budget_text is None else Budgets.parse(budget_text).items
    blocks = [item for item in given if item.basis == "blocks"]
    # The weights must fit the block RAM under every budget.
    budget = Budgets(given if blocks else (*given, Budget("blocks", available)))
    if any(item.limit > available for item in blocks):
        raise SqhwError(
            f"budget {budget} exceeds the {available} block RAMs of {device.name} that its "
            f"{activation_blocks(engine, device)} activation banks leave of {device.brams}"
        )
    return device, engine, budget


def check_target(network: str, classes: int, device: str, budget: str | None) -> None:
    """Check, before anything is trained, that device and budget suit a network of the zoo.

    Raises
    ------
    SqhwError
        As `target` does, or if the zoo has no such network.
    """
    target(zoo_topology(network, classes), device, budget, acc_bits=EngineConfig.acc_bits)
