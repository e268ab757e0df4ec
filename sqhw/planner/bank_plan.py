"""The memory planner: rows of the activation banks for each feature map over time."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from sqhw.errors import SqhwError
from sqhw.network.graph import INPUT, Graph, GraphConv, MaxPool

#: Number of random choices of ends that are tried when the orderly ways fail. They are seeded, so
#: that a plan is always the same.
TRIES = 300


class Rows(Protocol):
    """An object that takes rows from a base upwards."""

    @property
    def base(self) -> int:
        """First row."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def alike(self, other: Any) -> bool:
        """Whether the elements of both lie in the same places from their bases on."""


Map = TypeVar("Map", bound=Rows)


def assign_rows(network: Graph[GraphConv], maps: Mapping[str, Map], depth: int) -> dict[str, Map]:
    """Give every map its rows; a map keeps them until the last layer that reads it has run.

    The output of a layer with a skip connection takes over the rows of the skip's map, if that is
    the last use of the map and both lie in memory alike: each element is read before it is written.

    Parameters
    ----------
    network : Graph
    maps : mapping of str to Placement
        Every tensor by name; the bases are ignored.
    depth : int
        Rows of a bank.

    Returns
    -------
    dict of str to Placement
        The same placements with their bases; the network's input is at row 0.

    Raises
    ------
    SqhwError
        If the maps do not fit; the message names the layer that needs most and the number of
        missing rows.
    """
    lives = _lives(network)
    heirs = _heirs(network, maps, lives)
    alive = _alive(network, lives, heirs)
    needs = [sum(maps[name].rows for name in names) for names in alive]
    most = max(needs)
    if most > depth:
        worst = needs.index(most)
        names = alive[worst]
        listed = " + ".join(str(maps[name].rows) for name in names)
        raise SqhwError(
            f"layer {network.layers[worst].name!r}: the {len(names)} maps in memory "
            f"({', '.join(names)}) take {listed} rows of the activation banks, {most - depth} more "
            f"than the bank depth of {depth}; a depth of {1 << (most - 1).bit_length()} would do"
        )
    for ends in _ways(len(maps)):
        bases = _assign(maps, lives, heirs, depth, ends)
        if bases is not None:
            return {name: replace(plan, base=bases[name]) for name, plan in maps.items()}  # type: ignore[type-var]
    raise SqhwError(
        f"network {network.name!r}: its maps fit {depth} bank rows only in pieces; "
        f"a depth of {2 * depth} would do"
    )


def peak_rows(network: Graph[GraphConv], maps: Mapping[str, Map]) -> int:
    """Return the most rows that the maps in memory during one layer take together.

    No plan needs fewer rows; a plan with holes needs more.

    Parameters
    ----------
    network : Graph
    maps : mapping of str to Placement
        Every tensor by name; the bases are ignored.
    """
    lives = _lives(network)
    alive = _alive(network, lives, _heirs(network, maps, lives))
    return max(sum(maps[name].rows for name in names) for names in alive)


def _lives(network: Graph[GraphConv]) -> dict[str, tuple[int, int]]:
    """Return the first and the last layer during which each tensor is in memory."""
    lives = {INPUT: (0, 0)}
    for index, layer in enumerate(network.layers):
        for tensor in layer.sources:
            lives[tensor] = (lives[tensor][0], index)
        lives[layer.name] = (index, index)
    return lives


def _heirs(
    network: Graph[GraphConv], maps: Mapping[str, Map], lives: Mapping[str, tuple[int, int]]
) -> dict[str, str]:
    """Return the maps that take over the rows of the skip connection that they add."""
    heirs = {}
    for index, layer in enumerate(network.layers):
        if isinstance(layer, MaxPool) or layer.residual is None:
            continue
        skip = layer.residual.source
        free = lives[skip][1] == index and skip != layer.source
        if free and maps[layer.name].alike(maps[skip]):
            heirs[layer.name] = skip
    return heirs


def _alive(
    network: Graph[GraphConv],
    lives: Mapping[str, tuple[int, int]],
    heirs: Mapping[str, str],
) -> list[list[str]]:
    """Return the maps with rows of their own during each layer."""
    return [
        [
            name
            for name, (born, dies) in lives.items()
            if born <= index <= dies and name != heirs.get(layer.name)
        ]
        for index, layer in enumerate(network.layers)
    ]


def _ways(count: int) -> Iterator[list[bool]]:
    """Yield for each tensor in turn whether it goes to the top: alternating, never, at random."""
    yield [index % 2 == 1 for index in range(count)]
    yield [False] * count
    rng = random.Random(0)
    for _ in range(TRIES):
        yield [rng.random() < 0.5 for _ in range(count)]


def _assign(
    maps: Mapping[str, Map],
    lives: Mapping[str, tuple[int, int]],
    heirs: Mapping[str, str],
    depth: int,
    top: list[bool],
) -> dict[str, int] | None:
    bases = {INPUT: 0}
    for (name, (born, dies)), high in zip(lives.items(), top, strict=True):
        if name == INPUT:
            continue
        if name in heirs:
            bases[name] = bases[heirs[name]]
            continue
        taken = [
            (bases[other], bases[other] + maps[other].rows)
            for other in bases
            if lives[other][1] >= born and lives[other][0] <= dies
        ]
        places = [lo for lo, hi in _gaps(taken, depth) if hi - lo >= maps[name].rows]
        ends = [hi for lo, hi in _gaps(taken, depth) if hi - lo >= maps[name].rows]
        if not places:
            return None
        bases[name] = ends[-1] - maps[name].rows if high else places[0]
    return bases


def _gaps(taken: Iterable[tuple[int, int]], depth: int) -> Iterator[tuple[int, int]]:
    at = 0
    for lo, hi in sorted(taken):
        if lo > at:
            yield at, lo
        at = max(at, hi)
    if depth > at:
        yield at, depth
