"""Where activations lie: tensors with their padding, images and two channels innermost.

A tensor is an array of int16, shape (groups, pairs of channels, padded height, padded width, lanes,
2). A group is as many images as a vector has lanes. Its padding suits all readers and stays 0,
because only tensors of the same shape and padding share memory. All tensors are in one arena.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from sqhw.network.graph import INPUT, Graph, GraphConv, Padding, Shape

#: Alignment of tensors in the arena (unit: byte).
ALIGNMENT = 64


@dataclass(frozen=True)
class Layout:
    """The layout of a tensor.

    Parameters
    ----------
    shape : tuple of int (channels, height, width)
    padding : tuple of int (top, bottom, left, right)
    lanes : int
        Images of a vector.
    groups : int
        Number of groups of images that the tensor holds at a time.
    """

    shape: Shape
    padding: Padding
    lanes: int
    groups: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width with padding."""
        top, bottom, left, right = self.padding
        return self.shape[1] + top + bottom, self.shape[2] + left + right

    @property
    def pairs(self) -> int:
        """Number of pairs of channels; the last may have one channel only."""
        return -(-self.shape[0] // 2)

    @property
    def column(self) -> int:
        """Distance from a column to the next (unit: byte)."""
        return 4 * self.lanes

    @property
    def row(self) -> int:
        """Distance from a row to the next (unit: byte)."""
        return self.padded[1] * self.column

    @property
    def plane(self) -> int:
        """Distance from a pair of channels to the next (unit: byte)."""
        return self.padded[0] * self.row

    @property
    def group(self) -> int:
        """Distance from a group of images to the next, 0 if there is one only (unit: byte)."""
        return self.pairs * self.plane if self.groups > 1 else 0

    @property
    def size(self) -> int:
        """Size of the tensor, a multiple of the alignment (unit: byte)."""
        size = self.groups * self.pairs * self.plane
        return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass
class Arena:
    """Places for tensors; memory is reused by tensors of an equal layout.

    Attributes
    ----------
    size : int
        Number of bytes given out so far.
    """

    size: int = 0
    _free: dict[Layout, list[int]] = field(default_factory=lambda: defaultdict(list))

    def take(self, layout: Layout) -> int:
        """Return the offset of a place for a tensor (unit: byte)."""
        if self._free[layout]:
            return self._free[layout].pop()
        offset = self.size
        self.size += layout.size
        return offset

    def give_back(self, layout: Layout, offset: int) -> None:
        """Return the place of a tensor that is not read any more."""
        self._free[layout].append(offset)


def paddings(graph: Graph[GraphConv]) -> dict[str, Padding]:
    """Return the padding of every tensor, on each side the largest of its readers."""
    found: dict[str, Padding] = dict.fromkeys(graph.shapes(), (0, 0, 0, 0))
    for layer in graph.layers:
        sides = zip(found[layer.source], layer.padding, strict=True)
        top, bottom, left, right = (max(side) for side in sides)
        found[layer.source] = top, bottom, left, right
    return found


def places(
    graph: Graph[GraphConv], layouts: dict[str, Layout], keep: frozenset[str]
) -> tuple[dict[str, int], int]:
    """Return the offset of every tensor in the arena, and the size of the arena (unit: byte).

    Parameters
    ----------
    graph : Graph
    layouts : dict of str to Layout
    keep : frozenset of str
        Tensors whose memory is never reused. The input and the output are among them.
    """
    arena = Arena()
    last = {tensor: at for at, layer in enumerate(graph.layers) for tensor in layer.sources}
    offsets = {INPUT: arena.take(layouts[INPUT])}
    for at, layer in enumerate(graph.layers):
        offsets[layer.name] = arena.take(layouts[layer.name])
        for tensor in {*layer.sources, layer.name} - keep:
            if last.get(tensor, at) == at:
                arena.give_back(layouts[tensor], offsets[tensor])
    return offsets, arena.size
