"""One-shot pruning and quantization as the start of the joint compressor."""

from sqhw.compress.choice.target import Target
from sqhw.compress.joint.settings import CompressSettings
from sqhw.compress.methods.oneshot import OneshotConfig, oneshot_network
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.qat.integers import held_gain_bits
from sqhw.compress.training.samples import Progress
from sqhw.cost_models.budget import Budgets
from sqhw.data import Dataset
from sqhw.network.floats import FloatNetwork


def cut_at_once(
    network: FloatNetwork,
    data: Dataset,
    target: Target,
    settings: CompressSettings,
    progress: Progress,
) -> FloatNetwork:
    """Return a network that the method ``oneshot`` cuts down to a budget.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    target : Target
    settings : CompressSettings
        Their bits of a bias and of a gain, seed of the choice of images and threads.
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
    recipe = Recipe(epochs=0, seed=settings.seed, threads=settings.threads)
    config = OneshotConfig(recipe, budget, bias_bits=settings.bias_bits)
    gain_bits = held_gain_bits(settings.gain_bits, target.engine)
    return oneshot_network(network, data, config, target.engine, target.device, progress, gain_bits)
