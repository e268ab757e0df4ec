"""The options of the steps that tell sizes and reports."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import (
    ACC_BITS,
    BANK_RAM,
    CORES,
    MOST_BITS,
    QUOTIENT_ONES,
    Table,
    file_option,
    source_argument,
)
from sqhw.names import SIZE_OBJECTIVES
from sqhw.steps.options import ReportOptions, SizeOptions

OPTIONS: Table = {
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
        "plot": file_option("Picture to write: png, svg or pdf."),
    },
    ReportOptions: {
        "files": source_argument(
            "Network files, or accounts as `python -m benchmarks` writes them; or the folder of a "
            "sweep.",
            checks.check_reported,
        ),
        "device": typer.Option(
            help="Device for the block RAMs of network files; by default each network's own.",
            callback=checks.check_device,
        ),
        "out": file_option(
            "Plots: a page (.html), or one picture (.png, .svg). Of a sweep a page, by default "
            "report.html in its folder."
        ),
    },
}
