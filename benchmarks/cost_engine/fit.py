"""Fits the factors of the features to measurements, and measures the error on those held out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from benchmarks.cost_engine.families import Family
from benchmarks.cost_engine.synthesis import Measurement
from sqhw.cost_models.engine_cost import parameters
from sqhw.cost_models.engine_features import (
    engine_memories,
    ff_features,
    lut_features,
    period_features,
)
from sqhw.errors import SqhwError

#: Weights of the penalty on the distance from the prior, relative to a squared relative error.
PULLS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
#: Largest error of the chosen penalty over the smallest error. The strongest such penalty is taken,
#: because a few engines cannot tell them apart.
NEAR = 1.1
LEAST_ENGINES = 6
DIGITS = 4

Row = Mapping[str, float]


def fit_factors(rows: Sequence[Row], measured: Sequence[float], prior: Row) -> dict[str, float]:
    """Return factors of 0 or more with small relative errors.

    Least squares of the relative errors, pulled towards the prior where the measurements do not
    tell: a feature that makes up a large share of the engines moves, one that hardly occurs stays.
    How strong the pull is follows from leaving out one measurement at a time.

    Parameters
    ----------
    rows : sequence of mapping of str to float
        Features of each engine.
    measured : sequence of float
        Its quantity, more than 0.
    prior : mapping of str to float
        Factors before anything is measured; they are scaled as a whole to fit.
    """
    names = list(prior)
    design = np.array([[row[name] for name in names] for row in rows]) / np.array(measured)[:, None]
    start = np.array([prior[name] for name in names])
    errors = {pull: _left_out_error(design, start, pull) for pull in PULLS}
    pull = max(pull for pull, error in errors.items() if error <= NEAR * min(errors.values()))
    factors = _solve(design, start, pull)
    return {name: round(float(value), DIGITS) for name, value in zip(names, factors, strict=True)}


def _solve(
    design: npt.NDArray[np.float64], prior: npt.NDArray[np.float64], pull: float
) -> npt.NDArray[np.float64]:
    """Return the factors for relative features, whose sum should be 1 in every row."""
    total = design @ prior
    start = prior * (total.sum() / (total @ total))
    share = np.sqrt(pull * len(design)) * np.diag(design.mean(axis=0) + 1e-9)
    values, _ = nnls(
        np.vstack([design, share]), np.concatenate([np.ones(len(design)), share @ start])
    )
    return np.asarray(values)


def _left_out_error(
    design: npt.NDArray[np.float64], prior: npt.NDArray[np.float64], pull: float
) -> float:
    errors = [
        design[index] @ _solve(np.delete(design, index, axis=0), prior, pull) - 1
        for index in range(len(design))
    ]
    return float(np.sqrt(np.mean(np.square(errors))))


def calibrate(family: Family, measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return the contents of the family's calibration file.

    Parameters
    ----------
    family : Family
    measurements : sequence of Measurement

    Raises
    ------
    SqhwError
        If there are too few of them.
    """
    device = family.device
    seen = [one for one in measurements if not one.point.held_out]
    hidden = [one for one in measurements if one.point.held_out]
    if len(seen) < LEAST_ENGINES or not hidden:
        raise SqhwError(
            f"{family.name}: {len(seen)} engines to fit and {len(hidden)} held out are too few; "
            f"synthesize {LEAST_ENGINES} and 1 at least"
        )

    def features(kind: Any, one: Measurement) -> Row:
        engine = one.point.engine
        memories = engine_memories(engine, device, one.point.depths)
        found: Row = kind(engine, device, memories)
        return found

    def fit(kind: Any, key: str) -> dict[str, Any]:
        rows = [features(kind, one) for one in seen]
        prior = dict.fromkeys(rows[0], 1.0)
        factors = fit_factors(rows, [getattr(one, key) for one in seen], prior)
        tested = [features(kind, one) for one in hidden]
        return _fitted(
            factors, _ranges(family, seen), len(seen), tested, [getattr(one, key) for one in hidden]
        )

    luts = fit(lut_features, "luts")
    tools = dict.fromkeys(tool for one in measurements for tool in one.tools)
    return {
        "family": family.name,
        "device": family.device_name,
        "clock_devices": list(family.clock_devices),
        "rtl": _counted(f"{one.rtl} of {one.commit}" for one in measurements),
        "tools": {tool: _counted(one.tools[tool] for one in measurements) for tool in tools},
        "luts": luts,
        "ffs": fit(ff_features, "ffs"),
        "period_ns": _fit_period(family, seen, hidden, luts["factors"]),
        "configurations": [
            [one.point.number, one.point.held_out, one.point.engine.to_dict() | one.point.depths]
            for one in measurements
        ],
    }


def _counted(values: Iterable[str]) -> str:
    """Return the values; if there are several, with how many engines have each."""
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value}: {count}" for value, count in sorted(counts.items()))


def _fit_period(
    family: Family,
    seen: Sequence[Measurement],
    hidden: Sequence[Measurement],
    luts: Mapping[str, float],
) -> dict[str, Any] | None:
    def row(one: Measurement) -> Row:
        engine = one.point.engine
        memories = engine_memories(engine, family.device, one.point.depths)
        parts = lut_features(engine, family.device, memories)
        predicted = sum(luts[name] * part for name, part in parts.items())
        return period_features(engine, memories, predicted)

    seen = [one for one in seen if one.fmax_mhz]
    hidden = [one for one in hidden if one.fmax_mhz]
    if len(seen) < LEAST_ENGINES or not hidden:
        return None
    rows = [row(one) for one in seen]
    prior = {name: float(name == "least") for name in rows[0]}
    factors = fit_factors(rows, [1000 / (one.fmax_mhz or 1) for one in seen], prior)
    tested = [row(one) for one in hidden]
    return _fitted(
        factors,
        _ranges(family, seen),
        len(seen),
        tested,
        [1000 / (one.fmax_mhz or 1) for one in hidden],
    )


def _ranges(family: Family, seen: Sequence[Measurement]) -> dict[str, list[int]]:
    """Return the smallest and the largest value of each parameter."""
    numbers = []
    for one in seen:
        engine = one.point.engine
        memories = engine_memories(engine, family.device, one.point.depths)
        numbers.append(parameters(engine, memories))
    return {
        name: [min(n[name] for n in numbers), max(n[name] for n in numbers)] for name in numbers[0]
    }


def _fitted(
    factors: dict[str, float],
    ranges: dict[str, list[int]],
    engines: int,
    rows: Sequence[Row],
    measured: Sequence[float],
) -> dict[str, Any]:
    errors = [
        abs(sum(factors[name] * row[name] for name in factors) / value - 1)
        for row, value in zip(rows, measured, strict=True)
    ]
    return {
        "factors": factors,
        "ranges": ranges,
        "engines": engines,
        "held_out": len(rows),
        "mean_error": round(float(np.mean(errors)), DIGITS),
        "worst_error": round(max(errors), DIGITS),
    }
