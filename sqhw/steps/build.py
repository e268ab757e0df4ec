"""`sqhw build`: a network on a board, as a bitstream or as a project for the vendor's tools."""

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqhw.atomic import atomic_write_text, make_folder
from sqhw.boards.board import Board
from sqhw.boards.board_file import find_board
from sqhw.boards.clocks import DesignClock, fastest_below
from sqhw.boards.no_flow import check_known, no_flow
from sqhw.boards.top import TOP, top_verilog
from sqhw.boards.vendor import DEFAULT_MHZ, VENDORS, project_files
from sqhw.compiler.program import Program
from sqhw.cost_models.banks import single_port_use
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError, unknown_name
from sqhw.files.own_folder import check_own, mark_own
from sqhw.machine.link import LINKS, TAGGED_LINK, queue_bytes
from sqhw.machine.rom_pieces import to_plain
from sqhw.network.quantized_file import save_network
from sqhw.report.results import BuildFigures, BuildResult
from sqhw.steps.options import BuildOptions
from sqhw.steps.program import program_of
from sqhw.steps.progress import Progress, silent
from sqhw.synth.bitstream import PACKINGS, board_flow, placed_file
from sqhw.synth.board_roms import BoardRoms, board_roms
from sqhw.synth.build_board import (
    Placed,
    Placing,
    bitstream_file,
    build_bitstream,
    identity_of,
    modelled_clock,
    predicted,
    verilog_sources,
    write_images,
    write_sources,
)
from sqhw.synth.build_folder import FORMAT, MANIFEST, Build, file_digest, write_build
from sqhw.synth.tools import find_tool

#: Network of a build, in its folder.
NETWORK = "network.safetensors"
#: Files of the tools that a build does not keep.
SCRATCH = ("netlist.json", "pack.log", "report.json", "stat.json", "unpack.log")


def build(options: BuildOptions, progress: Progress = silent) -> BuildResult:
    """Build a network for a board; the folder is written whole or not at all.

    Raises
    ------
    SqhwError
        If the network does not fit, no clock is met, or a tool is missing or fails.
    """
    started = time.monotonic()
    flows = (*PACKINGS, *VENDORS)
    check_known(options.board, flows)
    board = find_board(options.board)
    if board.device.family not in flows:
        raise no_flow(f"board {board.name!r}", board.device)
    check_own(options.out, "--out")
    if options.link not in LINKS:
        raise unknown_name("link", options.link, LINKS)
    program = program_of(options.network)
    if program.engine.cores > 1:
        raise SqhwError(
            f"{options.network}: its engine has {program.engine.cores} cores, a board runs one; "
            "write them for a design of your own with `sqhw rtl`"
        )
    queue = queue_of(program, options.link)
    roms = board_roms(program.engine, program.depths, board.device, queue)
    if board.device.family in VENDORS:
        return _project(options, program, board, roms)
    limit = options.clock or modelled_clock(program.engine, board, roms.pieces)
    fastest_below(board, limit)
    for tool in ("yosys", board_flow(board).tool):
        find_tool(tool)

    def tell(stage: str) -> None:
        progress(stage, 0, 1, "")

    with _whole_folder(options.out) as work:
        placed = build_bitstream(
            program,
            board,
            roms,
            Placing(limit, options.seed),
            work=work,
            tell=tell,
            queue=queue,
        )
        for name in SCRATCH:
            (work / name).unlink(missing_ok=True)
        _finish(work, program, _manifest(options, program, board, roms, placed.clock))
    return _result(options, program, board, roms, placed, time.monotonic() - started)


def _project(options: BuildOptions, program: Program, board: Board, roms: BoardRoms) -> BuildResult:
    """Write a project for the vendor's tools."""
    started = time.monotonic()
    clock = fastest_below(board, options.clock or DEFAULT_MHZ)
    with _whole_folder(options.out) as work:
        write_images(program, roms, work, None)
        write_sources(program, board, clock, roms.pieces, work, queue_of(program, options.link))
        atomic_write_text(work / f"{TOP}.v", top_verilog(board, clock))
        sources = (*verilog_sources(), f"{TOP}.v")
        for name, text in project_files(board, clock, sources).items():
            atomic_write_text(work / name, text)
        _finish(work, program, _manifest(options, program, board, roms, clock))
    return _result(options, program, board, roms, clock, time.monotonic() - started)


def queue_of(program: Program, link: str) -> int:
    """Return the bytes of the queue of a link; 0 for a plain one."""
    return queue_bytes(math.prod(program.network.input_shape)) if link == TAGGED_LINK else 0


def _manifest(
    options: BuildOptions, program: Program, board: Board, roms: BoardRoms, clock: DesignClock
) -> Build:
    queue = queue_of(program, options.link)
    open_tools = board.device.family in PACKINGS
    return Build(
        format=FORMAT,
        board=board.name,
        device=board.device.name,
        family=board.device.family,
        engine=program.engine.to_dict(),
        pieces=to_plain(roms.pieces),
        fixed=roms.fixed,
        clock_mhz=clock.mhz,
        baud=board.uart.baud,
        divisor=clock.divisor(board.uart.baud),
        identity=identity_of(board, program.engine, roms.pieces, queue),
        seed=options.seed,
        placed=placed_file(board) if open_tools else "",
        bitstream=bitstream_file(board.device.family) if open_tools else "",
        network=program.network.name,
        files={},
        queue=queue,
    )


def _finish(work: Path, program: Program, manifest: Build) -> None:
    """Write the network, and the manifest with the digest of every file of a folder."""
    save_network(program.network, work / NETWORK)
    names = sorted(path.name for path in work.iterdir() if not path.name.startswith("."))
    digests = {name: file_digest(work / name) for name in names if name != MANIFEST}
    write_build(work, replace(manifest, files=digests))


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out`, which takes its place if nothing fails."""
    make_folder(out.absolute().parent)
    parent = out.absolute().parent
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=parent))
    try:
        mark_own(work)
        try:
            yield work
        except SqhwError as error:
            # The logs are removed with the folder.
            raise SqhwError(str(error).partition("; see ")[0]) from None
        work.chmod(0o755)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=parent))
            out.rename(old / "old")
            work.rename(out)
            shutil.rmtree(old)
        else:
            work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _result(
    options: BuildOptions,
    program: Program,
    board: Board,
    roms: BoardRoms,
    built: Placed | DesignClock,
    seconds: float,
) -> BuildResult:
    cost = predicted(program.engine, board, roms.pieces)
    placed = built if isinstance(built, Placed) else None
    clock = built.clock if isinstance(built, Placed) else built
    device = board.device
    cycles = schedule(program.network, program.engine, program.batch).cycles
    names = {"luts": "LUTs", "ffs": "flip-flops", "brams": f"{device.bram.name}", "dsps": "DSPs"}
    figures: list[BuildFigures] = [
        {
            "name": shown,
            "model": None if cost is None else getattr(cost, name),
            "placed": None if placed is None else getattr(placed.report, name),
            "available": getattr(device, name),
        }
        for name, shown in names.items()
    ]
    single = single_port_use(program.engine, device)
    if single is not None:
        count = None if placed is None else placed.report.single_port
        figures.append(
            {
                "name": single["block"],
                "model": single["blocks"],
                "placed": count,
                "available": single["available"],
            }
        )
    vendor = VENDORS.get(device.family)
    return {
        "folder": str(options.out),
        "bitstream": str(options.out / bitstream_file(device.family)) if placed else None,
        "vendor_command": None if vendor is None else vendor.command,
        "board": board.name,
        "device": device.name,
        "network": program.network.name,
        "figures": figures,
        "model_mhz": None if cost is None else cost.fmax_mhz,
        "fmax_mhz": placed.report.fmax_mhz if placed else None,
        "clock_mhz": clock.mhz,
        "missed": [list(pair) for pair in placed.missed] if placed else [],
        "cycles": cycles,
        "images_per_second": clock.mhz * 1e6 * program.batch / cycles,
        "fixed": list(roms.fixed),
        "words_read_back": placed.swapped.words if placed else 0,
        "seconds": seconds,
        "load": board.load,
    }
