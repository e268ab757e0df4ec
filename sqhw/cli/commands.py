"""The commands."""

from pathlib import Path
from typing import Annotated

import typer

from sqhw import __version__
from sqhw.atomic import check_folder, check_outside, is_folder, make_folder, writable
from sqhw.cli import checks
from sqhw.cli.console import emit, progress, working
from sqhw.cli.options import JSON
from sqhw.cli.signature import add_command
from sqhw.cli.sweep import check_option, front_lines, sweep_lines
from sqhw.environment.extras import need_torch
from sqhw.errors import SqhwError
from sqhw.report.build_tables import build_lines, host_lines, swap_lines
from sqhw.report.fault_tables import fault_lines
from sqhw.report.report_tables import report_lines
from sqhw.report.size_tables import sizing_lines
from sqhw.report.tables import (
    compress_lines,
    demo_lines,
    device_lines,
    import_lines,
    retarget_lines,
    rom_lines,
    simulate_lines,
    verify_lines,
)
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

#: Reason why an input must not lie in the folder of a build.
REPLACED = "which is replaced by the build"

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
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a trained network and a board to verified RTL and ROM images that fit."""


@add_command(app, TrainOptions)
def train(options: TrainOptions, as_json: bool) -> None:
    """Train a float network."""
    from sqhw.steps.train import train

    need_torch("sqhw train")
    inputs = checks.files_of(options.data)
    writable(options.out, inputs)
    if options.resume is not None:
        writable(options.resume, [*inputs, options.out])
    with progress() as report:
        result = train(options, report)
    line = (
        f"{result['network']}: {result['weights']} weights, "
        f"test accuracy {result['test_accuracy']:.2%}, wrote {result['file']}"
    )
    emit(result, as_json, [line])


@add_command(app, ImportOptions, "import")
def import_network(options: ImportOptions, as_json: bool) -> None:
    """Import a model from a file, or a known network with its published weights."""
    from sqhw.steps.import_network import import_network, is_file
    from sqhw.steps.import_python import is_python, python_file

    inputs = [options.checkpoint] if options.checkpoint else []
    if is_python(options.network):
        need_torch("sqhw import of a module")
        path, _ = python_file(options.network)
        checks.check_source(path)
        inputs.append(path)
    elif is_file(options.network):
        path = Path(options.network)
        checks.check_source(path)
        inputs += [path, *checks.files_of(options.data)]
    else:
        need_torch("sqhw import of a network of the zoo")
    if not options.check_only:
        writable(options.out, inputs)
    with progress() as report:
        result = import_network(options, report)
    known = options.checkpoint or "layers" in result
    weights = "weights" if known else "random weights (no --checkpoint)"
    emit(result, as_json, import_lines(result, weights))


@add_command(app, CompressOptions)
def compress(options: CompressOptions, as_json: bool) -> None:
    """Choose sparsity and bit widths together under a budget, quantize, retrain on the data."""
    from sqhw.steps.compress import compress

    need_torch("sqhw compress")
    inputs = [options.source, *checks.files_of(options.data, options.device)]
    writable(options.out, inputs)
    if options.resume is not None:
        writable(options.resume, [*inputs, options.out])
    with progress() as report:
        result = compress(options, report)
    emit(result, as_json, compress_lines(result))


@add_command(app, QuantizeOptions)
def quantize(options: QuantizeOptions, as_json: bool) -> None:
    """Prune and quantize without training: seconds, for less accuracy than `compress`."""
    from sqhw.steps.quantize import quantize

    need_torch("sqhw quantize")
    writable(options.out, [options.source, *checks.files_of(options.data, options.device)])
    with working("quantizing"):
        result = quantize(options)
    emit(result, as_json, compress_lines(result))


@add_command(app, RetargetOptions)
def retarget(options: RetargetOptions, as_json: bool) -> None:
    """Give a quantized network the engine of another device; all its integers stay."""
    from sqhw.steps.retarget import retarget

    writable(options.out, [options.network, *checks.files_of(None, options.device)])
    result = retarget(options)
    emit(result, as_json, retarget_lines(result))


@add_command(app, SimulateOptions)
def simulate(options: SimulateOptions, as_json: bool) -> None:
    """Run the test set bit-accurately; compare its first images with PyTorch, if it is there."""
    from sqhw.steps.simulate import simulate

    with progress() as report:
        result = simulate(options, report)
    emit(result, as_json, simulate_lines(result))


@add_command(app, RomOptions)
def rom(options: RomOptions, as_json: bool) -> None:
    """Write the ROM images for $readmemh."""
    from sqhw.steps.rom import rom

    check_folder(options.out)
    checks.check_kept(options.network, options.out)
    result = rom(options)
    emit(result, as_json, rom_lines(result))


@add_command(app, ExportOptions)
def export(options: ExportOptions, as_json: bool) -> None:
    """Write a quantized network as C or ONNX, which other programs run."""
    from sqhw.steps.export import export

    check_folder(options.out)
    with working("exporting"):
        result = export(options)
    emit(result, as_json, [f"wrote {path}" for path in result["files"]])


@add_command(app, RtlOptions)
def rtl(options: RtlOptions, as_json: bool) -> None:
    """Write the Verilog of the engine."""
    from sqhw.steps.rtl import folders, rtl

    for folder in folders(options):
        check_folder(folder)
        checks.check_kept(options.network, folder)
    result = rtl(options)
    emit(result, as_json, [f"wrote {path}" for path in result["files"]])


@add_command(app, VerifyOptions)
def verify(options: VerifyOptions, as_json: bool) -> None:
    """Run test images through the RTL and compare every activation and the cycle count."""
    from sqhw.steps.verify import verify

    check_folder(options.work)
    inputs = [options.network, options.rtl, *checks.files_of(options.data)]
    check_outside(options.work / options.simulator, inputs, "which is emptied before a run")
    with progress() as report:
        result = verify(options, report)
    emit(result, as_json, verify_lines(result))


@add_command(app, FaultsOptions)
def faults(options: FaultsOptions, as_json: bool) -> None:
    """Flip bits in ROM images and feature maps; tell what that costs in accuracy."""
    from sqhw.steps.faults import faults

    plot = options.plot
    if plot:
        from sqhw.report.fault_plot import plot_faults
        from sqhw.report.size_plot import check_plot

        check_plot(plot)
        writable(plot, [options.network, *checks.files_of(options.data)])
    with progress() as report:
        result = faults(options, report)
    if plot:
        make_folder(plot.parent)
        plot_faults(result, plot)
    emit(result, as_json, [*fault_lines(result), *([f"wrote {plot}"] if plot else [])])


@add_command(app, BuildOptions)
def build(options: BuildOptions, as_json: bool) -> None:
    """Build a bitstream for a board, or a project for the vendor's tools."""
    from sqhw.steps.build import build

    check_folder(options.out)
    check_outside(options.out, [options.network, *checks.files_of(None, options.board)], REPLACED)
    with progress() as report:
        result = build(options, report)
    emit(result, as_json, build_lines(result))


@add_command(app, SwapOptions)
def swap(options: SwapOptions, as_json: bool) -> None:
    """Put another network into the bitstream of a build, without synthesis."""
    from sqhw.steps.swap import swap

    if options.out is not None:
        writable(options.out, [options.network])
        check_outside(options.out, [options.build], "which must not be altered")
    with working("swapping"):
        result = swap(options)
    emit(result, as_json, swap_lines(result))


@add_command(app, HostOptions)
def host(options: HostOptions, as_json: bool) -> None:
    """Run test images on a board and compare the results with the simulator."""
    from sqhw.steps.host import host

    with progress() as report:
        result = host(options, report)
    emit(result, as_json, host_lines(result))


@app.command()
def devices(json: Annotated[bool, JSON] = False) -> None:
    """List the devices and their boards."""
    from sqhw.steps.devices import devices

    result = devices()
    emit(result, json, device_lines(result))


@add_command(app, SizeOptions)
def size(options: SizeOptions, as_json: bool) -> None:
    """Estimate a network's memory, multipliers, logic, time and energy on a device."""
    from sqhw.steps.size import size_network

    plot = options.plot
    if plot:
        from sqhw.report.size_plot import check_plot, plot_sizes

        check_plot(plot)
        inputs = checks.files_of(None, options.device, options.technology)
        writable(plot, [options.network, *inputs])
    with progress() as report:
        result = size_network(options, report)
    if plot:
        make_folder(plot.parent)
        plot_sizes(result, plot)
    emit(result, as_json, [*sizing_lines(result), *([f"wrote {plot}"] if plot else [])])


@add_command(app, ReportOptions)
def report(options: ReportOptions, as_json: bool) -> None:
    """Print sizes on every basis, layer by layer; plot sparsity, bits, ratio and accuracy."""
    from sqhw.steps.report import report

    if is_folder(options.files[0]):
        sweep_report(options, as_json)
        return
    if options.out is not None:
        writable(options.out, [*options.files, *checks.files_of(None, options.device)])
    with progress() as bar:
        result = report(options, bar)
    emit(result, as_json, report_lines(result))


@add_command(app, SweepOptions)
def sweep(options: SweepOptions, as_json: bool) -> None:
    """Compute many points of `compress`, `quantize` or `size`, on this machine or a cluster."""
    from sqhw.sweep import read_spec, sweep

    check_folder(options.out)
    check_outside(options.out, [options.spec], "which is the folder of the points")
    spec = read_spec(options.spec, check_option)
    if spec.step.writes_network:
        need_torch(f"sqhw sweep of {spec.step.name}")
    with progress() as report:
        result = sweep(spec, options, report)
    emit(result, as_json, sweep_lines(result))
    if result["failed"]:
        raise typer.Exit(1)


def sweep_report(options: ReportOptions, as_json: bool) -> None:
    """Print the front of a sweep and write its page."""
    from sqhw.sweep.report import report_sweep

    (folder,) = options.files
    out = options.out or folder / "report.html"
    if out.suffix != ".html":
        raise SqhwError(f"{out}: the report of a sweep is written as .html")
    writable(out)
    result = report_sweep(folder, out)
    emit(result, as_json, front_lines(result))


@add_command(app, DemoOptions)
def demo(options: DemoOptions, as_json: bool) -> None:
    """Run all steps, from training to verified RTL, and print a table."""
    from sqhw.cli.demo import run_demo

    need_torch("sqhw demo")
    check_folder(options.out)
    result = run_demo(options)
    emit(result, as_json, demo_lines(result))
