"""`sqhw rtl`: the Verilog of the engine of a network, and a bench to take along."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sqhw.errors import SqhwError
from sqhw.export.build import write_rtl
from sqhw.machine.naming import check_name
from sqhw.network.quantized import QuantizedNetwork
from sqhw.report.results import RtlResult
from sqhw.steps.options import RTL_FOLDER, RtlOptions
from sqhw.steps.program import check_cores, device_of, device_pieces, program_of, with_cores

#: Images of noise in a bench, and their seed.
NOISE_IMAGES, SEED = 3, 0


def folders(options: RtlOptions) -> list[Path]:
    """Return the folders that are written to: that of the Verilog if it is wanted, the bench."""
    out = RTL_FOLDER if options.out is None and options.bench is None else options.out
    return [folder for folder in dict.fromkeys((out, options.bench)) if folder is not None]


def rtl(options: RtlOptions) -> RtlResult:
    """Write the Verilog of the engine, with its ROMs in pieces that suit the device.

    With `options.bench` a bench is written too; without `options.out` it alone is.

    Raises
    ------
    SqhwError
        If a bench is wanted of an interface or of cores that it does not drive, the cores are out
        of range, or a folder cannot be written to.
    """
    check_name(options.name)
    check_cores(options.cores)
    if options.bench is not None and options.interface != "plain":
        raise SqhwError(
            f"the bench drives the plain interface, not {options.interface}; leave --interface or "
            "--bench out"
        )
    program = program_of(options.network)
    engine = with_cores(program.engine, options.cores)
    if options.bench is not None and engine.cores > 1:
        raise SqhwError(
            f"the bench drives one core, not {engine.cores}; leave --bench out, or give --cores 1"
        )
    pieces = device_pieces(program, device_of(options.network, program.network, options.device))
    paths: list[Path] = []
    for folder in folders(options):
        if folder == options.bench:
            from sqhw.verify.portable.project import BenchOptions, write_bench

            images = bench_images(program.network)
            paths += write_bench(program, images, BenchOptions(folder, pieces, options.name))
        else:
            paths += write_rtl(
                engine, program.depths, folder, options.interface, pieces, options.name
            )
    return {"files": [str(path) for path in paths], "engine": engine.to_dict()}


def bench_images(network: QuantizedNetwork) -> npt.NDArray[np.int64]:
    """Return the images of a bench: a white one, then noise of the whole range of a pixel.

    Returns
    -------
    ndarray of int, shape (images, channels, height, width)
    """
    fmt = network.input_format
    white = np.full((1, *network.input_shape), fmt.hi)
    shape = (NOISE_IMAGES, *network.input_shape)
    return np.concatenate([white, np.random.default_rng(SEED).integers(fmt.lo, fmt.hi + 1, shape)])
