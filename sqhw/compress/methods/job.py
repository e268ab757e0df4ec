"""What every method is given."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.compress.training.samples import Progress, silent
from sqhw.cost_models.device import Device
from sqhw.data import Dataset
from sqhw.machine.config import EngineConfig
from sqhw.network.floats import FloatNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """A network to compress; see `sqhw.compress.methods.compress_with`.

    Parameters
    ----------
    network : FloatNetwork
    data : Dataset
    engine : EngineConfig
    device : Device
    progress : callable
    resume : Path, optional
    accelerator : str
    """

    network: FloatNetwork
    data: Dataset
    engine: EngineConfig
    device: Device
    progress: Progress = silent
    resume: Path | None = None
    accelerator: str = "cpu"
