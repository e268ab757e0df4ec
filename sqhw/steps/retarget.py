"""`sqhw retarget`: a compressed network for the engine of another device."""

from sqhw.atomic import make_folder
from sqhw.compiler.program import compile_network
from sqhw.compiler.retarget import retargeted
from sqhw.cost_models.device import find_device
from sqhw.cost_models.schedule import schedule
from sqhw.network.quantized_file import load_network, save_network
from sqhw.report.results import RetargetResult
from sqhw.steps.network_size import network_size
from sqhw.steps.options import RetargetOptions


def retarget(options: RetargetOptions) -> RetargetResult:
    """Write a quantized network with the engine of another device; its integers stay.

    Raises
    ------
    SqhwError
        If the device has no room for the feature maps, or the network does not run on the engine.
    """
    network, device = load_network(options.network), find_device(options.device)
    network = retargeted(
        network,
        device,
        max_batch=options.max_batch,
        bank_ram=options.bank_ram,
        quotient_ones=options.quotient_ones,
    )
    engine = network.facts.engine
    compile_network(network, engine)
    make_folder(options.out.parent)
    save_network(network, options.out)
    return {
        "file": str(options.out),
        "engine": engine.to_dict(),
        "cycles": schedule(network, engine).cycles,
        **network_size(network, engine, device),
    }
