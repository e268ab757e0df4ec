"""Options of the steps from a quantized network to verified RTL, and to files of other programs."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.machine.naming import DEFAULT_NAME
from sqhw.steps.options.defaults import (
    DATA,
    EXPORT_FOLDER,
    RTL_FOLDER,
    RTL_IMAGES,
    WORK_FOLDER,
)


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """Options of `sqhw.steps.simulate.simulate`.

    Parameters
    ----------
    network : Path, optional
        Quantized network; not needed with `rom`.
    data : str
        Data set whose test images are run.
    image_size : str, optional
        See `TrainOptions`.
    float_network : Path, optional
        Float network, for its accuracy.
    rom : Path, optional
        Folder with ROM images, which are decoded and run. With `network` too they must be its own.
    trace : bool
        Whether the values inside the network are counted.
    clock : float, positive
        Clock at which the trace gives the engine's speed (unit: MHz).
    compare : int, optional
        Largest number of images whose logits are compared with PyTorch, 0 for none; by default as
        many as take PyTorch seconds.
    """

    network: Path | None = None
    data: str = DATA
    image_size: str | None = None
    float_network: Path | None = None
    rom: Path | None = None
    trace: bool = False
    clock: float = 100.0
    compare: int | None = None


@dataclass(frozen=True, kw_only=True)
class RomOptions:
    """Options of `sqhw.steps.rom.rom`.

    Parameters
    ----------
    network : Path
        Quantized network.
    out : Path
        Folder to write to.
    batch : int, power of two
        Images of a run.
    device : str, optional
        Device whose block RAMs the pieces of the ROMs suit; by default that of the network.
    rtl : Path, optional
        Folder with Verilog. The images get the pieces and the name that it has.
    name : str, optional
        Prefix of the file names; by default that of the Verilog, or none.
    format : str, optional
        Formats with commas, see `sqhw.names.ROM_FORMATS`; ``native`` is that of the device's
        vendor. By default that of Verilog, and with `width` or `depth` the native one.
    rom : str, optional
        ROMs with commas; by default all.
    whole : bool
        Whether ROMs are not cut into pieces.
    width, depth : int, 1 or more, optional
        Geometry of a memory of one's own (units: bit, word), into which each ROM is packed anew.
    byte_order : {"little", "big"}
        Order of the bytes of a word in ``bin``, ``ihex`` and ``srec``.
    mmi : str, optional
        File with the memories of a design, for ``updatemem``; ``FILE.mmi:INSTANCE`` is one of them.
    """

    network: Path
    out: Path = RTL_FOLDER
    batch: int = 1
    device: str | None = None
    rtl: Path | None = None
    name: str | None = None
    format: str | None = None
    rom: str | None = None
    whole: bool = False
    width: int | None = None
    depth: int | None = None
    byte_order: str = "little"
    mmi: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `sqhw.steps.export.export`.

    Parameters
    ----------
    network : Path
        Quantized network.
    out : Path
        Folder to write to. Names of files begin with that of the network's file.
    format : str
        Formats with commas, see `sqhw.names.EXPORT_FORMATS`.
    """

    network: Path
    out: Path = EXPORT_FOLDER
    format: str = "c"


@dataclass(frozen=True, kw_only=True)
class RtlOptions:
    """Options of `sqhw.steps.rtl.rtl`.

    Parameters
    ----------
    network : Path
        Quantized network.
    out : Path, optional
        Folder to write to; by default `RTL_FOLDER`, with `bench` none.
    interface : {"plain", "axi"}
    device : str, optional
        Device whose block RAMs the pieces of the ROMs suit; by default that of the network.
    name : str
        Prefix of the names of modules and files.
    bench : Path, optional
        Folder for a bench with all that it needs, which checks the engine without sqhw.
    cores : int, 1 to 16, optional
        Cores that take the frames of one stream in turn; by default those of the network's engine,
        one unless its file says otherwise.
    """

    network: Path
    out: Path | None = None
    interface: str = "plain"
    device: str | None = None
    name: str = DEFAULT_NAME
    bench: Path | None = None
    cores: int | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Options of `sqhw.steps.verify.verify`.

    Parameters
    ----------
    network : Path
        Quantized network.
    data : str
        Data set whose test images are run.
    image_size : str, optional
        See `TrainOptions`.
    rtl : Path
        Folder with Verilog and ROM images.
    work : Path
        Folder for the simulator's files.
    simulator : {"verilator", "icarus", "cxxrtl"}
    images : int, 1 or more
        Test images that are run.
    seed : int, 0 to 2^64 - 1
        Seed of pauses and noise.
    jobs : int, 1 or more
        Number of processes of ``cxxrtl``; the other simulators run in one.
    """

    network: Path
    data: str = DATA
    image_size: str | None = None
    rtl: Path = RTL_FOLDER
    work: Path = WORK_FOLDER
    simulator: str = "verilator"
    images: int = RTL_IMAGES
    seed: int = 0
    jobs: int = 1
