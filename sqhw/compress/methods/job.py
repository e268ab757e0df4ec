"""Input of every compression method."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from sqhw.compress.training.samples import Progress, silent
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """A trained network to compress, with its data, its target and the options of a run.

    Parameters
    ----------
    network : FloatNetwork
        Trained network, which is not changed.
    data : Dataset
        Data whose training split is trained on and whose validation split chooses the epoch. The
        test split is not read.
    engine : EngineConfig
    device : Device
        Device whose block RAM gives the sizes on the basis ``blocks``.
    progress : callable
        Function that is called with (stage, done, total, detail).
    resume : Path, optional
        Checkpoint file. A run continues from it if it exists, and writes it after every epoch. An
        interrupted and resumed run returns the same as an uninterrupted one. Methods that do not
        train ignore it.
    accelerator : str
        Torch device, ``cpu`` or ``cuda``. Calibration and budgets are computed on the CPU.
    """

    network: FloatNetwork
    data: Dataset
    engine: EngineConfig
    device: Device
    _: KW_ONLY
    progress: Progress = silent
    resume: Path | None = None
    accelerator: str = "cpu"
