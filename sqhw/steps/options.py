"""The options of the steps, with their defaults.

The command line is made from these classes: a field is an option, its default is the option's.
This module imports very little, so that `sqhw --help` is quick.
"""

from dataclasses import dataclass
from pathlib import Path

from sqhw.machine.naming import DEFAULT_NAME

#: Default data set, device and technology of the energies.
DATA, DEVICE, TECHNOLOGY = "digits", "iCEBreaker", "horowitz45"
#: Files and folders that steps write and later ones read.
FLOAT_FILE = Path("build/float.safetensors")
NETWORK_FILE = Path("build/network.safetensors")
RTL_FOLDER = Path("build/rtl")
WORK_FOLDER = Path("build/sim")
DEMO_FOLDER = Path("build/demo")
BUILD_FOLDER = Path("build/board")
#: Test images that are run through the RTL.
RTL_IMAGES = 20
#: Device name that stands for every device.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `sqhw.steps.train.train`.

    Parameters
    ----------
    data : str
        Data set, see `sqhw.data.load_dataset`.
    image_size : str, optional
        Height and width as ``HxW``, to which pictures of different sizes are resized.
    network : str, optional
        Network of the zoo; by default the usual one of the data set.
    input_max : int, 1 to 255, optional
        Largest number in arrays of one's own; by default 255.
    mean, std : str, optional
        Normalisation ``(pixel / input_max - mean) / std``: a number, or one a channel with commas;
        by default that of the network.
    out : Path
        Float network to write.
    epochs : int, optional
        Passes over the data; by default 40 for a small data set, 6 for a large one.
    batch, optimizer, rate, precision, threads, seed
        See `sqhw.compress.TrainSettings`.
    resume : Path, optional
        Checkpoint that is written after every epoch and continued from.
    """

    data: str = DATA
    image_size: str | None = None
    network: str | None = None
    input_max: int | None = None
    mean: str | None = None
    std: str | None = None
    out: Path = FLOAT_FILE
    epochs: int | None = None
    batch: int | None = None
    optimizer: str = "adam"
    rate: float | None = None
    precision: str = "auto"
    threads: int = 1
    seed: int = 0
    resume: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `sqhw.steps.import_network.import_network`.

    Parameters
    ----------
    network : str
        Network of the zoo, or a model's file: ONNX.
    checkpoint : Path, optional
        Weights of a network of the zoo as safetensors; by default random ones.
    out : Path
        Float network to write.
    check : bool
        Whether the network is compared with another program that runs the file.
    check_only : bool
        Whether the file is read and nothing is written.
    data : str, optional
        Data set whose test images are compared too, see `sqhw.data.load_dataset`.
    image_size : str, optional
        See `TrainOptions`.
    input_max : int, 1 to 255, optional
        Largest pixel value of a file's images; by default 255.
    mean, std : str, optional
        Normalisation ``(pixel / input_max - mean) / std`` that a file's input expects: a number, or
        one a channel with commas; by default 0 and 1.
    input_shape : str, optional
        Sizes of a file's image as ``3x32x32``, if the file leaves them open.
    output : str, optional
        Name of the output, if the file has several.
    seed : int, 0 to 2^64 - 1
        Seed of random weights.
    """

    network: str
    checkpoint: Path | None = None
    out: Path = FLOAT_FILE
    check: bool = False
    check_only: bool = False
    data: str | None = None
    image_size: str | None = None
    input_max: int | None = None
    mean: str | None = None
    std: str | None = None
    input_shape: str | None = None
    output: str | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CompressOptions:
    """Options of `sqhw.steps.compress.compress`.

    Parameters
    ----------
    source : Path
        Float network.
    data : str
        Data set that it is retrained on.
    image_size : str, optional
        See `TrainOptions`.
    device : str
        Device or board, or a device file.
    budget : str, optional
        Limits, see `sqhw.cost_models.budget.Budgets`; by default all block RAMs that the
        activation banks leave free.
    out : Path
        Quantized network to write.
    epochs, threads, precision, rate, batch, seed
        See `sqhw.compress.CompressSettings`.
    accelerator : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    resume : Path, optional
        Checkpoint to resume from if it exists; it is written anew after each epoch.
    max_batch : int, power of two
        Largest number of images of a run.
    acc_bits : int, 16 to 32, optional
        Width of the accumulators (unit: bit); by default the width that the weights need.
    """

    source: Path
    data: str = DATA
    image_size: str | None = None
    device: str = DEVICE
    budget: str | None = None
    out: Path = NETWORK_FILE
    epochs: int | None = None
    threads: int = 1
    precision: str = "auto"
    rate: float = 5e-3
    batch: int | None = None
    accelerator: str = "cpu"
    resume: Path | None = None
    max_batch: int = 1
    acc_bits: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """Options of `sqhw.steps.quantize.quantize`.

    Parameters
    ----------
    source : Path
        Float network.
    data : str
        Data set for the calibration and for the validation accuracy.
    image_size : str, optional
        See `TrainOptions`.
    device : str
        Device or board, or a device file.
    density : float, above 0, at most 1
        Largest share of its weights that a layer keeps.
    ends_density : float, above 0, at most 1, optional
        The same for the first and the last layer.
    bits : int, 1 to 8
        Width of a weight's code.
    objective : {"rom", "cycles"}
        Objective of the choice of weight streams.
    max_batch, acc_bits
        See `CompressOptions`.
    out : Path
        Quantized network to write.
    """

    source: Path
    data: str = DATA
    image_size: str | None = None
    device: str = DEVICE
    density: float = 1.0
    ends_density: float | None = None
    bits: int = 8
    objective: str = "rom"
    max_batch: int = 1
    acc_bits: int | None = None
    out: Path = NETWORK_FILE


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """Options of `sqhw.steps.simulate.simulate`.

    Parameters
    ----------
    network : Path
        Quantized network.
    data : str
        Data set whose test images are run.
    image_size : str, optional
        See `TrainOptions`.
    float_network : Path, optional
        Float network, for its accuracy.
    rom : Path, optional
        Folder with ROM images of the network, from which its numbers are decoded.
    trace : bool
        Whether the values inside the network are counted.
    """

    network: Path
    data: str = DATA
    image_size: str | None = None
    float_network: Path | None = None
    rom: Path | None = None
    trace: bool = False


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
    """

    network: Path
    out: Path | None = None
    interface: str = "plain"
    device: str | None = None
    name: str = DEFAULT_NAME
    bench: Path | None = None


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


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Options of `sqhw.steps.size.size_network`.

    Parameters
    ----------
    network : str
        File of a quantized network, of a float network, or name of a network of the zoo. The
        weights of a quantized network are its own, those of the others are assumed.
    density : float, above 0, at most 1, optional
        Assumed share of non-zero weights; by default 1.
    bits : int, 1 to 8, optional
        Assumed width of a weight's code (unit: bit); by default 8.
    layer : list of str, optional
        Density and bits of single layers, each as ``name=density:bits``.
    device : str
        A device or board, a device file, or ``all``.
    batch : int, power of two
        Images of a run.
    budget : str, optional
        Limits for the choice of formats, see `sqhw.cost_models.budget.Budgets`.
    objective : {"rom", "cycles", "energy"}
        Objective of the choice of formats.
    technology : str
        A name or a file, see `sqhw.cost_models.technology`.
    explore : bool
        Whether to search engines and return their Pareto front instead.
    acc_bits : int, 16 to 32, optional
        Width of the accumulators (unit: bit); by default the width that the weights of a file
        need, 24 or more.
    plot : Path, optional
        File for a picture of the result.
    """

    network: str
    density: float | None = None
    bits: int | None = None
    layer: list[str] | None = None
    device: str = ALL
    batch: int = 1
    budget: str | None = None
    objective: str = "rom"
    technology: str = TECHNOLOGY
    explore: bool = False
    acc_bits: int | None = None
    plot: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `sqhw.steps.report.report`.

    Parameters
    ----------
    files : list of Path
        Network files (``.safetensors``), or accounts (``.json``) as benchmarks write them.
    device : str, optional
        Device whose block RAMs are counted for network files; by default the device that each
        was compressed for.
    out : Path, optional
        File to write: as ``.html`` a page with all plots and tables, as ``.png`` or ``.svg`` the
        plots.
    """

    files: list[Path]
    device: str | None = None
    out: Path | None = None


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
    """

    network: Path
    board: str = DEVICE
    out: Path = BUILD_FOLDER
    clock: float | None = None
    seed: int = 1


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
