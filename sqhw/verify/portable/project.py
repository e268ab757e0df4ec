"""Writes the bench: engine, ROM images, vectors, and the files that run them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import is_file, make_folder
from sqhw.compiler.program import Program
from sqhw.errors import SqhwError, shown
from sqhw.export.build import write_rom, write_rtl
from sqhw.export.file_set import DIGESTS, write_set
from sqhw.export.manifest import FILES, read_manifest
from sqhw.machine.naming import DEFAULT_NAME, verilog_files
from sqhw.machine.rom_pieces import Pieces, depth_of
from sqhw.network.quantized_file import digest_of
from sqhw.verify.expected import written
from sqhw.verify.job import Job, job_of
from sqhw.verify.runner import CONFIGURATION

#: Version of the manifest.
VERSION = 1
#: Word of a byte beyond its map.
ANYTHING = 0x100
#: Most characters of a layer's name in the messages of the Verilog.
MAX_NAME_CHARS = 64
#: Files of the bench by the names of those that they are made from.
TEMPLATES = {
    "bench_top.v": "bench_top.v",
    "bench_plain.v": "bench_plain.v",
    "cocotb_bench.py": "cocotb_bench.py",
    "run_bench.py": "test_@NAME@_bench.py",
    "Makefile": "Makefile",
    "README.md": "README.md",
}
#: Ports of an engine whose ROMs can be written, which the bench leaves alone.
TIED = """\
      .rom_write_en(1'b0),
      .rom_write_select(2'b0),
      .rom_write_addr(0),
      .rom_write_data(0),
      .reload(1'b0),
"""


@dataclass(frozen=True)
class BenchOptions:
    """What a bench is made of.

    Parameters
    ----------
    folder : Path
        Folder of the bench, made if missing.
    pieces : mapping of str to tuple of Piece
        Pieces of the ROMs.
    name : str
        Prefix of modules and files.
    """

    folder: Path
    pieces: Pieces
    name: str = DEFAULT_NAME


def write_bench(program: Program, images: npt.NDArray[Any], options: BenchOptions) -> list[Path]:
    """Write a bench that runs images; return the paths.

    Parameters
    ----------
    program : Program
        Program for runs of one image.
    images : ndarray of int, shape (images, channels, height, width)
    options : BenchOptions

    Raises
    ------
    SqhwError
        If the folder has files of the same names that are not those of a bench, or cannot be
        written to.
    """
    folder, name, pieces = options.folder, options.name, options.pieces
    job = job_of(program, images)
    facts = _facts(program, job, name)
    contents = {
        **_vectors(program, job),
        **dict(_texts(program, job, facts, name)),
    }
    _check_folder(folder, [*contents, *verilog_files(name)])
    make_folder(folder)
    depths = {rom: depth_of(parts) for rom, parts in pieces.items()}
    paths = write_rtl(program.engine, depths, folder, "plain", pieces, name)
    paths += write_rom(program, folder, pieces, name)
    return paths + write_set(
        folder, "bench", program.engine, contents, facts, lambda file: file.endswith("_bench.py")
    )


def _check_folder(folder: Path, names: Sequence[str]) -> None:
    """Check that none of the files would replace one that is no bench's."""
    known: set[str] = set()
    for kind in ("bench", "rtl", "rom"):
        if is_file(folder / FILES[kind]):
            known |= set(read_manifest(folder, kind).get(DIGESTS, {}))
    for name in names:
        if name not in known and (folder / name).exists():
            raise SqhwError(
                f"{folder / name} is no file of a bench that sqhw wrote, and would be replaced; "
                "name another folder with --bench"
            )


def _facts(program: Program, job: Job, name: str) -> dict[str, Any]:
    shapes = program.network.shapes()
    formats = program.network.formats()
    return {
        "version": VERSION,
        "name": name,
        "network": program.network.name,
        "network_sha256": digest_of(program.network),
        "top": f"{name}_bench_top",
        "sources": ["bench_top.v", *verilog_files(name)],
        "images": len(job.pixels),
        "bytes": job.writeback.shape[1],
        "cycles": job.cycles,
        "patience": 100 + 4 * max(job.waits.ready, job.waits.result),
        "layers": [
            {
                "name": layer.name,
                "shape": list(shapes[layer.name]),
                "signed": formats[layer.name].signed,
            }
            for layer in program.network.layers
        ],
    }


def _vectors(program: Program, job: Job) -> dict[str, bytes]:
    """Return the vectors as text for ``$readmemh``, by file name."""
    activations = np.where(job.writeback < 0, ANYTHING, job.writeback)
    places = []
    for layer, tiling in enumerate(program.tilings):
        at = written(tiling)
        numbers = (at.channel, at.row, at.column)
        word = np.full(at.inside.shape, layer, dtype=np.uint64)
        for number in numbers:
            word = word << np.uint64(16) | (number.astype(np.uint64) & np.uint64(0xFFFF))
        places.append(word)
    return {
        "pixels.hex": _lines(job.pixels, 2),
        "results.hex": _lines(job.results, 2),
        "activations.hex": _lines(activations, 3),
        "places.hex": _lines(np.concatenate(places), 16),
    }


def _lines(values: npt.NDArray[Any], digits: int) -> bytes:
    return "".join(f"{value:0{digits}x}\n" for value in values.ravel().tolist()).encode()


def _texts(
    program: Program, job: Job, facts: Mapping[str, Any], name: str
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file that is made from a template."""
    channels, _, width = facts["layers"][-1]["shape"]
    layers = [
        f'      {index}: $write("{verilog_text(layer["name"])}");'
        for index, layer in enumerate(facts["layers"])
    ]
    values = {
        "NAME": name,
        "NETWORK": shown(program.network.name)[1:-1],
        "IMAGES": facts["images"],
        "PIXELS": job.sizes[0],
        "RESULTS": job.sizes[1],
        "BYTES": facts["bytes"],
        "CHANNELS": channels,
        "WIDTH": width,
        "CYCLES": job.cycles,
        "PATIENCE": facts["patience"],
        "WB_BITS": 8 * program.engine.requantizers,
        "TIED": TIED if program.engine.writable else "",
        "LAYERS": "\n".join(layers),
        "SOURCES": " ".join(verilog_files(name)),
    }
    folder = files("sqhw.verify.portable")
    for source, file in TEMPLATES.items():
        text = folder.joinpath(source).read_text(encoding="utf-8")
        if not source.endswith(".py"):
            for key, value in values.items():
                text = text.replace(f"@{key}@", str(value))
        yield file.replace("@NAME@", name), text.encode()
    yield "verilator.vlt", CONFIGURATION.format(top=facts["top"]).encode()


def verilog_text(text: str) -> str:
    """Return a text for the inside of a Verilog string, shortened if it is long."""
    cut = text if len(text) <= MAX_NAME_CHARS else f"{text[:MAX_NAME_CHARS]}..."
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in cut)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
