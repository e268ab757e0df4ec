"""One-shot pruning and quantization as the start of the joint compressor."""

from dataclasses import dataclass

from sqhw.budget import Budgets
from sqhw.compress.float_network import FloatNetwork
from sqhw.compress.methods.oneshot import OneshotConfig, oneshot_curve
from sqhw.compress.methods.recipe import Recipe
from sqhw.compress.samples import Progress
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.engine import EngineConfig


@dataclass(frozen=True, eq=False)
class OneshotSurgeon:
    """Cuts a network down to a budget by the method ``oneshot``.

    Parameters
    ----------
    data : Dataset
    engine : EngineConfig
    device : Device
    seed : int
    """

    data: Dataset
    engine: EngineConfig
    device: Device
    seed: int

    def __call__(self, network: FloatNetwork, budgets: Budgets, progress: Progress) -> FloatNetwork:
        """Return the network with weights that are 0 or on codebooks, in real units.

        Parameters
        ----------
        network : FloatNetwork
        budgets : Budgets
        progress : callable

        Raises
        ------
        SqhwError
            If a budget is infeasible.
        """
        config = OneshotConfig(Recipe(epochs=0, seed=self.seed), str(budgets))
        curve = oneshot_curve(network, self.data, [config], self.engine, self.device, progress)
        return next(curve).network
