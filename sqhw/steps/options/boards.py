"""Options of the steps that put a network on a board: build, swap, host."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.machine.link import PLAIN_LINK
from sqhw.steps.options.defaults import BUILD_FOLDER, DATA, DEVICE, RTL_IMAGES


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Options of `sqhw.steps.build.build`.

    Parameters
    ----------
    network : Path
        Quantized network.
    board : str
        Board, or a board file.
    out : Path
        Folder of the build.
    clock : float, optional
        Clock above which none is tried (unit: MHz); by default the modelled one less its error.
    seed : int, 1 or more
        Seed of the placement.
    link : {"frames", "uartbone"}
        Link of the board: frames alone, or registers for LiteX clients and frames in flight too.
    """

    network: Path
    board: str = DEVICE
    out: Path = BUILD_FOLDER
    clock: float | None = None
    seed: int = 1
    link: str = PLAIN_LINK


@dataclass(frozen=True, kw_only=True)
class SwapOptions:
    """Options of `sqhw.steps.swap.swap`.

    Parameters
    ----------
    build : Path
        Folder of a build.
    network : Path
        Quantized network.
    out : Path, optional
        Bitstream to write; by default ``swapped`` with the suffix of the family, in the folder
        above the build.
    """

    build: Path
    network: Path
    out: Path | None = None


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """Options of `sqhw.steps.host.host`.

    Parameters
    ----------
    build : Path
        Folder of the build whose bitstream is loaded.
    port : str
        Serial port of the board.
    network : Path, optional
        Network that was swapped into the bitstream; by default that of the build.
    data, image_size
        Data set, as for `sqhw simulate`.
    images : int
        Test images to run.
    """

    build: Path
    port: str
    network: Path | None = None
    data: str = DATA
    image_size: str | None = None
    images: int = RTL_IMAGES
