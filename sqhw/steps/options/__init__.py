"""The options of the steps, with their defaults.

The command line is made from these classes: a field is an option, its default is the option's.
This package imports very little, so that `sqhw --help` is quick.
"""

from sqhw.steps.options.boards import BuildOptions, HostOptions, SwapOptions
from sqhw.steps.options.defaults import ALL, RTL_FOLDER
from sqhw.steps.options.demo import DemoOptions
from sqhw.steps.options.faults import FaultsOptions
from sqhw.steps.options.figures import ReportOptions, SizeOptions
from sqhw.steps.options.hardware import (
    ExportOptions,
    RomOptions,
    RtlOptions,
    SimulateOptions,
    VerifyOptions,
)
from sqhw.steps.options.networks import (
    CompressOptions,
    ImportOptions,
    QuantizeOptions,
    RetargetOptions,
    TrainOptions,
)
from sqhw.steps.options.sweep import SweepOptions

__all__ = [
    "ALL",
    "RTL_FOLDER",
    "BuildOptions",
    "CompressOptions",
    "DemoOptions",
    "ExportOptions",
    "FaultsOptions",
    "HostOptions",
    "ImportOptions",
    "QuantizeOptions",
    "ReportOptions",
    "RetargetOptions",
    "RomOptions",
    "RtlOptions",
    "SimulateOptions",
    "SizeOptions",
    "SwapOptions",
    "SweepOptions",
    "TrainOptions",
    "VerifyOptions",
]
