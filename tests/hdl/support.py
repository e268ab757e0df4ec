"""Runs Amaranth components in Amaranth's own simulator, cycle by cycle."""

import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import count
from operator import attrgetter
from typing import Any

from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, Const, StructLayout
from amaranth.sim import Simulator, SimulatorContext
from strategies import random_network, reads_with_one_stride

from sqhw.compiler.program import Program, compile_network
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import descriptor_fields, descriptor_words, rom_widths
from sqhw.machine.rom_pieces import Piece

#: Inputs that change at the beginning of a cycle, by name; all others keep their values.
Inputs = Mapping[str, Any]
#: Values of outputs at the end of a cycle, by name.
Outputs = dict[str, Any]

#: Limits of the random networks for an engine, by the features that the engine has.
FEATURES = {
    "chains": {"groups": False, "residuals": False},
    "groups": {"groups": True, "residuals": False},
    "residuals": {"groups": False, "residuals": True},
    "both": {"groups": True, "residuals": True},
}

SIGNED = {"start_dx", "start_dy", "last_dx", "clamp_lo"}


def simulate(
    component: wiring.Component,
    bench: Callable[[SimulatorContext], Awaitable[None]],
    rom: Sequence[int] | None = None,
    rom_cycles: int = 1,
) -> None:
    """Run a component until `bench` ends, with a ROM at its `rom_addr` and `rom_data`.

    Words beyond the end of the ROM are random. A word comes `rom_cycles` after its address.
    """
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    if rom is not None:
        noise = random.Random(0)
        bits = len(component.rom_data)

        async def memory(ctx: SimulatorContext) -> None:
            words = deque(noise.getrandbits(bits) for _ in range(rom_cycles - 1))
            async for _, _, address in ctx.tick().sample(component.rom_addr):
                words.append(rom[address] if address < len(rom) else noise.getrandbits(bits))
                ctx.set(component.rom_data, words.popleft())

        simulator.add_process(memory)
    simulator.run()


def drive(ctx: SimulatorContext, component: wiring.Component, inputs: Inputs) -> None:
    """Set inputs by name, as `write.en`; structures are dictionaries, arrays are lists."""
    for name, value in inputs.items():
        ctx.set(attrgetter(name)(component), value)


def observe(ctx: SimulatorContext, component: wiring.Component, names: Iterable[str]) -> Outputs:
    """Return outputs by name; structures are dictionaries, arrays are lists."""
    return {name: plain(ctx.get(attrgetter(name)(component))) for name in names}


def plain(value: Any) -> Any:
    """Return a constant of Amaranth as an integer, a list or a dictionary."""
    if not isinstance(value, Const):
        return value
    layout = value.shape()
    if isinstance(layout, ArrayLayout):
        return [plain(value[index]) for index in range(layout.length)]
    assert isinstance(layout, StructLayout)
    return {name: plain(value[name]) for name in layout.members}


def clocked(
    component: wiring.Component,
    stimulus: Iterable[Inputs],
    outputs: Sequence[str],
    rom: Sequence[int] | None = None,
    rom_cycles: int = 1,
) -> list[Outputs]:
    """Return the outputs of a component in every cycle of a stimulus."""
    seen: list[Outputs] = []

    async def bench(ctx: SimulatorContext) -> None:
        for inputs in stimulus:
            drive(ctx, component, inputs)
            seen.append(observe(ctx, component, outputs))
            await ctx.tick()

    simulate(component, bench, rom, rom_cycles)
    return seen


class Timeline:
    """Inputs of a component by cycle, in any order; an input that is not set keeps its value."""

    def __init__(self) -> None:
        self._inputs: dict[int, dict[str, Any]] = defaultdict(dict)

    def set(self, cycle: int, inputs: Inputs) -> None:
        """Give inputs their values from a cycle on."""
        self._inputs[cycle] |= inputs

    def pulse(self, cycle: int, *names: str) -> None:
        """Set inputs to 1 for one cycle; before the first pulse they are 0."""
        for name in names:
            self._inputs[cycle][name] = 1
            self._inputs[cycle + 1].setdefault(name, 0)

    def stimulus(self, cycles: int) -> list[Inputs]:
        """Return the inputs of that number of cycles, for `clocked`."""
        assert max(self._inputs) < cycles
        return [self._inputs.get(cycle, {}) for cycle in range(cycles)]


def layer_inputs(component: wiring.Component, table: Mapping[str, int]) -> Inputs:
    """Return the inputs with the fields of the layer descriptor that a component reads."""
    return {f"layer.{name}": table[name] for name in component.layer.signature.members}


def in_four(engine: EngineConfig, depths: Mapping[str, int]) -> dict[str, tuple[Piece, ...]]:
    """Return ROMs of four unequal pieces each."""
    found = {}
    for name, width in rom_widths(engine).items():
        half = 1 << (depths[name] - 1).bit_length() - 1
        rest = depths[name] - half
        found[name] = (
            Piece(0, half, 0, 3), Piece(0, half, 3, width - 3),
            Piece(half, rest, 0, 5), Piece(half, rest, 5, width - 5),
        )  # fmt: skip
    return found


def random_program(seed: int, engine: EngineConfig, **limits: Any) -> Program:
    """Compile the first random network, from a seed upwards, whose maps have one stride each."""
    candidates = (random_network(1000 * seed + index, **limits) for index in count())
    return compile_network(next(filter(reads_with_one_stride, candidates)), engine)


def descriptors(program: Program) -> list[dict[str, int]]:
    """Return the layer descriptors in the parameter ROM of a program."""
    engine: EngineConfig = program.engine
    words, bits = descriptor_words(engine), engine.word_bits
    image = program.image("params").words
    tables = []
    for layer in range(len(program.network.layers)):
        chunk = image[layer * words : (layer + 1) * words]
        rest = sum(word << bits * index for index, word in enumerate(chunk))
        table = {}
        for name, width in descriptor_fields(engine):
            value, rest = rest & ((1 << width) - 1), rest >> width
            table[name] = value - (1 << width) * (name in SIGNED and value >> (width - 1))
        tables.append(table)
    return tables
