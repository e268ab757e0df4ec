"""The devices that sqhw knows, read from ``devices/*.toml``, one file per family."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from sqhw.errors import SqhwError, unknown_name

KINDS = ("block", "huge", "distributed")


@dataclass(frozen=True, kw_only=True)
class MemoryPrimitive:
    """A memory cell that synthesis can build memories from.

    Parameters
    ----------
    name : str
        Name of the cell.
    kind : {"block", "huge", "distributed"}
        ``"block"`` is inferred by itself, ``"huge"`` on request only, ``"distributed"`` is made of
        LUTs and takes no ROM. The words are those of yosys.
    modes : tuple of (int, int)
        The legal (depth, width) pairs (unit: words, bits per word), narrowest first.
    initialisable : bool
        Whether the bitstream can set its contents.
    yosys_cost : int
        Cost that yosys gives to one cell (no unit).
    byte_enable : int
        Bits that share a write enable; 0 where a write sets the whole word.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    kind: str
    modes: tuple[tuple[int, int], ...]
    initialisable: bool
    yosys_cost: int
    byte_enable: int
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        if not _are_modes(self.modes):
            raise ValueError(
                "modes must be pairs [depth, width] of whole numbers, depth a power of two, "
                f"narrowest first, not {_as_lists(self.modes)!r}"
            )
        if not isinstance(self.initialisable, bool):
            raise ValueError(f"initialisable must be true or false, not {self.initialisable!r}")
        _check_int("yosys_cost", self.yosys_cost, 1)
        _check_int("byte_enable", self.byte_enable, 0)
        _check_texts("source", self.source, at_least=1)

    @property
    def bits(self) -> int:
        """Capacity of one cell in its largest mode (unit: bit)."""
        return max(depth * width for depth, width in self.modes)


@dataclass(frozen=True, kw_only=True)
class Device:
    """An FPGA, as the open place-and-route tools offer it.

    Parameters
    ----------
    name : str
        Part number without package and speed grade.
    family : str
        Family name, as yosys spells it.
    luts, ffs, dsps : int
        Number of 4-input LUTs, flip-flops and multipliers.
    dsp : str or None
        Name of the multiplier cell; None where there is none.
    memories : tuple of MemoryPrimitive
        The memory cells of this device.
    blocks : tuple of (str, int)
        Name and number of each memory cell that is not made of LUTs.
    boards : tuple of str
        Boards that carry this device.
    rom_bits_per_cost, ram_bits_per_cost : int
        Bits that cost yosys 1 when a ROM, or RAM, is left out of block RAM.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    family: str
    luts: int
    ffs: int
    dsps: int
    dsp: str | None = None
    memories: tuple[MemoryPrimitive, ...]
    blocks: tuple[tuple[str, int], ...]
    boards: tuple[str, ...]
    rom_bits_per_cost: int
    ram_bits_per_cost: int
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        _check_text("family", self.family)
        _check_int("luts", self.luts, 1)
        _check_int("ffs", self.ffs, 1)
        _check_int("dsps", self.dsps, 0)
        if self.dsp is not None:
            _check_text("dsp", self.dsp)
        if (self.dsp is None) != (self.dsps == 0):
            raise ValueError(f"dsp must name the cell if and only if dsps > 0, not {self.dsp!r}")
        kinds = {memory.name: memory.kind for memory in self.memories}
        for name, count in self.blocks:
            if kinds.get(name, "distributed") == "distributed":
                raise ValueError(f"blocks must name block or huge memories, not {name!r}")
            _check_int(f"blocks.{name}", count, 1)
        if [kinds[name] for name, _ in self.blocks].count("block") != 1:
            raise ValueError(f"blocks must name one memory of kind block, not {dict(self.blocks)}")
        _check_texts("boards", self.boards, at_least=0)
        _check_int("rom_bits_per_cost", self.rom_bits_per_cost, 1)
        _check_int("ram_bits_per_cost", self.ram_bits_per_cost, 1)
        _check_texts("source", self.source, at_least=1)

    @property
    def bram(self) -> MemoryPrimitive:
        """The block RAM cell."""
        counts = dict(self.blocks)
        return next(m for m in self.memories if m.kind == "block" and m.name in counts)

    @property
    def brams(self) -> int:
        """Number of block RAM cells."""
        return self.block_count(self.bram.name)

    def block_count(self, primitive: str) -> int:
        """Return how many cells of a memory primitive the device has, 0 if none.

        Parameters
        ----------
        primitive : str
            Name of the cell, for example ``"SB_RAM40_4K"``.

        Returns
        -------
        int
        """
        return dict(self.blocks).get(primitive, 0)


def load_devices() -> dict[str, Device]:
    """Return every device by its name, in the order of the files.

    Returns
    -------
    dict of str to Device

    Raises
    ------
    SqhwError
        If a file has an unknown or missing key or an impossible value, or a name occurs twice.
    """
    return {device.name: device for device in _read_all()}


def find_device(name: str) -> Device:
    """Return the device with this name, or on the board with this name.

    Parameters
    ----------
    name : str
        Device or board, in upper or lower case, for example ``"icebreaker"``.

    Returns
    -------
    Device

    Raises
    ------
    SqhwError
        If there is no such device or board; the nearest name is suggested.
    """
    by_name = {known: device for device in _read_all() for known in (device.name, *device.boards)}
    for known, device in by_name.items():
        if known.casefold() == name.casefold():
            return device
    raise unknown_name("device", name, by_name)


def parse_family(text: str, file: str) -> tuple[Device, ...]:
    """Return the devices that one family file describes.

    Parameters
    ----------
    text : str
        The contents of the file.
    file : str
        Its name, for the error messages.

    Returns
    -------
    tuple of Device

    Raises
    ------
    SqhwError
        If the file has an unknown or missing key or an impossible value.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SqhwError(f"{file}: {error}") from error
    keys = {"rom_bits_per_cost", "ram_bits_per_cost", "family", "source", "memory", "device"}
    _check_keys(file, table, keys)
    shared = {key: table[key] for key in ("family", "rom_bits_per_cost", "ram_bits_per_cost")}
    with _Where(file):
        _check_text("family", table["family"])
        _check_int("rom_bits_per_cost", table["rom_bits_per_cost"], 1)
        _check_int("ram_bits_per_cost", table["ram_bits_per_cost"], 1)
        _check_texts("source", _as_tuples(table["source"]), at_least=1)
    memories = tuple(_memory(file, entry) for entry in _entries(file, table, "memory"))
    return tuple(
        _device(file, entry, memories, shared) for entry in _entries(file, table, "device")
    )


@cache
def _read_all() -> tuple[Device, ...]:
    folder = files("sqhw.cost_models") / "devices"
    seen: dict[str, str] = {}
    devices: list[Device] = []
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".toml"):
            continue
        found = parse_family(path.read_text(encoding="utf-8"), path.name)
        check_names_once(found, path.name, seen)
        devices += found
    return tuple(devices)


def check_names_once(devices: Sequence[Device], file: str, seen: dict[str, str]) -> None:
    """Add the names of devices and boards to those seen, and refuse one seen before.

    Parameters
    ----------
    devices : sequence of Device
        The devices of one file.
    file : str
        Its name.
    seen : dict of str to str
        File of each name seen so far, names in lower case; the new ones are added.

    Raises
    ------
    SqhwError
        If a name occurs twice.
    """
    for device in devices:
        for name in (device.name, *device.boards):
            if name.casefold() in seen:
                first = seen[name.casefold()]
                raise SqhwError(f"{file}: device {device.name!r}: {name!r} is already in {first}")
            seen[name.casefold()] = file


def _memory(file: str, entry: dict[str, Any]) -> MemoryPrimitive:
    where = f"{file}: memory {entry.get('name', '?')!r}"
    required = {field.name for field in fields(MemoryPrimitive)}
    _check_keys(where, entry, required)
    with _Where(where):
        return MemoryPrimitive(**{key: _as_tuples(value) for key, value in entry.items()})


def _device(
    file: str,
    entry: dict[str, Any],
    memories: tuple[MemoryPrimitive, ...],
    shared: Mapping[str, Any],
) -> Device:
    where = f"{file}: device {entry.get('name', '?')!r}"
    own = [f for f in fields(Device) if f.name != "memories" and f.name not in shared]
    optional = {field.name for field in own if field.default is not MISSING}
    _check_keys(where, entry, {field.name for field in own} - optional, optional)
    blocks = entry["blocks"]
    if not isinstance(blocks, dict):
        raise SqhwError(f"{where}: blocks must be a table of cell counts, not {blocks!r}")
    values = {key: _as_tuples(value) for key, value in entry.items()}
    values["blocks"] = tuple(blocks.items())
    values["memories"] = tuple(m for m in memories if m.kind == "distributed" or m.name in blocks)
    with _Where(where):
        return Device(**values, **shared)


def _entries(file: str, table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = table[key]
    if not (isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries)):
        raise SqhwError(f"{file}: {key} must be a list of tables, [[{key}]], not {entries!r}")
    return entries


class _Where:
    """Turns a ValueError in its block into a SqhwError that says where the value is."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, ValueError):
            raise SqhwError(f"{self.where}: {error}") from error


def _check_keys(
    where: str,
    table: Mapping[str, Any],
    required: set[str],
    optional: frozenset[str] | set[str] = frozenset(),
) -> None:
    for key in table:
        if key not in required | optional:
            raise SqhwError(f"{where}: {unknown_name('key', key, required | optional)}")
    for key in sorted(required - table.keys()):
        raise SqhwError(f"{where}: key {key!r} is missing")


def _check_int(key: str, value: object, least: int) -> None:
    if not _is_int(value, least):
        raise ValueError(f"{key} must be a whole number of {least} or more, not {value!r}")


def _check_text(key: str, value: object) -> None:
    if not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{key} must be a text, not {value!r}")


def _check_texts(key: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, tuple) or len(value) < at_least:
        raise ValueError(
            f"{key} must be a list of {at_least} or more texts, not {_as_lists(value)!r}"
        )
    for text in value:
        _check_text(key, text)


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_modes(modes: object) -> bool:
    if not isinstance(modes, tuple) or not modes:
        return False
    for mode in modes:
        if not (isinstance(mode, tuple) and len(mode) == 2 and all(_is_int(n, 1) for n in mode)):
            return False
    widths = [width for _, width in modes]
    return all(depth.bit_count() == 1 for depth, _ in modes) and widths == sorted(set(widths))


def _as_tuples(value: Any) -> Any:
    """Return the value with every list, nested ones too, made a tuple."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _as_lists(value: Any) -> Any:
    """Return the value with every tuple made a list, as the file writes it."""
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
