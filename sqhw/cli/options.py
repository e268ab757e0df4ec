"""The options of the commands, each with its check."""

from pathlib import Path
from typing import Annotated

import typer

from sqhw.cli import checks
from sqhw.machine.naming import TOPS
from sqhw.names import (
    ACCELERATORS,
    LEAST_ACC_BITS,
    MOST_ACC_BITS,
    OBJECTIVES,
    PRECISIONS,
    PRUNING,
    SIMULATORS,
    WORTHS,
)
from sqhw.seeds import MAX_SEED

#: Passes over the data, and images of a step, beyond which nobody has trained.
MOST_EPOCHS, MOST_IMAGES = 100_000, 65_536
#: Of a weight's code.
MOST_BITS = 8

Data = Annotated[
    str,
    typer.Option(
        help="Data set: digits, mnist:DIR (IDX files) or cifar10:DIR (binary files).",
        callback=checks.check_data,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0, max=MAX_SEED)]
PauseSeed = Annotated[int, typer.Option("--seed", help="Of pauses and noise.", min=0, max=MAX_SEED)]
Budget = Annotated[
    str | None,
    typer.Option(
        help="basis=limit, several with commas: blocks (block RAMs of the ROMs, not of the feature "
        "maps); payload, stream or rom in bits; cycles a run; energy (uJ) an image. By default all "
        "block RAMs that the feature maps leave.",
        callback=checks.check_budget,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Device or board, see `sqhw devices`, or a device file of your own.",
        callback=checks.check_device,
    ),
]
RomDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Device or board: the ROMs are cut into pieces that suit its block RAMs. "
        "By default the one that the network was compressed for.",
        callback=checks.check_device,
    ),
]
Network = Annotated[
    Path,
    typer.Argument(
        help="Quantized network, from `sqhw compress`.",
        callback=checks.check_source,
        readable=False,
    ),
]
Source = Annotated[
    Path,
    typer.Argument(
        help="Float network, from `sqhw train` or `sqhw import`.",
        callback=checks.check_source,
        readable=False,
    ),
]
Out = Annotated[Path, typer.Option(help="File to write.", readable=False)]
Folder = Annotated[Path, typer.Option("--out", help="Folder to write to.", readable=False)]
MaxBatch = Annotated[
    int,
    typer.Option(
        help="Images that a run can take together; they fill small feature maps.",
        callback=checks.check_power_of_two,
    ),
]
PruneEpochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the data while masks are free: 60, of large sets 15; after one-shot "
        "pruning 33 and 8.",
        min=1,
        max=MOST_EPOCHS,
    ),
]
TuneEpochs = Annotated[
    int | None,
    typer.Option(
        help="Passes over the data on integers: 5, of large sets 1; after one-shot pruning 32 "
        "and 8.",
        min=1,
        max=MOST_EPOCHS,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        help="Cores; with another number, other last digits.", callback=checks.check_threads
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Of the training: float32, or bf16, faster on recent cores.",
        callback=checks.check_name("precision", PRECISIONS),
    ),
]
Rate = Annotated[
    float,
    typer.Option(
        help="Peak learning rate, relative to a layer's weights.",
        callback=checks.check_share,
    ),
]
StepImages = Annotated[
    int | None,
    typer.Option(help="Images of a step, 64, of large sets 256.", min=1, max=MOST_IMAGES),
]
Pruning = Annotated[
    str,
    typer.Option(
        help="gradual, oneshot, or auto: oneshot where it is quick and budgets are sizes.",
        callback=checks.check_name("pruning", PRUNING),
    ),
]
Accelerator = Annotated[
    str,
    typer.Option(
        help="What trains: cpu or cuda.",
        callback=checks.check_name("accelerator", ACCELERATORS, counted=True),
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        help="Checkpoint, written after each epoch; a run that stopped goes on.", readable=False
    ),
]
Density = Annotated[
    float,
    typer.Option(help="Share of the weights that are kept at most.", callback=checks.check_share),
]
EndsDensity = Annotated[
    float | None,
    typer.Option(help="The same for the first and the last layer.", callback=checks.check_share),
]
Bits = Annotated[int, typer.Option(help="Of a weight's code.", min=1, max=MOST_BITS)]
Objective = Annotated[
    str,
    typer.Option(
        help="What streams are chosen for: rom or cycles.",
        callback=checks.check_name("objective", OBJECTIVES),
    ),
]
RomImages = Annotated[
    int,
    typer.Option(
        help="Images of a run, a power of two up to the engine's max_batch.",
        callback=checks.check_power_of_two,
    ),
]
RomRtl = Annotated[
    Path | None,
    typer.Option(
        help="Write them for the Verilog in this folder.", callback=checks.check_rtl, readable=False
    ),
]
RomName = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="What names of files begin with; by default as in the Verilog, or nothing.",
        callback=checks.check_prefix,
    ),
]
RtlName = Annotated[
    str,
    typer.Option(
        "--name",
        help="What names of modules and files begin with: engines of one design need others.",
        callback=checks.check_prefix,
    ),
]
Interface = Annotated[
    str,
    typer.Option(
        help="plain, or axi: AXI4-Stream and AXI4-Lite around the engine.",
        callback=checks.check_name("interface", tuple(TOPS)),
    ),
]
SimulatorName = Annotated[
    str,
    typer.Option(
        help="verilator, icarus, or cxxrtl for thousands of images.",
        callback=checks.check_name("simulator", SIMULATORS),
    ),
]
Jobs = Annotated[int, typer.Option(help="Processes of cxxrtl.", callback=checks.check_threads)]
AssumedDensity = Annotated[
    float | None,
    typer.Option(
        help="Assumed share of non-zero weights.  [default: 1]", callback=checks.check_share
    ),
]
AssumedBits = Annotated[
    int | None,
    typer.Option(help="Assumed bits of a weight's code.  [default: 8]", min=1, max=MOST_BITS),
]
RunImages = Annotated[
    int,
    typer.Option(help="Images of a run, a power of two.", callback=checks.check_power_of_two),
]
SizeObjective = Annotated[
    str,
    typer.Option(
        help="What streams are chosen for: rom, cycles or energy.",
        callback=checks.check_name("objective", WORTHS),
    ),
]
Limit = Annotated[
    str | None,
    typer.Option(
        help="Limits that hold together, for example blocks=22,cycles=60000: blocks (block "
        "RAMs of the ROMs, not of the feature maps), rom (bits), cycles (of a run), energy "
        "(uJ an image).",
        callback=checks.check_limits,
    ),
]
TechnologyName = Annotated[
    str,
    typer.Option(
        help="Energies of operations: a name, or a file of your own.",
        callback=checks.check_technology,
    ),
]
DeviceOrAll = Annotated[
    str,
    typer.Option(
        help="Device or board, a device file of your own, or all.",
        callback=checks.check_device_or_all,
    ),
]
AccBits = Annotated[
    int | None,
    typer.Option(
        help="Width of the accumulators. By default as many as the weights need, 24 to 32: with "
        "fewer, layers of long sums have coarser weights; each bit takes some LUTs and flip-flops "
        "of every lane.",
        min=LEAST_ACC_BITS,
        max=MOST_ACC_BITS,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Its weights as safetensors; random ones without.",
        callback=checks.check_source,
        readable=False,
    ),
]
FloatSource = Annotated[
    Path | None,
    typer.Option(
        "--float",
        help="Float network, to print its accuracy too.",
        callback=checks.check_source,
        readable=False,
    ),
]
VerifyRtl = Annotated[
    Path,
    typer.Option(
        "--rtl",
        help="Folder with Verilog and ROM images.",
        callback=checks.check_rtl,
        readable=False,
    ),
]
Work = Annotated[Path, typer.Option(help="Folder for the simulator's files.", readable=False)]
Layers = Annotated[
    list[str] | None,
    typer.Option(help="The same for one layer: name=density:bits; may be repeated."),
]
Plot = Annotated[
    Path | None, typer.Option(help="Picture to write: png, svg or pdf.", readable=False)
]
ReportFiles = Annotated[
    list[Path],
    typer.Argument(
        help="Network files, or accounts as `python -m benchmarks` writes them.",
        callback=checks.check_sources,
        readable=False,
    ),
]
ReportDevice = Annotated[
    str | None,
    typer.Option(
        help="Of network files, for block RAMs; by default what each was compressed for.",
        callback=checks.check_device,
    ),
]
Plots = Annotated[
    Path | None,
    typer.Option(help="Plots: a page (.html), or one picture (.png, .svg).", readable=False),
]
