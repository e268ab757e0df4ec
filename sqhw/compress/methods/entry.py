"""The joint compressor's entry: sparsity, bit widths and integers under exact budgets."""

from pathlib import Path

from sqhw.compress.choice.target import Target
from sqhw.compress.joint.compressor import Compression
from sqhw.compress.joint.settings import CompressSettings
from sqhw.compress.methods.surgeon import cut_at_once
from sqhw.compress.training.samples import Progress, silent
from sqhw.cost_models.budget import Budget, Budgets
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork
from sqhw.network.quantized import QuantizedNetwork


def compress(
    network: FloatNetwork,
    data: Dataset,
    *,
    engine: EngineConfig,
    device: Device,
    budget: Budget | Budgets,
    settings: CompressSettings | None = None,
    progress: Progress = silent,
    resume: Path | None = None,
    accelerator: str = "cpu",
) -> QuantizedNetwork:
    """Compress a trained network until it meets a budget.

    Parameters
    ----------
    network : FloatNetwork
        Left as it is.
    data : Dataset
        The training split is trained on, checkpoints are chosen on the validation split; the test
        split is not read.
    engine : EngineConfig
    device : Device
        Its block RAM gives the sizes on the basis ``blocks``.
    budget : Budget or Budgets
    settings : CompressSettings, optional
    progress : callable
        Called with (stage, done, total, detail).
    resume : Path, optional
        Checkpoint file: continued from if it exists, written after every epoch. On the CPU, an
        interrupted and resumed run returns what an uninterrupted one does. Another learning rate
        may go on from it.
    accelerator : str
        A torch device, ``cpu`` or ``cuda``.

    Returns
    -------
    QuantizedNetwork
        Its exact costs on the bases of the budget (`sqhw.compress.choice.target.Target.costs`) are
        within the limits.

    Raises
    ------
    SqhwError
        If the engine cannot run this topology, or no network of it meets the budget; the message
        then has the smallest that would. If the loss ceases to be finite, or the checkpoint is of
        another run.
    """
    settings = settings or CompressSettings()
    with torch_threads(settings.threads):
        target = Target(budget, engine, device)
        run = Compression(
            network, data, target, settings, cut_at_once, progress, resume, accelerator
        )
        return run.run()
