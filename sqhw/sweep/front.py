"""The Pareto front of points."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqhw.names import DIRECTIONS

Row = TypeVar("Row", bound=Mapping[str, Any])
#: Pairs of figures whose fronts are shown, by whether accuracies are known.
WITH_ACCURACY = (("accuracy", "rom"), ("accuracy", "images_per_second"))
WITHOUT_ACCURACY = (("images_per_second", "blocks"), ("images_per_second", "energy_uj"))


def pareto_front(points: Sequence[Row], pair: tuple[str, str]) -> list[Row]:
    """Return the points that no other one is as good as in both figures and better in one.

    Parameters
    ----------
    points : sequence of mapping
        Figures; points that lack one of the pair, or do not fit their device, are left out.
    pair : tuple of str
        Names of `sqhw.names.DIRECTIONS`.

    Returns
    -------
    list of mapping
        Best first by the first figure. Of equal points all are there.
    """
    signs = [-1 if DIRECTIONS[name] == "maximize" else 1 for name in pair]
    known = [
        (signs[0] * one[pair[0]], signs[1] * one[pair[1]], one)
        for one in points
        if all(one.get(name) is not None for name in pair) and one.get("fits", True)
    ]
    known.sort(key=lambda entry: entry[:2])
    front: list[Row] = []
    best: tuple[float, float] | None = None
    for first, second, one in known:
        if best is None or second < best[1] or (first, second) == best:
            best = (first, second)
            front.append(one)
    return front


def pairs_of(points: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of figures whose fronts suit points."""
    known = any(one.get("accuracy") is not None for one in points)
    return WITH_ACCURACY if known else WITHOUT_ACCURACY
