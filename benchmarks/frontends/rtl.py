"""Images of a network through its RTL, for the column of the table."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.network.quantized import QuantizedNetwork
from sqhw.verify.cxxrtl import VolumeBench


@cache
def _bench(engine: EngineConfig) -> tuple[VolumeBench, "tempfile.TemporaryDirectory[str]"]:
    """Return a build of an engine, and the folder that holds it until the program ends."""
    folder = tempfile.TemporaryDirectory()
    rtl = Path(folder.name)
    write_rtl(engine, _depths(engine), rtl)
    return VolumeBench(rtl, rtl / "work", optimize=1), folder


def _depths(engine: EngineConfig) -> dict[str, int]:
    bits = (engine.weight_addr_bits, engine.param_addr_bits, engine.codebook_addr_bits)
    return dict(zip(("weights", "params", "codebook"), (1 << n for n in bits), strict=True))


def rtl_cell(network: QuantizedNetwork, engine: EngineConfig, images: npt.NDArray[np.uint8]) -> str:
    """Run images through the RTL and return what the table says of it.

    Parameters
    ----------
    network : QuantizedNetwork
    engine : EngineConfig
        Engine with ROMs as deep as its addresses go. It is built once.
    images : ndarray of uint8, shape (n, channels, height, width)

    Raises
    ------
    SqhwError
        If an activation, a result or the number of cycles differs.
    """
    program = compile_network(cheapest_streams(network, engine), engine)
    bench, folder = _bench(engine)
    roms = Path(folder.name)
    write_rom(program.padded(_depths(engine)), roms)
    report = bench.run(program.padded(_depths(engine)), images, roms)
    return f"{report.images}; {report.activations:,} activations, {report.cycles:,} cycles an image"
