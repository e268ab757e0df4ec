"""The build of a board's bitstream: sources, clocks that are tried, packing, report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqhw.atomic import atomic_write_bytes, atomic_write_text
from sqhw.boards.board import Board
from sqhw.boards.clocks import DesignClock, fastest_below
from sqhw.boards.top import CORE
from sqhw.compiler.program import Program
from sqhw.cost_models.calibration_file import find_calibration, load_calibrations
from sqhw.cost_models.device import find_device
from sqhw.cost_models.engine_cost import EngineCost, engine_cost
from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError
from sqhw.export.build import write_rtl
from sqhw.export.readmemh import image_texts
from sqhw.machine.config import EngineConfig
from sqhw.machine.link import BUS_TIMEOUT_SECONDS
from sqhw.machine.naming import leaf_files, top_module
from sqhw.machine.rom_pieces import Pieces, depth_of, piece_names, to_plain
from sqhw.synth.bitstream import PACKINGS, place_board, placed_file
from sqhw.synth.board_roms import BoardRoms
from sqhw.synth.build_folder import identity_number
from sqhw.synth.place import PlaceReport
from sqhw.synth.swap import Swapped, placeholders, swapped

#: Name of the engine in the design of a board, with which its files begin.
ENGINE = "core"
#: Clocks that are tried before a build fails.
MAX_TRIES = 4


@dataclass(frozen=True)
class Placing:
    """What a placement is asked for.

    Parameters
    ----------
    limit : float
        Clock above which none is tried (unit: MHz).
    seed : int, 1 or more
        Seed of the placement and of the placeholders.
    """

    limit: float
    seed: int


@dataclass(frozen=True)
class Placed:
    """A placed design and the words of a network in its bitstream.

    Parameters
    ----------
    clock : DesignClock
    report : PlaceReport
    missed : tuple of (float, float)
        Clocks that were tried before, and what the design reached (unit: MHz).
    swapped : Swapped
    """

    clock: DesignClock
    report: PlaceReport
    missed: tuple[tuple[float, float], ...]
    swapped: Swapped


def predicted(engine: EngineConfig, board: Board, pieces: Pieces) -> EngineCost | None:
    """Return the modelled cost of an engine alone on a board's device.

    Returns
    -------
    EngineCost or None
        None if the family is not calibrated.
    """
    if board.device.family not in load_calibrations():
        return None
    depths = {name: depth_of(parts) for name, parts in pieces.items()}
    return engine_cost(engine, board.device, depths)


def modelled_clock(engine: EngineConfig, board: Board, pieces: Pieces) -> float:
    """Return the modelled clock of an engine less the stated error of the model (unit: MHz).

    Raises
    ------
    SqhwError
        If the clock of the family is not calibrated.
    """
    depths = {name: depth_of(parts) for name, parts in pieces.items()}
    calibrated = find_calibration(board.device.family).clock_devices
    for device in (board.device, *map(find_device, calibrated)):
        cost = engine_cost(engine, device, depths)
        if cost.fmax_mhz is not None:
            return cost.fmax_mhz * (1 - (cost.fmax_error or 0))
    raise SqhwError(
        f"the clock of {board.device.family} is not modelled; name the fastest clock that is tried "
        "with --clock"
    )


def identity_of(board: Board, engine: EngineConfig, pieces: Pieces, queue: int = 0) -> int:
    """Return the number of a build, which does not depend on the weights."""
    return identity_number(board.name, engine.to_dict(), to_plain(pieces), queue)


def verilog_sources(engine: str = ENGINE) -> tuple[str, ...]:
    """Return the Verilog files of the design of a board without the top module."""
    return (f"{CORE}.v", f"{top_module(engine)}.v", *leaf_files(engine).values())


def write_sources(
    program: Program, board: Board, clock: DesignClock, pieces: Pieces, work: Path, queue: int = 0
) -> None:
    """Write the Verilog of engine and core.

    Parameters
    ----------
    program : Program
    board : Board
    clock : DesignClock
    pieces : mapping of str to tuple of Piece
        Pieces of the ROMs.
    work : path
    queue : int
        Bytes of the queue of a tagged link; 0 for a plain one.
    """
    need_package("amaranth", "writing Verilog")
    from sqhw.rtl.board_bus import BoardBus
    from sqhw.rtl.board_top import BoardTop
    from sqhw.rtl.emit import component_verilog

    depths = {name: depth_of(parts) for name, parts in pieces.items()}
    write_rtl(program.engine, depths, work, "plain", pieces, ENGINE)
    timeout = round(BUS_TIMEOUT_SECONDS * clock.mhz * 1e6)
    last = program.network.formats()[program.network.layers[-1].name]
    core = BoardTop(
        top_module(ENGINE),
        clock.divisor(board.uart.baud),
        identity_of(board, program.engine, pieces, queue),
        len(board.leds.classes),
        last.signed,
        BoardBus(program.engine, queue, timeout) if queue else None,
    )
    atomic_write_text(work / f"{CORE}.v", component_verilog(core, CORE))


def write_images(program: Program, roms: BoardRoms, work: Path, seed: int | None) -> None:
    """Write the ROM images that synthesis reads.

    Parameters
    ----------
    program : Program
    roms : BoardRoms
    work : path
    seed : int or None
        Seed of the random words in the ROMs that can be swapped; None for the words of the program.
    """
    padded = program.padded({name: depth_of(parts) for name, parts in roms.pieces.items()})
    random = {} if seed is None else placeholders(roms.pieces, roms.fixed, seed)
    for image in padded.images:
        parts = roms.pieces[image.name]
        texts = image_texts(image, parts, ENGINE)
        names = piece_names(image.name, parts)
        for (file, text), name, piece in zip(texts.items(), names, parts, strict=True):
            if name in random:
                digits = -(-piece.bits // 4)
                text = "".join(f"{word:0{digits}x}\n" for word in random[name])
            atomic_write_text(work / file, text)


def build_bitstream(
    program: Program,
    board: Board,
    roms: BoardRoms,
    placing: Placing,
    *,
    work: Path,
    tell: Callable[[str], None],
    queue: int = 0,
) -> Placed:
    """Build a bitstream in a folder.

    Parameters
    ----------
    program : Program
    board : Board
    roms : BoardRoms
    placing : Placing
    work : path
    tell : callable
        Called with each stage.
    queue : int
        Bytes of the queue of a tagged link; 0 for a plain one.

    Raises
    ------
    SqhwError
        If a tool is missing or fails, or no clock is met.
    """
    limit, seed = placing.limit, placing.seed
    write_images(program, roms, work, seed)
    missed: list[tuple[float, float]] = []
    for _ in range(MAX_TRIES):
        clock = fastest_below(board, limit)
        tell(f"place and route at {clock.mhz:.2f} MHz")
        write_sources(program, board, clock, roms.pieces, work, queue)
        report, met = place_board(
            board,
            clock,
            verilog_sources(),
            work,
            seed=seed,
            single_port=program.engine.single_port,
        )
        if met:
            break
        missed.append((clock.mhz, report.fmax_mhz))
        limit = min(report.fmax_mhz, clock.mhz - 0.001)
    else:
        tries = ", ".join(f"{found:.1f} MHz at {tried:.1f}" for tried, found in missed)
        raise SqhwError(
            f"the design meets no clock that was tried: it reached {tries}; try another --seed or "
            "a lower --clock"
        )
    tell("words and bitstream")
    family = board.device.family
    words = swapped(work / placed_file(board), family, program, roms.pieces, roms.fixed, seed=seed)
    atomic_write_bytes(work / bitstream_file(family), words.bitstream)
    return Placed(clock, report, tuple(missed), words)


def bitstream_file(family: str) -> str:
    """Return the name of the bitstream of a build."""
    return f"board.{PACKINGS[family].bitstream}"
