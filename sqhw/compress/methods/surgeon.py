"""One-shot pruning and quantization as the start of the joint compressor."""

from sqhw.budget import Budgets
from sqhw.compress.float_network import FloatNetwork
from sqhw.compress.methods.oneshot import OneshotConfig, oneshot_network
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.samples import Progress
from sqhw.compress.target import Target
from sqhw.data import Dataset


def cut_at_once(
    network: FloatNetwork,
    data: Dataset,
    target: Target,
    bias_bits: int,
    seed: int,
    progress: Progress,
) -> FloatNetwork:
    """Return a network that the method ``oneshot`` cuts down to a budget.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    target : Target
    bias_bits : int, 4 to 16
        Width of a bias at most.
    seed : int
        Of the choice of images.
    progress : callable

    Returns
    -------
    FloatNetwork
        Its weights are 0 or on codebooks, in real units.

    Raises
    ------
    SqhwError
        If a budget is infeasible.
    """
    budget = str(Budgets.of(target.budget))
    config = OneshotConfig(Recipe(epochs=0, seed=seed), budget, bias_bits=bias_bits)
    return oneshot_network(network, data, config, target.engine, target.device, progress)
