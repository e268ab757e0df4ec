"""Calibration files: measurements and fits of `benchmarks.cost_engine`, one file a family."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from sqhw.cost_models.checks import as_tuples, check_int, check_number, check_text, check_texts
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_limits import MAX_DEVICE_COUNT
from sqhw.files.plain import located, parse_json

FOLDER = "calibration"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A quantity as a sum of features times factors, and its errors.

    Parameters
    ----------
    factors : tuple of (str, float)
        Factor of each feature, 0 or more.
    ranges : tuple of (str, (number, number))
        Smallest and largest value of each parameter among the engines that were fitted.
    engines : int
        Number of engines that were fitted.
    held_out : int
        Number of other engines, on which the errors were measured.
    mean_error, worst_error : float
        Relative errors on the engines that were held out: the mean of their amounts, the largest.
    """

    factors: tuple[tuple[str, float], ...]
    ranges: tuple[tuple[str, tuple[float, float]], ...]
    engines: int
    held_out: int
    mean_error: float
    worst_error: float

    def __post_init__(self) -> None:
        for entry in self.factors:
            if not (isinstance(entry, tuple) and len(entry) == 2):
                raise ValueError(
                    f"factors must be pairs of a feature and a number, not {shown(entry)}"
                )
            check_text("factors", entry[0])
            check_number(f"factor of {shown(entry[0])}", entry[1])
        for name, limits in self.ranges:
            if not (isinstance(limits, tuple) and len(limits) == 2):
                raise ValueError(f"{_range_of(name)}, not {shown(limits)}")
            for limit in limits:
                check_number(f"range of {shown(name)}", limit, -MAX_DEVICE_COUNT)
            if limits[0] > limits[1]:
                raise ValueError(f"{_range_of(name)}, not {shown(limits)}")
        check_int("engines", self.engines, 1)
        check_int("held_out", self.held_out, 1)
        check_number("mean_error", self.mean_error)
        check_number("worst_error", self.worst_error)
        if self.worst_error < self.mean_error:
            raise ValueError(f"worst_error {self.worst_error} is below mean_error")

    def outside(self, parameters: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Return the range of each parameter whose value is outside of it."""
        return {
            name: (low, high)
            for name, (low, high) in self.ranges
            if not low <= parameters[name] <= high
        }

    def predict(self, features: Mapping[str, float]) -> float:
        """Return the sum; features without a factor count nothing."""
        return sum(factor * features[name] for name, factor in self.factors)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The engine's logic in a family, fitted to synthesis runs.

    Parameters
    ----------
    family : str
    device : str
        Device of synthesis, placement and routing.
    clock_devices : tuple of str
        Devices of the same silicon and speed grade, whose clock the model tells.
    rtl : str
        Digests of the sources of RTL and flow, and the commits that have them. If there are
        several, each has its number of engines.
    tools : tuple of (str, str)
        Names and versions.
    luts, ffs : Fit
        Fits after packing, without the logic around the engine.
    period_ns : Fit or None
        Shortest clock period (unit: ns); None if nothing was placed.
    configurations : tuple of (int, bool, tuple)
        Number, whether it was held out, and the fields of every engine.
    """

    family: str
    device: str
    clock_devices: tuple[str, ...]
    rtl: str
    tools: tuple[tuple[str, str], ...]
    luts: Fit
    ffs: Fit
    period_ns: Fit | None
    configurations: tuple[Any, ...]

    def __post_init__(self) -> None:
        for key in ("family", "device", "rtl"):
            check_text(key, getattr(self, key))
        check_texts("clock_devices", self.clock_devices, at_least=0)


def parse_calibration(text: str, file: str) -> Calibration:
    """Return the calibration that a file holds.

    Parameters
    ----------
    text : str
        The contents of the file.
    file : str
        Its name, for the error messages.

    Raises
    ------
    SqhwError
        If it is no JSON, or has an unknown or missing key or an impossible value.
    """
    with located(file):
        table = parse_json(text)
    values = dict(_checked(file, table, Calibration))
    for key in ("luts", "ffs", "period_ns"):
        if not (key == "period_ns" and values[key] is None):
            entry = dict(_checked(f"{file}: {key}", values[key], Fit))
            for part in ("factors", "ranges"):
                entry[part] = _pairs(f"{file}: {key}: {part}", entry[part])
            values[key] = _made(Fit, f"{file}: {key}", entry)
    values["tools"] = _pairs(f"{file}: tools", values["tools"])
    made: Calibration = _made(
        Calibration, file, {key: as_tuples(value) for key, value in values.items()}
    )
    return made


def find_calibration(family: str) -> Calibration:
    """Return the calibration of a family.

    Raises
    ------
    SqhwError
        If the family is not calibrated, or its file is malformed.
    """
    known = load_calibrations()
    if family not in known:
        raise SqhwError(
            f"the engine's logic is not calibrated for family {family}, only for "
            f"{', '.join(known) or 'none'}; run `python -m benchmarks.cost_engine calibrate` for it"
        )
    return known[family]


@cache
def load_calibrations() -> dict[str, Calibration]:
    """Return every calibration by its family.

    Raises
    ------
    SqhwError
        If a file has an unknown or missing key or an impossible value.
    """
    folder = files("sqhw.cost_models") / FOLDER
    entries = folder.iterdir() if folder.is_dir() else ()
    paths = [path for path in entries if path.name.endswith(".json")]
    found = (
        parse_calibration(path.read_text(encoding="utf-8"), path.name)
        for path in sorted(paths, key=lambda path: path.name)
    )
    return {calibration.family: calibration for calibration in found}


def _range_of(name: str) -> str:
    return f"range of {shown(name)} must be [smallest, largest]"


def _checked(where: str, table: object, kind: type[Any]) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise SqhwError(f"{where} must be an object, not {shown(table)}")
    known = {field.name for field in fields(kind) if field.default is MISSING}
    for key in table:
        if key not in known:
            raise SqhwError(f"{where}: {unknown_name('key', key, known)}")
    for key in sorted(known - table.keys()):
        raise SqhwError(f"{where}: key {key!r} is missing")
    return table


def _pairs(where: str, table: object) -> tuple[tuple[str, Any], ...]:
    if not isinstance(table, dict):
        raise SqhwError(f"{where} must be an object, not {shown(table)}")
    return tuple((name, as_tuples(value)) for name, value in table.items())


def _made(kind: type[Any], where: str, values: Mapping[str, Any]) -> Any:
    try:
        return kind(**values)
    except ValueError as error:
        raise SqhwError(f"{where}: {error}") from error
