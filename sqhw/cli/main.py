"""The commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sqhw import __version__, flow
from sqhw.accumulator import LEAST_BITS, MOST_BITS
from sqhw.atomic import make_folder, writable
from sqhw.cli.console import emit, progress, status
from sqhw.cli.demo import run_demo
from sqhw.cli.report_tables import report_lines
from sqhw.cli.size_tables import sizing_lines
from sqhw.cli.tables import (
    compress_lines,
    demo_lines,
    device_lines,
    rom_lines,
    simulate_lines,
    verify_lines,
)
from sqhw.data import load_dataset
from sqhw.errors import SqhwError
from sqhw.size_flow import size_network
from sqhw.torch_support import need_torch

INTERRUPTED = 130
app = typer.Typer(
    name="sqhw",
    help="From a trained network and a board to verified RTL and ROM images that fit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str, typer.Option(help="Data set: digits, mnist:DIR (IDX files) or cifar10:DIR (binary files).")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0)]
PauseSeed = Annotated[int, typer.Option("--seed", help="Of pauses and noise.", min=0)]
Budget = Annotated[
    str | None,
    typer.Option(
        help="basis=limit, several with commas: blocks (block RAMs of the ROMs, not of the feature "
        "maps); payload, stream or rom in bits; cycles a run; energy (uJ) an image. By default all "
        "block RAMs that the feature maps leave."
    ),
]
Device = Annotated[
    str, typer.Option(help="Device or board, see `sqhw devices`, or a device file of your own.")
]
Network = Annotated[Path, typer.Argument(help="Quantized network, from `sqhw compress`.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sqhw {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a trained network and a board to verified RTL and ROM images that fit."""


@app.command()
def train(
    data: Data = "digits",
    network: Annotated[
        str | None, typer.Option(help="A network of the zoo; by default what suits the data.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("build/float.safetensors"),
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.", min=1)] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train a float network."""
    need_torch("sqhw train")
    writable(out)
    with progress() as report:
        result = flow.train(load_dataset(data), network, out, epochs, seed, report)
    emit(
        result,
        json,
        [
            (
                f"{result['network']}: {result['weights']} weights, "
                f"test accuracy {result['test_accuracy']:.2%}, wrote {result['file']}"
            )
        ],
    )


@app.command("import")
def import_network(
    network: Annotated[str, typer.Argument(help="Network of the zoo, for example resnet20.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Its weights as safetensors; random ones without.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("build/float.safetensors"),
    seed: Annotated[int, typer.Option(help="Of random weights.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Import a known network with its published weights."""
    need_torch("sqhw import")
    writable(out)
    result = flow.import_network(network, checkpoint, out, seed)
    emit(
        result,
        json,
        [f"{result['network']}: {result['weights']} weights, wrote {result['file']}"],
    )


Source = Annotated[Path, typer.Argument(help="Float network, from `sqhw train` or `sqhw import`.")]
MaxBatch = Annotated[
    int, typer.Option(help="Images that a run can take together; they fill small feature maps.")
]

AccBits = Annotated[
    int | None,
    typer.Option(
        help="Width of the accumulators. By default as many as the weights need, 24 to 32: with "
        "fewer, layers of long sums have coarser weights; each bit takes some LUTs and flip-flops "
        "of every lane.",
        min=LEAST_BITS,
        max=MOST_BITS,
    ),
]


@app.command()
def compress(
    source: Source,
    data: Data = "digits",
    device: Device = "iCEBreaker",
    budget: Budget = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("build/network.safetensors"),
    prune_epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the data while masks are free: 60, of large sets 15; after one-shot "
            "pruning 33 and 8.",
            min=1,
        ),
    ] = None,
    tune_epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the data on integers: 5, of large sets 1; after one-shot pruning 32 "
            "and 8.",
            min=1,
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Cores; with another number, other last digits.", min=1)
    ] = 1,
    precision: Annotated[
        str,
        typer.Option(help="Of the training: float32, or bf16, faster on recent cores."),
    ] = "float32",
    rate: Annotated[
        float, typer.Option(help="Peak learning rate, relative to a layer's weights.")
    ] = 5e-3,
    batch: Annotated[
        int | None, typer.Option(help="Images of a step, 64, of large sets 256.", min=1)
    ] = None,
    pruning: Annotated[
        str,
        typer.Option(
            help="gradual, oneshot, or auto: oneshot where it is quick and budgets are sizes."
        ),
    ] = "auto",
    accelerator: Annotated[str, typer.Option(help="What trains: cpu or cuda.")] = "cpu",
    resume: Annotated[
        Path | None,
        typer.Option(help="Checkpoint, written after each epoch; a run that stopped goes on."),
    ] = None,
    max_batch: MaxBatch = 1,
    acc_bits: AccBits = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose sparsity and bit widths together under a budget, quantize, retrain on the data."""
    need_torch("sqhw compress")
    writable(out)
    if resume is not None:
        writable(resume)
    epochs = prune_epochs, tune_epochs
    with progress() as report:
        result = flow.compress(
            source,
            load_dataset(data),
            device,
            budget,
            out,
            seed,
            report,
            epochs,
            threads,
            max_batch,
            precision,
            resume,
            rate,
            batch,
            pruning,
            accelerator,
            acc_bits,
        )
    emit(result, json, compress_lines(result))


@app.command()
def quantize(
    source: Source,
    data: Data = "digits",
    device: Device = "iCEBreaker",
    density: Annotated[
        float, typer.Option(help="Share of the weights that are kept at most.")
    ] = 1.0,
    ends_density: Annotated[
        float | None, typer.Option(help="The same for the first and the last layer.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Of a weight's code, 1 to 8.")] = 8,
    objective: Annotated[
        str, typer.Option(help="What streams are chosen for: rom or cycles.")
    ] = "rom",
    max_batch: MaxBatch = 1,
    acc_bits: AccBits = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("build/network.safetensors"),
    json: Json = False,
) -> None:
    """Prune and quantize without training: seconds, for less accuracy than `compress`."""
    need_torch("sqhw quantize")
    writable(out)
    with status.status("quantizing"):
        result = flow.quantize(
            source,
            load_dataset(data),
            device,
            density,
            ends_density,
            bits,
            objective,
            out,
            max_batch,
            acc_bits,
        )
    emit(result, json, compress_lines(result))


@app.command()
def simulate(
    network: Network,
    data: Data = "digits",
    float_network: Annotated[
        Path | None, typer.Option("--float", help="Float network, to print its accuracy too.")
    ] = None,
    json: Json = False,
) -> None:
    """Run the test set bit-accurately and compare with PyTorch logit by logit, if it is there."""
    with progress() as report:
        result = flow.simulate(network, load_dataset(data), float_network, report)
    emit(result, json, simulate_lines(result))


Folder = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
RomDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Device or board: the ROMs are cut into pieces that suit its block RAMs. "
        "By default the one that the network was compressed for.",
    ),
]


@app.command()
def rom(
    network: Network,
    out: Folder = Path("build/rtl"),
    batch: Annotated[
        int, typer.Option(help="Images of a run, a power of two up to the engine's max_batch.")
    ] = 1,
    device: RomDevice = None,
    rtl: Annotated[
        Path | None, typer.Option(help="Write them for the Verilog in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the ROM images for $readmemh."""
    result = flow.rom(network, out, batch, device, rtl)
    emit(result, json, rom_lines(result))


@app.command()
def rtl(
    network: Network,
    out: Folder = Path("build/rtl"),
    interface: Annotated[
        str, typer.Option(help="plain, or axi: AXI4-Stream and AXI4-Lite around the engine.")
    ] = "plain",
    device: RomDevice = None,
    json: Json = False,
) -> None:
    """Write the Verilog of the engine."""
    result = flow.rtl(network, out, interface, device)
    emit(result, json, [f"wrote {path}" for path in result["files"]])


@app.command()
def verify(
    network: Network,
    data: Data = "digits",
    folder: Annotated[
        Path, typer.Option("--rtl", help="Folder with Verilog and ROM images.")
    ] = Path("build/rtl"),
    work: Annotated[Path, typer.Option(help="Folder for the simulator's files.")] = Path(
        "build/sim"
    ),
    simulator: Annotated[
        str, typer.Option(help="verilator, icarus, or cxxrtl for thousands of images.")
    ] = "verilator",
    images: Annotated[int, typer.Option(help="Test images to run.")] = 20,
    seed: PauseSeed = 0,
    jobs: Annotated[int, typer.Option(help="Processes of cxxrtl.", min=1)] = 1,
    json: Json = False,
) -> None:
    """Run test images through the RTL and compare every activation and the cycle count."""
    with status.status(f"building and running the RTL under {simulator}"):
        result = flow.verify(
            network, load_dataset(data), folder, work, simulator, images, seed, jobs
        )
    emit(result, json, verify_lines(result))


@app.command()
def devices(json: Json = False) -> None:
    """List the devices and their boards."""
    found = flow.devices()
    emit({"devices": found}, json, device_lines(found))


@app.command()
def size(
    network: Annotated[
        str, typer.Argument(help="A network's file, or a name of the zoo, for example vgg16.")
    ],
    density: Annotated[
        float | None, typer.Option(help="Assumed share of non-zero weights.  [default: 1]")
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Assumed bits of a weight's code, 1 to 8.  [default: 8]")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="The same for one layer: name=density:bits; may be repeated."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device or board, a device file of your own, or all.")
    ] = "all",
    batch: Annotated[int, typer.Option(help="Images of a run, a power of two.")] = 1,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Limits that hold together, for example blocks=22,cycles=60000: blocks (block "
            "RAMs of the ROMs, not of the feature maps), rom (bits), cycles (of a run), energy "
            "(uJ an image)."
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What streams are chosen for: rom, cycles or energy.")
    ] = "rom",
    technology: Annotated[
        str, typer.Option(help="Energies of operations: a name, or a file of your own.")
    ] = "horowitz45",
    explore: Annotated[
        bool, typer.Option("--explore", help="Search engines, print the Pareto front.")
    ] = False,
    acc_bits: AccBits = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: png, svg or pdf.")] = None,
    json: Json = False,
) -> None:
    """Say what a network takes of a device: memory, multipliers, logic, time and energy."""
    if plot:
        from sqhw.size_plot import check_plot, plot_sizes

        check_plot(plot)
        writable(plot)
    with progress() as report:
        result = size_network(
            network,
            density=density,
            bits=bits,
            layers=layer or (),
            device=device,
            batch=batch,
            budget=budget,
            worth=objective,
            technology=technology,
            exploring=explore,
            acc_bits=acc_bits,
            progress=lambda done, total: report("search", done, total, ""),
        )
    if plot:
        make_folder(plot.parent)
        plot_sizes(result, plot)
    emit(result, json, [*sizing_lines(result), *([f"wrote {plot}"] if plot else [])])


@app.command()
def report(
    files: Annotated[
        list[Path],
        typer.Argument(help="Network files, or accounts as `python -m benchmarks` writes them."),
    ],
    device: Annotated[
        str | None,
        typer.Option(
            help="Of network files, for block RAMs; by default what each was compressed for."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Plots: a page (.html), or one picture (.png, .svg).")
    ] = None,
    json: Json = False,
) -> None:
    """Tell sizes on every basis, layer by layer, and plot sparsity, bits, ratio and accuracy."""
    if out is not None:
        writable(out)
    with progress() as bar:
        result = flow.report(files, device, out, bar)
    emit(result, json, report_lines(result))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("build/demo"),
    data: Data = "digits",
    device: Device = "iCEBreaker",
    budget: Budget = None,
    images: Annotated[int, typer.Option(help="Test images for Verilator.")] = 20,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Run all steps, from training to verified RTL, and print a table."""
    need_torch("sqhw demo")
    result = run_demo(out, data, device, budget, images, seed)
    emit(result, json, demo_lines(result))


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 1."""
    try:
        app()
    except SqhwError as error:
        sys.stderr.write(f"sqhw: {error}\n")
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # that is what Typer makes of Ctrl-C
            sys.stderr.write("sqhw: interrupted; with --resume FILE a training goes on from it\n")
        raise
