"""Options of the step that damages memories."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.steps.options.defaults import DATA

#: Upset rates at which the accuracy is measured by default.
RATES = "1e-6,1e-5,1e-4,1e-3"


@dataclass(frozen=True, kw_only=True)
class FaultsOptions:
    """Options of `sqhw.steps.faults.faults`.

    Parameters
    ----------
    network : Path
        Quantized network.
    data : str
        Data set whose test images are run.
    image_size : str, optional
        See `TrainOptions`.
    images : int, 1 or more
        Test images that are run for each injection, from the first one on.
    injections : int, 0 or more
        Single flips of ROM bits, shared out evenly over the fields of all layers.
    rates : str
        Upset rates, the share of the bits that flip, with commas; each above 0 and at most 1.
    trials : int, 0 or more
        Damaged memories at each rate.
    rom : str, optional
        ROMs with commas, which are damaged; by default all.
    activations : int, 0 or more
        Flips in feature maps for each map and image.
    protection : {"none", "parity", "secded"}
        Check bits of ROM words that are assumed; upset rates are then run with them as well.
    flip : list of str, optional
        Bits that flip together, each as ``ROM:WORD:BIT``, instead of all else.
    top : int, 0 or more
        Most critical bits that are listed.
    threads : int, 1 or more
    seed : int, 0 to 2^64 - 1
        Seed of all flips.
    plot : Path, optional
        File for a picture of the result.
    """

    network: Path
    data: str = DATA
    image_size: str | None = None
    images: int = 200
    injections: int = 1000
    rates: str = RATES
    trials: int = 50
    rom: str | None = None
    activations: int = 4
    protection: str = "none"
    flip: list[str] | None = None
    top: int = 20
    threads: int = 1
    seed: int = 0
    plot: Path | None = None
