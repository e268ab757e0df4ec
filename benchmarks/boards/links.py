"""Test images through the simulated serial line of boards, one at a time and in flight."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.boards.builds import DIGITS, LENET5
from benchmarks.boards.checks import DIGEST_MHZ
from benchmarks.boards.kept import kept
from benchmarks.engine.table import markdown
from sqhw.atomic import make_folder
from sqhw.boards.board_file import find_board
from sqhw.boards.clocks import fastest_below
from sqhw.compiler.program import Program
from sqhw.compiler.retarget import retargeted
from sqhw.data import load_dataset
from sqhw.files.digest import sha256_of
from sqhw.host.client import BoardClient
from sqhw.host.port import SerialPort
from sqhw.machine.link import PLAIN_LINK, TAGGED_LINK
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.build import queue_of
from sqhw.steps.program import program_of
from sqhw.synth.board_roms import board_roms
from sqhw.synth.build_board import modelled_clock, verilog_sources, write_images, write_sources
from sqhw.synth.build_folder import MAX_BUILD_BYTES
from sqhw.verify.board_sim import HARNESS, BoardSimulation
from sqhw.verify.job import job_of

#: Images of a run.
IMAGES = 100
#: Time without a new count of cycles after which a simulation rests (unit: s).
REST_SECONDS = 0.5


@dataclass(frozen=True)
class LinkCase:
    """Images through the simulated serial line of a board.

    Parameters
    ----------
    board : str
    network : path
    data : str
        Data set whose test images are taken: ``digits``, or ``mnist`` in a folder of the user's.
    link : str
        One of `sqhw.machine.link.LINKS`.
    retarget : bool
        Whether the network was compressed for another engine, and gets that of the board.
    """

    board: str
    network: Path
    data: str
    link: str
    retarget: bool = False


#: Runs by name.
CASES = {
    "digits-icebreaker": LinkCase("iCEBreaker", DIGITS, "digits", PLAIN_LINK),
    "mnist-icebreaker": LinkCase("iCEBreaker", LENET5, "mnist", PLAIN_LINK, retarget=True),
    "digits-ulx3s": LinkCase("ULX3S 25F", DIGITS, "digits", TAGGED_LINK),
    "mnist-ulx3s": LinkCase("ULX3S 25F", LENET5, "mnist", PLAIN_LINK),
    "mnist-ulx3s-in-flight": LinkCase("ULX3S 25F", LENET5, "mnist", TAGGED_LINK),
}


def link_row(name: str, mnist: str | None, work: Path) -> dict[str, Any] | None:
    """Return the result of a run, kept in a folder with the digest of its design.

    Returns
    -------
    dict or None
        None if the run needs a data set that the user does not name.
    """
    case = CASES[name]
    data = case.data if case.data == "digits" else mnist
    if data is None:
        return None
    folder = work / f"link-{name}"
    return kept(work / f"{name}.json", _digest(case, folder), lambda: _measure(case, data, folder))


def _write(case: LinkCase, limit: float | None, work: Path) -> tuple[float, int, int]:
    """Write a design; return its clock (unit: MHz), the cycles of a bit, and its queue."""
    make_folder(work)
    program, board = _program(case, work), find_board(case.board)
    queue = queue_of(program, case.link)
    roms = board_roms(program.engine, program.depths, board.device, queue)
    clock = fastest_below(board, limit or modelled_clock(program.engine, board, roms.pieces))
    write_images(program, roms, work, None)
    write_sources(program, board, clock, roms.pieces, work, queue)
    return clock.mhz, clock.divisor(board.uart.baud), queue


def _program(case: LinkCase, work: Path) -> Program:
    if not case.retarget:
        return program_of(case.network)
    device, path = find_board(case.board).device, work / "network.safetensors"
    save_network(retargeted(load_network(case.network), device), path)
    return program_of(path)


def _digest(case: LinkCase, work: Path) -> str:
    """Return digests of the design at one clock, and of the harness."""
    folder = work / "digest"
    _write(case, DIGEST_MHZ, folder)
    names = sorted(path for path in folder.iterdir() if path.suffix in (".v", ".hex"))
    harness = Path(str(files("sqhw.verify").joinpath(HARNESS)))
    return " ".join(sha256_of(path, MAX_BUILD_BYTES)[:16] for path in [*names, harness])


def _measure(case: LinkCase, data: str, work: Path) -> dict[str, Any]:
    """Run test images through the line and compare with the simulator."""
    mhz, divisor, queue = _write(case, None, work)
    program, board = _program(case, work), find_board(case.board)
    simulation = BoardSimulation(work, verilog_sources(), divisor, optimize=2)
    job = job_of(program, load_dataset(data).test.images[:IMAGES])
    equal = 0
    with simulation.port() as name, SerialPort(name, board.uart.baud) as port:
        client = BoardClient(port, *job.sizes, 0, spare_seconds=600, queue=queue)
        client.identify()
        before = _cycles(simulation)
        for index, *found in client.run_all([pixels.tobytes() for pixels in job.pixels]):
            equal += found == [job.results[index].tobytes(), job.cycles]
        cycles = _cycles(simulation) - before
    return {
        "board": board.name,
        "network": program.network.name,
        "link": case.link,
        "images": IMAGES,
        "equal": equal,
        "cycles": job.cycles,
        "line_cycles": cycles / IMAGES,
        "clock_mhz": mhz,
        "baud": board.uart.baud,
        "images_per_second": mhz * 1e6 * IMAGES / cycles,
        "retries": client.retries,
    }


def _cycles(simulation: BoardSimulation) -> int:
    """Return the cycles of a simulation that has come to rest."""
    found = -1
    while True:
        time.sleep(REST_SECONDS)
        before, found = found, simulation.cycles()
        if before == found:
            return found


def link_table(links: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the runs."""
    head = ("board, network", "link", "images", "equal to the simulator", "cycles of a run",
            "cycles with the line", "clock", "bit/s", "images/s", "sent again")  # fmt: skip
    rows = [
        (f"{one['board']}, {one['network']}", one["link"], str(one["images"]), str(one["equal"]),
         f"{one['cycles']:,}", f"{one['line_cycles']:,.0f}", f"{one['clock_mhz']:.2f}",
         f"{one['baud']:,}", f"{one['images_per_second']:,.1f}", str(one["retries"]))
        for one in links
    ]  # fmt: skip
    text = (
        "Links in simulation (CXXRTL, the host's client at a pseudo-terminal), test images. All "
        "runs take the cycles that are predicted. `uartbone` has frames in flight; `frames` waits "
        "for each answer. The host's own time is left out. The clock is the modelled one of the "
        "design that is simulated, or a limit of the case; place and route may miss it, so "
        "images/s of a board are those at the clock of its build.\n\n"
    )
    return text + markdown(head, rows)
