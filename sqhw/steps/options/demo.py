"""Options of all steps in a row."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.steps.options.defaults import DATA, DEMO_FOLDER, DEVICE, RTL_IMAGES


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Options of `sqhw.cli.demo.run_demo`.

    Parameters
    ----------
    out : Path
        Folder to write to.
    data, device, budget, seed
        See `CompressOptions`.
    image_size, network
        See `TrainOptions`.
    images : int, 1 or more
        Test images that Verilator runs.
    """

    out: Path = DEMO_FOLDER
    data: str = DATA
    image_size: str | None = None
    network: str | None = None
    device: str = DEVICE
    budget: str | None = None
    images: int = RTL_IMAGES
    seed: int = 0
