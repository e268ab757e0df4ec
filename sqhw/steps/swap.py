"""`sqhw swap`: another network in the bitstream of a build, without synthesis."""

import os
import time
from dataclasses import asdict
from pathlib import Path

from sqhw.atomic import atomic_write_bytes, make_folder, writable
from sqhw.compiler.program import Program
from sqhw.errors import SqhwError
from sqhw.files.input_file import read_bytes
from sqhw.machine.config import LATER_FIELDS
from sqhw.machine.rom_pieces import depth_of
from sqhw.network.quantized_file import load_network
from sqhw.report.results import SwapResult
from sqhw.steps.options import SwapOptions
from sqhw.steps.program import program_of
from sqhw.synth.bitstream import PACKINGS
from sqhw.synth.build_folder import MANIFEST, MAX_BUILD_BYTES, Build, check_swappable, read_build
from sqhw.synth.swap import swapped

#: Network of a build, in its folder.
NETWORK = "network.safetensors"


def swap(options: SwapOptions) -> SwapResult:
    """Write the bitstream of a build with the words of another network.

    Raises
    ------
    SqhwError
        If the build was altered or is a project, or the network does not suit it: another engine,
        ROMs that are deeper, or another content of a ROM that cannot be swapped. If the bitstream
        would replace a file of the build, after which no swap would suit it.
    """
    started, used = time.monotonic(), _processor_seconds()
    build = read_build(options.build)
    if not build.bitstream:
        raise SqhwError(
            f"{options.build} is a project for the vendor's tools, which has no bitstream; "
            "write the ROM images anew with `sqhw build`"
        )
    check_swappable(build, options.build)
    program = suitable_program(options.network, build, options.build)
    suffix = PACKINGS[build.family].bitstream
    out = options.out or options.build.absolute().parent / f"swapped.{suffix}"
    kept = [options.build / name for name in (MANIFEST, *build.files)]
    writable(out, [options.network, *kept])
    found = swapped(
        options.build / build.placed,
        build.family,
        program,
        build.rom_pieces,
        build.fixed,
        seed=build.seed,
        finished=read_bytes(options.build / build.bitstream, MAX_BUILD_BYTES),
    )
    make_folder(out.parent)
    atomic_write_bytes(out, found.bitstream)
    return {
        "file": str(out),
        "board": build.board,
        "network": program.network.name,
        "bits_changed": found.bits,
        "words_read_back": found.words,
        "seconds": time.monotonic() - started,
        "processor_seconds": _processor_seconds() - used,
    }


def _processor_seconds() -> float:
    """Return the processor time of this process and of the tools that have ended."""
    return sum(os.times()[:4])


def suitable_program(network: Path, build: Build, folder: Path) -> Program:
    """Return the program of a network that suits a build.

    Raises
    ------
    SqhwError
        If it does not; the message says why.
    """
    engine = asdict(load_network(network).facts.engine)
    wanted = {**LATER_FIELDS, **build.engine}
    other = [name for name in engine if engine[name] != wanted.get(name)]
    if other:
        differences = ", ".join(
            f"{name} {engine[name]} instead of {wanted.get(name)}" for name in other
        )
        raise SqhwError(
            f"{network} is for another engine than the build in {folder} ({differences}); compress "
            "it for the same device and feature maps, or build anew"
        )
    program = program_of(network)
    for name, parts in build.rom_pieces.items():
        need, there = program.depths[name], depth_of(parts)
        if need > there:
            raise SqhwError(
                f"{network} needs {need} words of the {name} ROM, the build in {folder} has "
                f"{there}; compress it further, or build anew"
            )
    present = program_of(folder / NETWORK)
    for name in build.fixed:
        if program.image(name) != present.image(name):
            raise SqhwError(
                f"{network} has another content of the {name} ROM, which is not in block RAM in "
                f"the build in {folder} and cannot be swapped; build "
                "anew, from a network that leaves a block RAM free for it"
            )
    return program
