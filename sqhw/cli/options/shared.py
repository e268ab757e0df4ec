"""Options that several commands have, and the limits of their values."""

from collections.abc import Callable
from typing import Any

import typer
from typer.models import ParameterInfo

from sqhw.cli import checks
from sqhw.machine.config import MAX_CORES, MAX_ONES
from sqhw.names import BANK_RAMS, LEAST_ACC_BITS, MOST_ACC_BITS, PRECISIONS
from sqhw.seeds import MAX_SEED

#: Options of commands, by the class and the name of its field.
Table = dict[type, dict[str, ParameterInfo]]

#: Largest number of passes over the data, and of images of a step: far above any training.
MOST_EPOCHS, MOST_IMAGES_OF_A_STEP = 100_000, 65_536
#: Most images that an option may name.
MOST_IMAGES = 10**9

#: Clocks of a design (unit: MHz).
LEAST_CLOCK_MHZ, MOST_CLOCK_MHZ = 0.1, 1000

#: Widest code of a weight (unit: bit).
MOST_BITS = 8

Check = Callable[[Any], Any]


def file_option(text: str, *names: str, check: Check | None = None) -> Any:
    """Return an option that is a path; the check explains an unreadable one better than Typer."""
    return typer.Option(*names, help=text, callback=check, readable=False)


def source_argument(text: str, check: Check = checks.check_source) -> Any:
    """Return an argument that is a file to read."""
    return typer.Argument(help=text, callback=check, readable=False)


def folder_argument(text: str) -> Any:
    """Return an argument that is a folder to read."""
    return typer.Argument(help=text, readable=False)


def seed_option(text: str) -> Any:
    """Return an option that is a seed."""
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
SEED = seed_option("The same seed gives the same bytes.")
OUT = file_option("File to write.")
FOLDER = file_option("Folder to write to.")
SOURCE = source_argument("Float network, from `sqhw train` or `sqhw import`.")
NETWORK = source_argument("Quantized network, from `sqhw compress`.")
BATCH = typer.Option(
    help="Images of a step, 64, of large sets 256.", min=1, max=MOST_IMAGES_OF_A_STEP
)
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
RESUME = file_option("Checkpoint, written after each epoch; a stopped run resumes from it.")
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
