"""The help text and the check of each option of the steps.

Names, types and defaults are those of the fields in `sqhw.steps.options`.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.models import ParameterInfo

from sqhw.cli import checks
from sqhw.machine.config import MAX_CORES, MAX_ONES
from sqhw.machine.link import LINKS
from sqhw.machine.naming import TOPS
from sqhw.names import (
    ACCELERATORS,
    BANK_RAMS,
    BYTE_ORDERS,
    CLUSTERS,
    LEAST_ACC_BITS,
    MAX_MEMORY_DEPTH,
    MAX_MEMORY_WIDTH,
    MOST_ACC_BITS,
    NATIVE_FORMAT,
    OBJECTIVES,
    OPTIMIZERS,
    PRECISIONS,
    ROM_FORMATS,
    SIMULATORS,
    SIZE_OBJECTIVES,
)
from sqhw.seeds import MAX_SEED
from sqhw.steps.options import (
    BuildOptions,
    CompressOptions,
    DemoOptions,
    ExportOptions,
    FaultsOptions,
    HostOptions,
    ImportOptions,
    QuantizeOptions,
    ReportOptions,
    RetargetOptions,
    RomOptions,
    RtlOptions,
    SimulateOptions,
    SizeOptions,
    SwapOptions,
    SweepOptions,
    TrainOptions,
    VerifyOptions,
)

#: Largest number of passes over the data, and of images of a step: far above any training.
MOST_EPOCHS, MOST_IMAGES = 100_000, 65_536
#: Largest value of a pixel of 8 bits.
LARGEST_PIXEL = 255
#: Widest code of a weight (unit: bit).
MOST_BITS = 8
#: Clocks of a design (unit: MHz), and the largest seed that the tools take.
LEAST_CLOCK_MHZ, MOST_CLOCK_MHZ = 0.1, 1000
#: Most images that an option may name.
MOST_IMAGES = 10**9
#: Most injections that an option may name.
MOST_INJECTIONS = 10**7
MAX_SEED_OF_TOOLS = (1 << 31) - 1
#: Seconds that a scheduler gets to answer.
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.1, 3600

Check = Callable[[Any], Any]


def _file(text: str, *names: str, check: Check | None = None) -> Any:
    """Return an option that is a path; the check explains an unreadable one better than Typer."""
    return typer.Option(*names, help=text, callback=check, readable=False)


def _source(text: str, check: Check = checks.check_source) -> Any:
    """Return an argument that is a file to read."""
    return typer.Argument(help=text, callback=check, readable=False)


def _file_argument(text: str) -> Any:
    """Return an argument that is a folder to read."""
    return typer.Argument(help=text, readable=False)


def _seed(text: str) -> Any:
    return typer.Option(help=text, min=0, max=MAX_SEED)


DATA = typer.Option(
    help="Data set: digits, mnist:DIR (IDX files), cifar10:DIR (binary files), or your own: "
    "folder:DIR (pictures in class folders), npz:FILE (arrays).",
    callback=checks.check_data,
)
IMAGE_SIZE = typer.Option(
    help="HxW, to which pictures of different sizes are resized (folder:DIR); the size that the "
    "network takes.",
    callback=checks.check_image_size,
)
ZOO_NETWORK = typer.Option(
    help="A network of the zoo; by default what suits the data, if they are not your own."
)
DEVICE = typer.Option(
    help="Device or board, see `sqhw devices`, or a device file of your own.",
    callback=checks.check_device,
)
ROM_DEVICE = typer.Option(
    help="Device or board: the ROMs are cut into pieces that suit its block RAMs. "
    "By default the one that the network was compressed for.",
    callback=checks.check_device,
)
BUDGET = typer.Option(
    help="basis=limit, several with commas: blocks (block RAMs of the ROMs, not of the feature "
    "maps); payload, stream or rom in bits; cycles a run; energy (uJ) an image. By default all "
    "block RAMs that the feature maps leave.",
    callback=checks.check_budget,
)
SEED = _seed("The same seed gives the same bytes.")
OUT = _file("File to write.")
FOLDER = _file("Folder to write to.")
SOURCE = _source("Float network, from `sqhw train` or `sqhw import`.")
NETWORK = _source("Quantized network, from `sqhw compress`.")
BATCH = typer.Option(help="Images of a step, 64, of large sets 256.", min=1, max=MOST_IMAGES)
CORES = typer.Option(
    help="Copies of the engine that take the frames of one stream in turn. By default those of the "
    "network's engine, mostly 1.",
    min=1,
    max=MAX_CORES,
)
THREADS = typer.Option(
    help="Cores; with another number, other last digits.", callback=checks.check_threads
)
PRECISION = typer.Option(
    help="Arithmetic of the training: float32, bf16, or auto, which is bf16 for large "
    "sets where that is measured to be faster.",
    callback=checks.check_name("precision", PRECISIONS),
)
RESUME = _file("Checkpoint, written after each epoch; a stopped run resumes from it.")
MAX_BATCH = typer.Option(
    help="Largest number of images of a run; several images fill small feature maps.",
    callback=checks.check_power_of_two,
)
QUOTIENT_ONES = typer.Option(
    help="Most ones of a quotient in Golomb-Rice streams, whose decoder the engine gets; 0 leaves "
    "it out.",
    min=0,
    max=MAX_ONES,
)
ACC_BITS = typer.Option(
    help="Width of the accumulators. By default as many as the weights need, 24 to 32: with "
    "fewer, layers of long sums have coarser weights; each bit takes some LUTs and flip-flops "
    "of every lane.",
    min=LEAST_ACC_BITS,
    max=MOST_ACC_BITS,
)
BANK_RAM = typer.Option(
    help="RAM of the feature maps: block, or single-port (the large RAM of iCE40 UltraPlus), which "
    "leaves the block RAMs to the weights and is not read while it is written. By default block, "
    "unless that leaves none.",
    callback=checks.check_optional_name("value of --bank-ram", BANK_RAMS),
)

#: The options of each command, by the class and the name of its field.
OPTIONS: dict[type, dict[str, ParameterInfo]] = {
    TrainOptions: {
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "network": ZOO_NETWORK,
        "input_max": typer.Option(
            help="Largest number in your own arrays (npz:FILE).  [default: 255]",
            min=1,
            max=LARGEST_PIXEL,
        ),
        "mean": typer.Option(
            help="Mean of pixel / input_max: a number, or one a channel with commas. By default "
            "that of the network.",
            callback=checks.check_values,
        ),
        "std": typer.Option(
            help="Standard deviation of pixel / input_max, as the mean.",
            callback=checks.check_values,
        ),
        "out": OUT,
        "epochs": typer.Option(
            help="Passes over the data: 40, of large sets 6.", min=1, max=MOST_EPOCHS
        ),
        "batch": BATCH,
        "optimizer": typer.Option(
            help="adam, or sgd, with Nesterov's momentum, for large networks.",
            callback=checks.check_name("optimizer", OPTIMIZERS),
        ),
        "rate": typer.Option(
            help="Peak learning rate: 0.002, of sgd 0.1.", callback=checks.check_share
        ),
        "precision": PRECISION,
        "threads": THREADS,
        "seed": SEED,
        "resume": RESUME,
    },
    ImportOptions: {
        "network": typer.Argument(
            help="A model's file (.onnx, .tflite, .pt2), or a network of the zoo, for example "
            "resnet20; or python:FILE:CALLABLE, which runs that Python file: its callable returns "
            "a PyTorch module."
        ),
        "checkpoint": _file(
            "Weights of a network of the zoo as safetensors; random ones without.",
            check=checks.check_source,
        ),
        "out": OUT,
        "check": typer.Option(
            "--check",
            help="Compare with another program on random images: ONNX Runtime, onnx or LiteRT.",
        ),
        "check_only": typer.Option(
            "--check-only", help="Name every operator that cannot be imported; write nothing."
        ),
        "data": typer.Option(
            help="Data set whose test images are compared too, as in other commands.",
            callback=checks.check_optional_data,
        ),
        "image_size": IMAGE_SIZE,
        "input_max": typer.Option(
            help="Largest pixel value of a file's images.  [default: 255]",
            min=1,
            max=LARGEST_PIXEL,
        ),
        "mean": typer.Option(
            help="A file is fed (pixel / input_max - mean) / std: a number, or one a channel with "
            "commas.  [default: 0]",
            callback=checks.check_values,
        ),
        "std": typer.Option(help="As the mean.  [default: 1]", callback=checks.check_values),
        "input_shape": typer.Option(
            help="Sizes of a file's image as 3x32x32, if the file leaves them open.",
            callback=checks.check_shape,
        ),
        "output": typer.Option(help="Name of the output, if a file has several."),
        "floats": typer.Option(
            "--floats",
            help="Make a float network of a quantized model, to compress or quantize it further.",
        ),
        "device": typer.Option(
            help="Device or board whose engine a quantized model gets; by default that of a large "
            "ECP5.",
            callback=checks.check_device,
        ),
        "seed": _seed("Seed of random weights."),
    },
    CompressOptions: {
        "source": SOURCE,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "device": DEVICE,
        "budget": BUDGET,
        "out": OUT,
        "epochs": typer.Option(
            help="Passes over the data: 65, of large sets 16; more end better.",
            min=2,
            max=MOST_EPOCHS,
        ),
        "threads": THREADS,
        "precision": PRECISION,
        "rate": typer.Option(
            help="Peak learning rate, relative to a layer's weights.",
            callback=checks.check_share,
        ),
        "batch": BATCH,
        "accelerator": typer.Option(
            help="Device for the training: cpu or cuda.",
            callback=checks.check_name("accelerator", ACCELERATORS, counted=True),
        ),
        "resume": RESUME,
        "max_batch": MAX_BATCH,
        "acc_bits": ACC_BITS,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
        "seed": SEED,
    },
    QuantizeOptions: {
        "source": SOURCE,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "device": DEVICE,
        "density": typer.Option(
            help="Largest share of its weights that a layer keeps.", callback=checks.check_share
        ),
        "ends_density": typer.Option(
            help="The same for the first and the last layer.", callback=checks.check_share
        ),
        "bits": typer.Option(help="Width of a weight's code.", min=1, max=MOST_BITS),
        "objective": typer.Option(
            help="Objective of the choice of streams: rom or cycles.",
            callback=checks.check_name("objective", OBJECTIVES),
        ),
        "max_batch": MAX_BATCH,
        "acc_bits": ACC_BITS,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
        "out": OUT,
    },
    RetargetOptions: {
        "network": NETWORK,
        "device": DEVICE,
        "out": OUT,
        "max_batch": MAX_BATCH,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
    },
    SimulateOptions: {
        "network": _source("Quantized network; none is needed with --rom."),
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "float_network": _file(
            "Float network, to print its accuracy too.", "--float", check=checks.check_source
        ),
        "rom": _file(
            "Folder of ROM images: they are decoded and run; with a NETWORK, they must be its own.",
            check=checks.check_images,
        ),
        "trace": typer.Option(
            "--trace",
            help="Count values inside the network: range of sums, zeros, saturation, cycles.",
        ),
        "clock": typer.Option(
            help="Clock at which the trace gives images/s (MHz).",
            min=LEAST_CLOCK_MHZ,
            max=MOST_CLOCK_MHZ,
        ),
        "compare": typer.Option(
            help="Images whose logits are compared with PyTorch, 0 for none. By default as many as "
            "take seconds.",
            min=0,
            max=MOST_IMAGES,
        ),
    },
    RomOptions: {
        "network": NETWORK,
        "out": FOLDER,
        "batch": typer.Option(
            help="Images of a run, a power of two up to the engine's max_batch.",
            callback=checks.check_power_of_two,
        ),
        "device": ROM_DEVICE,
        "rtl": _file("Write them for the Verilog in this folder.", check=checks.check_rtl),
        "name": typer.Option(
            help="Prefix of the file names; by default that of the Verilog, or none.",
            callback=checks.check_prefix,
        ),
        "format": typer.Option(
            help=f"Formats with commas: {', '.join(ROM_FORMATS)}; or {NATIVE_FORMAT}, that of the "
            "device's vendor. By default hex, which the Verilog reads; with --width or --depth "
            f"{NATIVE_FORMAT}.",
            callback=checks.check_formats,
        ),
        "rom": typer.Option(
            help="ROMs with commas: weights, params, codebook; by default all.",
            callback=checks.check_roms,
        ),
        "whole": typer.Option("--whole", help="Do not cut ROMs into pieces."),
        "width": typer.Option(
            help="Bits of a word of a memory of your own; the words are packed anew.",
            min=1,
            max=MAX_MEMORY_WIDTH,
        ),
        "depth": typer.Option(
            help="Words of a memory of your own, filled up with zeros.", min=1, max=MAX_MEMORY_DEPTH
        ),
        "byte_order": typer.Option(
            help="Bytes of a word in bin, ihex and srec: little or big first.",
            callback=checks.check_name("byte order", BYTE_ORDERS),
        ),
        "mmi": typer.Option(
            help="FILE.mmi of Vivado's write_mem_info, or FILE.mmi:INSTANCE: updatemem images get "
            "the address of the memory there.",
            callback=checks.check_mmi,
        ),
    },
    ExportOptions: {
        "network": NETWORK,
        "out": _file("Folder to write to; the files begin with the name of the network's file."),
        "format": typer.Option(
            help="Formats with commas: c (C99, integers only), qdq (ONNX with QuantizeLinear), "
            "qonnx (ONNX with Quant), exact (ONNX of standard operators, equal bit for bit).",
            callback=checks.check_export_formats,
        ),
    },
    RtlOptions: {
        "network": NETWORK,
        "out": _file("Folder to write to; with --bench only if named.  [default: build/rtl]"),
        "interface": typer.Option(
            help="plain, or axi: AXI4-Stream and AXI4-Lite around the engine.",
            callback=checks.check_name("interface", tuple(TOPS)),
        ),
        "device": ROM_DEVICE,
        "name": typer.Option(
            help="Prefix of modules and files; each engine of a design needs its own.",
            callback=checks.check_prefix,
        ),
        "bench": _file(
            "Folder for a bench to take along: Verilog, ROM images, vectors, and what runs them "
            "in cocotb or in Icarus Verilog alone, without sqhw."
        ),
        "cores": CORES,
    },
    VerifyOptions: {
        "network": NETWORK,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "rtl": _file("Folder with Verilog and ROM images.", check=checks.check_rtl),
        "work": _file("Folder for the simulator's files."),
        "simulator": typer.Option(
            help="verilator, icarus, or cxxrtl for thousands of images.",
            callback=checks.check_name("simulator", SIMULATORS),
        ),
        "images": typer.Option(help="Test images to run.", min=1),
        "seed": _seed("Seed of pauses and noise."),
        "jobs": typer.Option(help="Processes of cxxrtl.", callback=checks.check_threads),
    },
    FaultsOptions: {
        "network": NETWORK,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "images": typer.Option(
            help="Test images for each injection; all if there are fewer.", min=1, max=MOST_IMAGES
        ),
        "injections": typer.Option(
            help="Single flips of ROM bits, shared out evenly over the fields of all layers.",
            min=0,
            max=MOST_INJECTIONS,
        ),
        "rates": typer.Option(
            help="Shares of the bits that flip, with commas; each above 0 and at most 1.",
            callback=checks.check_rates,
        ),
        "trials": typer.Option(help="Damaged memories at each rate.", min=0, max=MOST_INJECTIONS),
        "rom": typer.Option(
            help="ROMs that are damaged, with commas: weights, params, codebook; by default all.",
            callback=checks.check_roms,
        ),
        "activations": typer.Option(
            help="Flips in the feature maps, for each map and image.", min=0, max=MOST_INJECTIONS
        ),
        "flip": typer.Option(
            help="A bit as ROM:WORD:BIT, for example weights:12:3; may be repeated: only these "
            "flip, together.",
            callback=checks.check_flips,
        ),
        "top": typer.Option(help="Most critical bits that are listed.", min=0, max=MOST_IMAGES),
        "threads": typer.Option(help="Cores.", callback=checks.check_threads),
        "seed": _seed("Seed of all flips."),
        "plot": _file("Picture to write: png, svg or pdf."),
    },
    SizeOptions: {
        "network": typer.Argument(
            help="A network's file, or a name of the zoo, for example vgg16."
        ),
        "density": typer.Option(
            help="Assumed share of non-zero weights.  [default: 1]", callback=checks.check_share
        ),
        "bits": typer.Option(
            help="Assumed bits of a weight's code.  [default: 8]", min=1, max=MOST_BITS
        ),
        "layer": typer.Option(help="The same for one layer: name=density:bits; may be repeated."),
        "device": typer.Option(
            help="Device or board, a device file of your own, or all.",
            callback=checks.check_device_or_all,
        ),
        "batch": typer.Option(
            help="Images of a run, a power of two.", callback=checks.check_power_of_two
        ),
        "budget": typer.Option(
            help="Limits that hold together, for example blocks=22,cycles=60000: blocks (block "
            "RAMs of the ROMs, not of the feature maps), payload, stream, rom (bits), cycles (of a "
            "run), energy (uJ an image).",
            callback=checks.check_budget,
        ),
        "objective": typer.Option(
            help="Objective of the choice of streams: rom, cycles or energy.",
            callback=checks.check_name("objective", SIZE_OBJECTIVES),
        ),
        "technology": typer.Option(
            help="Energies of operations: a name, or a file of your own.",
            callback=checks.check_technology,
        ),
        "explore": typer.Option("--explore", help="Search engines, print the Pareto front."),
        "acc_bits": ACC_BITS,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
        "cores": CORES,
        "plot": _file("Picture to write: png, svg or pdf."),
    },
    ReportOptions: {
        "files": _source(
            "Network files, or accounts as `python -m benchmarks` writes them; or the folder of a "
            "sweep.",
            checks.check_reported,
        ),
        "device": typer.Option(
            help="Device for the block RAMs of network files; by default each network's own.",
            callback=checks.check_device,
        ),
        "out": _file(
            "Plots: a page (.html), or one picture (.png, .svg). Of a sweep a page, by default "
            "report.html in its folder."
        ),
    },
    BuildOptions: {
        "network": NETWORK,
        "board": typer.Option(help="Board, or a board file of your own (docs/boards.md)."),
        "out": _file("Folder of the build; it is replaced as a whole."),
        "clock": typer.Option(
            help="Clock above which none is tried (MHz). By default the modelled one less the "
            "error of the model.",
            min=LEAST_CLOCK_MHZ,
            max=MOST_CLOCK_MHZ,
        ),
        "seed": typer.Option(help="Seed of the placement.", min=1, max=MAX_SEED_OF_TOOLS),
        "link": typer.Option(
            help="Serial line: frames, or uartbone, which adds registers for LiteX clients and "
            "frames in flight.",
            callback=checks.check_name("link", LINKS),
        ),
    },
    SwapOptions: {
        "build": _file_argument("Folder of a build, from `sqhw build`."),
        "network": NETWORK,
        "out": _file("Bitstream to write.  [default: swapped.bin or .bit beside the folder]"),
    },
    HostOptions: {
        "build": _file_argument("Folder of the build whose bitstream is loaded."),
        "port": typer.Option(help="Serial port of the board, for example /dev/ttyUSB1."),
        "network": _file("Network that was swapped into the bitstream.", check=checks.check_source),
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "images": typer.Option(help="Test images to run.", min=1),
    },
    SweepOptions: {
        "spec": _source("Spec of the sweep, a TOML file (docs/sweep.md)."),
        "out": _file("Folder of the points; those that are there are not computed again."),
        "jobs": typer.Option(
            help="Processes here, or jobs of submitit.  [default: one a core]",
            callback=checks.check_jobs,
        ),
        "dask": typer.Option(
            help="Address of a Dask scheduler, whose workers compute the points.",
            callback=checks.check_address,
        ),
        "submitit": typer.Option(
            help="Jobs of submitit compute the points: local or slurm.",
            callback=checks.check_optional_name("cluster", CLUSTERS),
        ),
        "wait": typer.Option(
            help="Seconds that a scheduler gets to answer.",
            min=LEAST_WAIT_SECONDS,
            max=MOST_WAIT_SECONDS,
        ),
        "retry": typer.Option("--retry", help="Compute points again that failed earlier."),
        "yes": typer.Option("--yes", help="Compute a space of more than 1,000 points."),
    },
    DemoOptions: {
        "out": FOLDER,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "network": ZOO_NETWORK,
        "device": DEVICE,
        "budget": BUDGET,
        "images": typer.Option(help="Test images for Verilator.", min=1),
        "seed": SEED,
    },
}
JSON = typer.Option("--json", help="Print the result as JSON.")
