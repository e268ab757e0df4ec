"""Images through a damaged engine: only the layers from the first damaged one on are computed."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.compiler.program import Program
from sqhw.faults import exact
from sqhw.faults.damaged import DamagedLayer, RomReader
from sqhw.faults.exact import Maps
from sqhw.network.graph import INPUT
from sqhw.network.quantized import Conv
from sqhw.sim import kernels
from sqhw.sim.arenas import Bytes, Runner
from sqhw.sim.operations import Content, LayerWriter
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.plan_layout import OP_FIELDS
from sqhw.sim.simulator import check_range

#: Flips of a map: which bits of each byte of some images change, uint8 of the shape of the maps.
Flips = Callable[[slice], npt.NDArray[np.uint8]]


class FaultBench:
    """Runs images through a network with damaged layers and damaged maps.

    The simulator's compiled code runs all layers that it can: those without damage, and damaged
    ones whose numbers it takes. The others are computed by `sqhw.faults.exact`. The maps of all
    images stay in memory, so only what comes after the first damage is computed anew.

    Parameters
    ----------
    program : Program
    images : ndarray of int, shape (images, channels, height, width)
        Raw pixels within the network's input format.
    threads : int
    """

    def __init__(self, program: Program, images: npt.NDArray[Any], threads: int = 1) -> None:
        network = program.network
        check_range(network)
        self.program = program
        self.reader = RomReader(program)
        self._threads = threads
        self._images = np.ascontiguousarray(images, np.int32)
        self._plan = prepare(network, Choice(kernels.SHAPE, keep=True))
        self._runner = Runner(self._plan)
        self._shapes, self._formats = network.shapes(), network.formats()
        self._lent = ExitStack()
        self._arenas = [
            (
                slice(start, min(len(images), start + kernels.LANES)),
                self._lent.enter_context(self._runner.arena()),
            )
            for start in range(0, len(images), kernels.LANES)
        ]
        self._clean = -1  # layers whose maps are those without damage; -1: the input is not either
        self.logits = self.run({})

    def run(
        self, damaged: Mapping[int, DamagedLayer], flips: Mapping[str, Flips] | None = None
    ) -> Maps:
        """Return the network's outputs, shape (images, channels * height * width).

        Parameters
        ----------
        damaged : mapping of int to DamagedLayer
            Damaged layers by their number.
        flips : mapping of str to callable, optional
            Flips of maps by name. They happen when the map is whole, ahead of its first reader.
        """
        flips = flips or {}
        names = [layer.name for layer in self.program.network.layers]
        touched = [*damaged, *(names.index(name) for name in flips if name != INPUT)]
        first = -1 if INPUT in flips else min(touched, default=len(names))
        compiled = {at: self._compiled(at, numbers, flips) for at, numbers in damaged.items()}
        wide = {name for name in flips if self._formats[name].bits < 8}

        def part(item: tuple[slice, Bytes]) -> Maps:
            images, arena = item
            if self._clean < 0:
                self._runner.load(arena, self._images[images])
            if first > self._clean:
                self._golden(arena, max(self._clean, 0), first)
            if INPUT in flips:
                self._flip(arena, INPUT, images, flips[INPUT])
            for at in range(max(first, 0), len(names)):
                layer = self.program.network.layers[at]
                code = compiled.get(at)
                if code is not None:
                    kernels.run(code[0], code[1], len(code[1]), arena, 1)
                elif at in damaged or wide & set(layer.sources):
                    numbers = damaged.get(at) or self._whole(at)
                    self._compute(arena, at, numbers, images)
                else:
                    self._golden(arena, at, at + 1)
                if layer.name in flips:
                    self._flip(arena, layer.name, images, flips[layer.name])
            return self._read(arena, names[-1], images)

        with ThreadPoolExecutor(self._threads) as pool:
            found = np.concatenate(list(pool.map(part, self._arenas)))
        self._clean = first
        return found.reshape(len(found), -1)

    def maps(self, name: str) -> Maps:
        """Return a map as the last run left it, shape (images, channels, height, width)."""
        return np.concatenate([self._read(arena, name, part) for part, arena in self._arenas])

    def _whole(self, at: int) -> DamagedLayer:
        return self.reader.read(at, self.reader.roms())

    def _golden(self, arena: Bytes, first: int, end: int) -> None:
        """Run layers without damage."""
        names = list(self._plan.steps)
        if first < end:
            steps = self._plan.steps
            chosen = slice(steps[names[first]].start, steps[names[end - 1]].stop)
            operations = self._plan.operations[chosen]
            kernels.run(self._plan.content, operations, len(operations), arena, 1)

    def _compiled(
        self, at: int, numbers: DamagedLayer, flips: Mapping[str, Flips]
    ) -> tuple[Bytes, npt.NDArray[np.int64]] | None:
        """Return a damaged layer for the compiled code, or nothing if that does not take it."""
        layer, plan = self.program.network.layers[at], self._plan
        if not isinstance(layer, Conv) or numbers.weight.shape != layer.weight.shape:
            return None
        if any(self._formats[name].bits < 8 for name in layer.sources if name in flips):
            return None
        if numbers.multiplier.min() < 1:
            return None
        other = replace(
            layer,
            weight=numbers.weight,
            bias=numbers.bias.astype(np.int32),
            multiplier=numbers.multiplier.astype(np.int32),
            shift=numbers.shift.astype(np.int32),
        )
        skip = self._formats[layer.residual.source] if layer.residual else None
        bound = other.acc_bound(self._formats[layer.source], skip).max()
        if bound >= 1 << (self.program.engine.acc_bits - 1):
            return None
        sums = int(plan.operations[0, OP_FIELDS.index("sums")])
        writer = LayerWriter(
            self.program.network, plan.layouts, plan.offsets, sums, raw=False, shape=kernels.SHAPE
        )
        content = Content()
        operations = [
            [fields[name] for name in OP_FIELDS] for fields in writer.write(other, content, 1)
        ]
        if sums + writer.sums_bytes > plan.arena_bytes:
            return None
        return np.concatenate(content.parts), np.array(operations, np.int64)

    def _compute(self, arena: Bytes, at: int, numbers: DamagedLayer, images: slice) -> None:
        """Compute a layer that the compiled code does not take."""
        layer = self.program.network.layers[at]
        maps = tuple(self._read(arena, name, images) for name in layer.sources)
        acc_bits = self.program.engine.acc_bits
        self._write(
            arena,
            layer.name,
            exact.output(layer, numbers, maps, self._formats[layer.name], acc_bits),
        )

    def _flip(self, arena: Bytes, name: str, images: slice, flips: Flips) -> None:
        """Change bits of the bytes of a map."""
        stored = self._read(arena, name, images).astype(np.uint8) ^ flips(images)
        kind = np.int8 if self._formats[name].signed else np.uint8
        self._write(arena, name, stored.view(kind).astype(np.int32))

    def _read(self, arena: Bytes, name: str, images: slice) -> Maps:
        maps = np.empty((images.stop - images.start, *self._shapes[name]), np.int32)
        self._runner.read(arena, name, maps)
        return maps

    def _write(self, arena: Bytes, name: str, maps: Maps) -> None:
        layout = self._plan.layouts[name]
        kernels.pack(np.ascontiguousarray(maps, np.int32), arena, self._plan.offsets[name], layout)
