"""One-shot pruning and quantization as the start of the joint compressor."""

from dataclasses import replace

from sqhw.compress.choice.target import Target
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.joint_settings import CompressSettings
from sqhw.compress.methods.oneshot import OneshotConfig, oneshot_network
from sqhw.compress.qat.integers import held_gain_bits
from sqhw.compress.training.options import Recipe
from sqhw.cost_models.budget import BASES, Budget, Budgets
from sqhw.network.floats import FloatNetwork

#: Work up to which one-shot pruning is chosen, rows times the cubed weights of one over all layers:
#: it then takes a minute or two.
MAX_ONESHOT_WORK = 1e11


def at_once(network: FloatNetwork, target: Target, pruning: str) -> bool:
    """Return whether a network is pruned without training: by default where that is quick.

    Parameters
    ----------
    network : FloatNetwork
    target : Target
        One-shot pruning knows sizes; cycles and energy it only checks.
    pruning : str
        See `CompressSettings`.
    """
    if pruning != "auto":
        return pruning == "oneshot"
    work = sum(
        len(layer.weight) * (layer.weight.size / len(layer.weight)) ** 3
        for layer in network.convs
        if layer.trained
    )
    return work <= MAX_ONESHOT_WORK and set(target.limits) <= set(BASES)


def cut_at_once(job: Job, budget: Budget | Budgets, settings: CompressSettings) -> FloatNetwork:
    """Return a network that the method ``oneshot`` cuts down to a budget, on the CPU.

    Parameters
    ----------
    job : Job
    budget : Budget or Budgets
    settings : CompressSettings
        Bits of a bias and of a gain, seed of the choice of images, and threads.

    Returns
    -------
    FloatNetwork
        Its weights are 0 or on codebooks, in real units.

    Raises
    ------
    SqhwError
        If a budget is infeasible.
    """
    recipe = Recipe(epochs=0, seed=settings.seed, threads=settings.threads)
    config = OneshotConfig(recipe, str(Budgets.of(budget)), bias_bits=settings.bias_bits)
    gain_bits = held_gain_bits(settings.gain_bits, job.engine)
    return oneshot_network(replace(job, accelerator="cpu"), config, gain_bits=gain_bits)
