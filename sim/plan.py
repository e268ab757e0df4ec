"""The plan of a network: all that the compiled code needs, in one block of bytes.

Layers with small maps come last in most networks. They run on several groups of images at once,
because one group does not fill the vectors of a block; all layers before run group after group, so
that their maps stay in the cache.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sqhw.network.graph import INPUT
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim.layout import Layout, paddings, places
from sqhw.sim.operations import Content, LayerWriter
from sqhw.sim.plan_layout import OP_FIELDS
from sqhw.sim.variants import Shape

#: Number of positions of a map below which a layer runs on several groups of images at once.
SMALL_MAP = 32
#: Largest number of groups at once, and the size of the arena that they may need (unit: byte).
MAX_GROUPS = 8
MAX_ARENA_BYTES = 1 << 27


@dataclass(frozen=True, eq=False)
class Plan:
    """A network, prepared.

    Parameters
    ----------
    content : ndarray of uint8
        Channel records, entries and blocks.
    operations : ndarray of int64, shape (operations, fields)
        Fields of `sqhw.sim.plan_layout.OP_FIELDS`.
    steps : dict of str to range
        Operations of each layer.
    split : int
        Number of operations that run group after group.
    groups : int
        Number of groups of images at once.
    layouts : dict of str to Layout
    offsets : dict of str to int
        Place of each tensor in the arena (unit: byte).
    arena_bytes : int
        Size of the arena.
    """

    content: npt.NDArray[np.uint8]
    operations: npt.NDArray[np.int64]
    steps: dict[str, range]
    split: int
    groups: int
    layouts: dict[str, Layout]
    offsets: dict[str, int]
    arena_bytes: int

    @property
    def images(self) -> int:
        """Largest number of images at once."""
        return self.groups * self.layouts[INPUT].lanes


@dataclass(frozen=True)
class Choice:
    """What a plan is made for.

    Parameters
    ----------
    shape : Shape
        Shape of vectors.
    keep : bool
        Whether all tensors are there at the end.
    raw : bool
        Whether the sums of convolutions are stored instead of their outputs.
    """

    shape: Shape
    keep: bool = False
    raw: bool = False


def prepare(network: QuantizedNetwork, choice: Choice) -> Plan:
    """Return the plan of a network."""
    positions = [height * width for _, height, width in network.shapes().values()][1:]
    split = len(positions)
    while not choice.keep and split and positions[split - 1] < SMALL_MAP:
        split -= 1
    groups = 1 if choice.keep else MAX_GROUPS
    layouts, offsets, size = _place(network, choice, split, groups)
    while groups > 1 and size > MAX_ARENA_BYTES:
        groups //= 2
        layouts, offsets, size = _place(network, choice, split, groups)
    content = Content()
    writer = LayerWriter(network, layouts, offsets, size, choice.raw, choice.shape)
    steps = dict[str, range]()
    operations = list[list[int]]()
    early = 0
    for at, layer in enumerate(network.layers):
        first = len(operations)
        for fields in writer.write(layer, content, groups if at >= split else 1):
            operations.append([fields[name] for name in OP_FIELDS])
        steps[layer.name] = range(first, len(operations))
        if at < split:
            early = len(operations)
    return Plan(
        content=np.concatenate(content.parts),
        operations=np.array(operations, np.int64),
        steps=steps,
        split=early,
        groups=groups,
        layouts=layouts,
        offsets=offsets,
        arena_bytes=size + writer.sums_bytes,
    )


def _place(
    network: QuantizedNetwork, choice: Choice, split: int, groups: int
) -> tuple[dict[str, Layout], dict[str, int], int]:
    """Return layouts, offsets and the size of the arena."""
    shapes, sides = network.shapes(), paddings(network)
    by_group = {INPUT, *(layer.name for layer in network.layers[:split])}
    lasting = {INPUT, network.layers[-1].name}
    for layer in network.layers[split:]:
        lasting |= set(layer.sources)
    lanes = choice.shape.lanes
    layouts = {
        name: Layout(shape, sides[name], lanes, 1 if name in by_group - lasting else groups)
        for name, shape in shapes.items()
    }
    keep = frozenset(shapes) if choice.keep else frozenset({INPUT, network.layers[-1].name})
    return layouts, *places(network, layouts, keep)
