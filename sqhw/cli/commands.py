"""The commands."""

from pathlib import Path
from typing import Annotated

import typer

from sqhw import __version__
from sqhw.atomic import check_folder, check_outside, make_folder, writable
from sqhw.cli import checks
from sqhw.cli.console import emit, progress, status
from sqhw.cli.options import (
    MOST_EPOCHS,
    AccBits,
    Accelerator,
    AssumedBits,
    AssumedDensity,
    Bits,
    Budget,
    Data,
    Density,
    Device,
    DeviceOrAll,
    EndsDensity,
    FloatSource,
    Folder,
    Interface,
    Jobs,
    Json,
    Layers,
    Limit,
    MaxBatch,
    Network,
    Objective,
    Out,
    PauseSeed,
    Plot,
    Plots,
    Precision,
    PruneEpochs,
    Pruning,
    Rate,
    ReportDevice,
    ReportFiles,
    Resume,
    RomDevice,
    RomImages,
    RomName,
    RomRtl,
    RtlName,
    RunImages,
    Seed,
    SimulatorName,
    SizeObjective,
    Source,
    StepImages,
    TechnologyName,
    Threads,
    TuneEpochs,
    VerifyRtl,
    Weights,
    Work,
)
from sqhw.environment.extras import need_torch
from sqhw.machine.naming import DEFAULT_NAME
from sqhw.report.report_tables import report_lines
from sqhw.report.size_tables import sizing_lines
from sqhw.report.tables import (
    compress_lines,
    demo_lines,
    device_lines,
    rom_lines,
    simulate_lines,
    verify_lines,
)
from sqhw.seeds import MAX_SEED

app = typer.Typer(
    name="sqhw",
    help="From a trained network and a board to verified RTL and ROM images that fit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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
    out: Out = Path("build/float.safetensors"),
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the data.", min=1, max=MOST_EPOCHS)
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train a float network."""
    from sqhw.data import load_dataset
    from sqhw.steps import flow

    need_torch("sqhw train")
    writable(out, checks.files_of(data))
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
    checkpoint: Weights = None,
    out: Out = Path("build/float.safetensors"),
    seed: Annotated[int, typer.Option(help="Of random weights.", min=0, max=MAX_SEED)] = 0,
    json: Json = False,
) -> None:
    """Import a known network with its published weights."""
    from sqhw.steps import flow

    need_torch("sqhw import")
    writable(out, [checkpoint] if checkpoint else [])
    result = flow.import_network(network, checkpoint, out, seed)
    weights = "weights" if checkpoint else "random weights (no --checkpoint)"
    said = f"{result['network']}: {result['weights']:,} {weights}, wrote {result['file']}"
    emit(result, json, [said])


@app.command()
def compress(
    source: Source,
    data: Data = "digits",
    device: Device = "iCEBreaker",
    budget: Budget = None,
    out: Out = Path("build/network.safetensors"),
    prune_epochs: PruneEpochs = None,
    tune_epochs: TuneEpochs = None,
    threads: Threads = 1,
    precision: Precision = "float32",
    rate: Rate = 5e-3,
    batch: StepImages = None,
    pruning: Pruning = "auto",
    accelerator: Accelerator = "cpu",
    resume: Resume = None,
    max_batch: MaxBatch = 1,
    acc_bits: AccBits = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose sparsity and bit widths together under a budget, quantize, retrain on the data."""
    from sqhw.data import load_dataset
    from sqhw.steps import flow

    need_torch("sqhw compress")
    inputs = [source, *checks.files_of(data, device)]
    writable(out, inputs)
    if resume is not None:
        writable(resume, [*inputs, out])
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
    density: Density = 1.0,
    ends_density: EndsDensity = None,
    bits: Bits = 8,
    objective: Objective = "rom",
    max_batch: MaxBatch = 1,
    acc_bits: AccBits = None,
    out: Out = Path("build/network.safetensors"),
    json: Json = False,
) -> None:
    """Prune and quantize without training: seconds, for less accuracy than `compress`."""
    from sqhw.data import load_dataset
    from sqhw.steps import flow

    need_torch("sqhw quantize")
    writable(out, [source, *checks.files_of(data, device)])
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
    float_network: FloatSource = None,
    json: Json = False,
) -> None:
    """Run the test set bit-accurately and compare with PyTorch logit by logit, if it is there."""
    from sqhw.data import load_dataset
    from sqhw.steps import flow

    with progress() as report:
        result = flow.simulate(network, load_dataset(data), float_network, report)
    emit(result, json, simulate_lines(result))


@app.command()
def rom(
    network: Network,
    out: Folder = Path("build/rtl"),
    batch: RomImages = 1,
    device: RomDevice = None,
    rtl: RomRtl = None,
    name: RomName = None,
    json: Json = False,
) -> None:
    """Write the ROM images for $readmemh."""
    from sqhw.steps import flow

    check_folder(out)
    checks.check_kept(network, out)
    result = flow.rom(network, out, batch, device, rtl, name)
    emit(result, json, rom_lines(result))


@app.command()
def rtl(
    network: Network,
    out: Folder = Path("build/rtl"),
    interface: Interface = "plain",
    device: RomDevice = None,
    name: RtlName = DEFAULT_NAME,
    json: Json = False,
) -> None:
    """Write the Verilog of the engine."""
    from sqhw.steps import flow

    check_folder(out)
    checks.check_kept(network, out)
    result = flow.rtl(network, out, interface, device, name)
    emit(result, json, [f"wrote {path}" for path in result["files"]])


@app.command()
def verify(
    network: Network,
    data: Data = "digits",
    folder: VerifyRtl = Path("build/rtl"),
    work: Work = Path("build/sim"),
    simulator: SimulatorName = "verilator",
    images: Annotated[int, typer.Option(help="Test images to run.", min=1)] = 20,
    seed: PauseSeed = 0,
    jobs: Jobs = 1,
    json: Json = False,
) -> None:
    """Run test images through the RTL and compare every activation and the cycle count."""
    from sqhw.data import load_dataset
    from sqhw.steps import flow

    check_folder(work)
    inputs = [network, folder, *checks.files_of(data)]
    check_outside(work / simulator, inputs, "which is emptied before a run")
    with status.status(f"building and running the RTL under {simulator}"):
        result = flow.verify(
            network, load_dataset(data), folder, work, simulator, images, seed, jobs
        )
    emit(result, json, verify_lines(result))


@app.command()
def devices(json: Json = False) -> None:
    """List the devices and their boards."""
    from sqhw.steps import flow

    found = flow.devices()
    emit({"devices": found}, json, device_lines(found))


@app.command()
def size(
    network: Annotated[
        str, typer.Argument(help="A network's file, or a name of the zoo, for example vgg16.")
    ],
    density: AssumedDensity = None,
    bits: AssumedBits = None,
    layer: Layers = None,
    device: DeviceOrAll = "all",
    batch: RunImages = 1,
    budget: Limit = None,
    objective: SizeObjective = "rom",
    technology: TechnologyName = "horowitz45",
    explore: Annotated[
        bool, typer.Option("--explore", help="Search engines, print the Pareto front.")
    ] = False,
    acc_bits: AccBits = None,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Say what a network takes of a device: memory, multipliers, logic, time and energy."""
    from sqhw.steps.size import size_network

    if plot:
        from sqhw.report.size_plot import check_plot, plot_sizes

        check_plot(plot)
        writable(plot, [network, *checks.files_of(None, device, technology)])
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
    files: ReportFiles,
    device: ReportDevice = None,
    out: Plots = None,
    json: Json = False,
) -> None:
    """Tell sizes on every basis, layer by layer, and plot sparsity, bits, ratio and accuracy."""
    from sqhw.steps import flow

    if out is not None:
        writable(out, [*files, *checks.files_of(None, device)])
    with progress() as bar:
        result = flow.report(files, device, out, bar)
    emit(result, json, report_lines(result))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.", readable=False)] = Path(
        "build/demo"
    ),
    data: Data = "digits",
    device: Device = "iCEBreaker",
    budget: Budget = None,
    images: Annotated[int, typer.Option(help="Test images for Verilator.", min=1)] = 20,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Run all steps, from training to verified RTL, and print a table."""
    from sqhw.cli.demo import run_demo

    need_torch("sqhw demo")
    check_folder(out)
    result = run_demo(out, data, device, budget, images, seed)
    emit(result, json, demo_lines(result))
