"""What every method is given."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from sqhw.compress.training.samples import Progress, silent
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """A trained network to compress, and how a run of it is watched and interrupted.

    Parameters
    ----------
    network : FloatNetwork
        Left as it is.
    data : Dataset
        The training split is trained on, epochs are chosen on the validation split; the test split
        is not read.
    engine : EngineConfig
    device : Device
        Its block RAM gives the sizes on the basis ``blocks``.
    progress : callable
        Called with (stage, done, total, detail).
    resume : Path, optional
        Checkpoint file: continued from if it exists, written after every epoch. An interrupted and
        resumed run returns what an uninterrupted one does. Methods that do not train
        ignore it.
    accelerator : str
        A torch device, ``cpu`` or ``cuda``. Calibration and budgets are computed on the CPU.
    """

    network: FloatNetwork
    data: Dataset
    engine: EngineConfig
    device: Device
    _: KW_ONLY
    progress: Progress = silent
    resume: Path | None = None
    accelerator: str = "cpu"
