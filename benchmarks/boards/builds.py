"""The builds of the benchmark, and swaps in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.boards.checks import is_current, patched_by_tool, patched_in_text
from benchmarks.boards.study import with_engine
from sqhw.atomic import atomic_write_text
from sqhw.boards.board_file import find_board
from sqhw.compiler.retarget import retargeted
from sqhw.cost_models.schedule import frame_cycles
from sqhw.machine.link import PLAIN_LINK, TAGGED_LINK
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.build import build
from sqhw.steps.options import BuildOptions, SwapOptions
from sqhw.steps.program import program_of
from sqhw.steps.swap import swap
from sqhw.synth.build_folder import read_build

HERE = Path(__file__).parent
COMPRESSED = HERE.parent / "compression" / "results"
DIGITS, RESNET8 = HERE / "digits.safetensors", HERE.parent / "engine" / "resnet8.safetensors"
LENET5 = COMPRESSED / "lenet5" / "hardware-rom60000.safetensors"
RESNET20 = COMPRESSED / "resnet20" / "hardware-rom344000.safetensors"


@dataclass(frozen=True)
class Case:
    """A build.

    Parameters
    ----------
    board : str
    network : path
    link : str
        One of `sqhw.machine.link.LINKS`.
    clock : float or None
        Clock above which none is tried (unit: MHz); by default that of the model.
    retarget : bool
        Whether the network was compressed for another engine, and gets that of the board.
    lanes : tuple of (int, int) or None
        Lanes of an engine that the network gets, and how many of them multiply in DSP blocks.
    """

    board: str
    network: Path
    link: str = PLAIN_LINK
    clock: float | None = None
    retarget: bool = False
    lanes: tuple[int, int] | None = None


#: Builds by name.
CASES = {
    "icebreaker-digits": Case("iCEBreaker", DIGITS),
    "icebreaker-lenet5": Case("iCEBreaker", LENET5, clock=34.5, retarget=True),
    "ulx3s-25f-digits": Case("ULX3S 25F", DIGITS),
    "ulx3s-25f-digits-uartbone": Case("ULX3S 25F", DIGITS, TAGGED_LINK),
    "ulx3s-85f-resnet20": Case("ULX3S 85F", RESNET20),
    "ulx3s-85f-resnet8": Case("ULX3S 85F", RESNET8, lanes=(32, 8)),
}


def network_file(name: str, work: Path) -> Path:
    """Return the file of a build's network, with the engine of the build."""
    case = CASES[name]
    device, network = find_board(case.board).device, load_network(case.network)
    if case.retarget:
        network = retargeted(network, device)
    elif case.lanes:
        network = with_engine(network, device, *case.lanes)
    else:
        return case.network
    path = work / f"{name}.safetensors"
    save_network(network, path)
    return path


def build_row(name: str, work: Path) -> dict[str, Any]:
    """Return the result of a build, which is kept beside its folder.

    It is made anew if the present commit writes other Verilog for it.
    """
    case, network = CASES[name], network_file(name, work)
    result = work / f"{name}.json"
    if not (result.is_file() and is_current(work / name, network, case.board)):
        print(f"build: {name}", flush=True)
        options = BuildOptions(
            network=network, board=case.board, out=work / name, clock=case.clock, link=case.link
        )
        atomic_write_text(result, json.dumps(build(options)))
    found: dict[str, Any] = json.loads(result.read_text())
    program = program_of(network)
    frame = round(frame_cycles(program.network, program.engine, found["cycles"], 1))
    return _named(found) | {"link": case.link, "frame_cycles": frame}


def swap_row(name: str, work: Path) -> dict[str, Any]:
    """Return the result of a swap of a network with other biases, and of the second opinion."""
    other = work / f"{name}-other.safetensors"
    original = load_network(network_file(name, work))
    layers = tuple(
        replace(layer, bias=-layer.bias) if hasattr(layer, "bias") else layer
        for layer in original.layers
    )
    save_network(replace(original, layers=layers), other)
    suffix = Path(read_build(work / name).bitstream).suffix
    bitstream = work / f"{name}-other{suffix}"
    found = _named(swap(SwapOptions(build=work / name, network=other, out=bitstream)))
    same = patched_by_tool(work / name, other, bitstream, work / f"{name}-tool")
    packed = patched_in_text(work / name, other, bitstream)
    return found | {"name": name, "equal_to_tool": same, "equal_to_packed": packed}


def _named(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a step with the names of its files, without the folders of a machine."""
    paths = ("folder", "bitstream", "file")
    return {**result, **{key: Path(result[key]).name for key in paths if key in result}}
