"""Energies of operations in a technology, from ``technologies/*.toml`` or a user's own file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Any

from sqhw.cost_models.checks import as_tuples, check_int, check_text, check_texts
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_REAL, MAX_TOML_BYTES, MIN_REAL
from sqhw.files.plain import located, parse_toml
from sqhw.files.tables import check_keys

DEFAULT = "horowitz45"
#: Largest exponent of the power law between two points. Beyond the points it is extrapolated.
MAX_SLOPE = 8

#: Keys of a file that hold text.
TEXTS = ("name", "process")
POINTS = {
    "add": ("bits", "picojoules"),
    "multiply": ("bits", "picojoules"),
    "memory": ("bits", "width", "picojoules"),
}


@dataclass(frozen=True, kw_only=True)
class Technology:
    """Energies of operations, by width and by capacity.

    Between the points of a table, the energy per bit (of an addition or of a memory access), or per
    product of two bits (of a multiplication), is interpolated on logarithmic axes. Beyond the
    points, this energy of additions and multiplications stays constant. That of a memory access
    continues with the slope of the nearest two points.

    Parameters
    ----------
    name, process : str
    adds : tuple of (int, float)
        Bits of both operands, energy of an addition (unit: pJ), fewest bits first.
    multiplies : tuple of (int, float)
        Bits of each operand, energy of a multiplication (unit: pJ), fewest bits first.
    memories : tuple of (int, float)
        Capacity of a static memory (unit: bit), energy of an access (unit: pJ per bit of the word),
        smallest first.
    source : tuple of str
        Where the figures are from.
    """

    name: str
    process: str
    adds: tuple[tuple[int, float], ...]
    multiplies: tuple[tuple[int, float], ...]
    memories: tuple[tuple[int, float], ...]
    source: tuple[str, ...]

    def add(self, bits: int) -> float:
        """Return the energy of an addition of two integers of `bits` bits (unit: pJ)."""
        points = [(known, energy / known) for known, energy in self.adds]
        return bits * _between(points, bits, beyond=False)

    def multiply(self, a_bits: int, b_bits: int) -> float:
        """Return the energy of a product of integers of `a_bits` and `b_bits` bits (unit: pJ)."""
        area = a_bits * b_bits
        points = [(known * known, energy / known**2) for known, energy in self.multiplies]
        return area * _between(points, area, beyond=False)

    def access(self, capacity: int, width: int) -> float:
        """Return the energy of reading or writing a word (unit: pJ).

        Parameters
        ----------
        capacity : int
            Capacity of the memory (unit: bit), 1 or more.
        width : int
            Width of the word (unit: bit).
        """
        return width * _between(self.memories, capacity, beyond=True)

    def extrapolates(self, capacity: int) -> bool:
        """Return whether a memory of `capacity` bits lies beyond the points of the table."""
        return not self.memories[0][0] <= capacity <= self.memories[-1][0]


def load_technology(name: str = DEFAULT) -> Technology:
    """Return the technology of that name, or of that file.

    Parameters
    ----------
    name : str
        ``"horowitz45"``, or the path of a file that ends in ``.toml``.

    Returns
    -------
    Technology

    Raises
    ------
    SqhwError
        If there is none of that name, or the file cannot be read, has an unknown or missing key or
        an impossible value.
    """
    if name.endswith(".toml"):
        with located(f"technology file {name}"):
            text = read_text(name, MAX_TOML_BYTES)
        return parse_technology(text, name)
    folder = files("sqhw.cost_models") / "technologies"
    known = {entry.name.removesuffix(".toml"): entry for entry in folder.iterdir()}
    if name not in known:
        raise unknown_name("technology", name, known)
    return parse_technology(known[name].read_text(encoding="utf-8"), known[name].name)


def parse_technology(text: str, file: str) -> Technology:
    """Return the technology that a file describes.

    Parameters
    ----------
    text : str
        The contents of the file.
    file : str
        Its name, for the error messages.

    Raises
    ------
    SqhwError
        If a key is missing or unknown, or a value impossible; the message names file and key.
    """
    with located(file):
        table = parse_toml(text)
    check_keys(file, table, (*TEXTS, *POINTS, "source"))
    try:
        for key in TEXTS:
            check_text(key, table[key])
        source = as_tuples(table["source"])
        check_texts("source", source, at_least=1)
        points = {key: _points(file, key, table[key]) for key in POINTS}
    except ValueError as error:
        raise SqhwError(f"{file}: {error}") from error
    return Technology(
        name=table["name"],
        process=table["process"],
        adds=tuple((p["bits"], p["picojoules"]) for p in points["add"]),
        multiplies=tuple((p["bits"], p["picojoules"]) for p in points["multiply"]),
        memories=tuple((p["bits"], p["picojoules"] / p["width"]) for p in points["memory"]),
        source=source,
    )


def _points(file: str, key: str, entries: object) -> list[dict[str, Any]]:
    if not (isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries)):
        raise ValueError(f"{key} must be a list of tables, [[{key}]], not {shown(entries)}")
    for entry in entries:
        check_keys(f"{file}: {key}", entry, POINTS[key])
        for name, value in entry.items():
            where = f"{key}: {name}"
            if name != "picojoules":
                check_int(where, value, 1)
            elif isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"{where} must be a number above 0, not {shown(value)}")
            elif not MIN_REAL <= value <= MAX_REAL:
                raise ValueError(f"{where} must be {MIN_REAL:.0e} to {MAX_REAL:.0e}, not {value}")
    bits = [entry["bits"] for entry in entries]
    if bits != sorted(set(bits)):
        raise ValueError(f"{key}: bits must rise from point to point, not {shown(bits)}")
    for one, other in pairwise(entries):
        rise = abs(math.log(other["picojoules"] / one["picojoules"]))
        if rise > MAX_SLOPE * math.log(other["bits"] / one["bits"]):
            raise ValueError(
                f"{key}: picojoules change faster than the power {MAX_SLOPE} of bits between "
                f"{one['bits']} and {other['bits']} bits"
            )
    return entries


def _between(points: Sequence[tuple[int, float]], at: int, *, beyond: bool) -> float:
    """Interpolate on logarithmic axes; beyond the points keep the nearest value, or the slope."""
    if len(points) == 1 or (not beyond and at <= points[0][0]):
        return points[0][1]
    if not beyond and at >= points[-1][0]:
        return points[-1][1]
    pairs = list(pairwise(points))
    (low, first), (high, second) = next((p for p in pairs if at <= p[1][0]), pairs[-1])
    slope = math.log(second / first) / math.log(high / low)
    return float(first * (at / low) ** slope)
