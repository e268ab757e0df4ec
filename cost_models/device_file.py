"""Device files: TOML, one per family, each fact with its source."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqhw.cost_models.checks import as_tuples, check_text, check_texts
from sqhw.cost_models.fabric import Device, MappingRule, MemoryPrimitive, MultiplierPrimitive
from sqhw.cost_models.placement import Placement, PlaceTool
from sqhw.errors import SqhwError, shown
from sqhw.files.plain import located, parse_toml
from sqhw.files.tables import check_keys, field_names

Part = TypeVar("Part")

#: Keys that the devices of a file share. A file with `base` takes all of them from that family.
FAMILY_KEYS = ("family", "lut_inputs", "mapping", "memory")


def parse_family(
    text: str, file: str, base: Callable[[str], Device] | None = None
) -> tuple[Device, ...]:
    """Return the devices that one family file describes.

    Parameters
    ----------
    text : str
        The contents of the file.
    file : str
        Its name, for the error messages.
    base : callable, optional
        Function that returns the device of a name. With it, the file may have ``base = "NAME"``
        instead of the keys that the devices of a family share.

    Returns
    -------
    tuple of Device

    Raises
    ------
    SqhwError
        If the file has an unknown or missing key or an impossible value.
    """
    with located(file):
        table = parse_toml(text)
    if base is not None and "base" in table:
        check_keys(file, table, {"base", "device"})
        with _Where(file):
            check_text("base", table["base"])
        shared = _shared_with(base, table["base"], file)
    else:
        shared = _family(file, table)
    return tuple(_device(file, entry, shared) for entry in _entries(file, table, "device"))


def _shared_with(base: Callable[[str], Device], name: str, file: str) -> dict[str, Any]:
    try:
        device = base(name)
    except SqhwError as error:
        raise SqhwError(f"{file}: base: {error}") from error
    keys = ("family", "lut_inputs", "mapping", "memories", "multipliers", "place_tool")
    return {key: getattr(device, key) for key in keys}


def _family(file: str, table: Mapping[str, Any]) -> dict[str, Any]:
    check_keys(file, table, {*FAMILY_KEYS, "source", "device"}, {"multiplier", "place_tool"})
    with _Where(file):
        check_text("family", table["family"])
        check_texts("source", as_tuples(table["source"]), at_least=1)
    mapping = _table(file, table, "mapping")
    memories = [_part(MemoryPrimitive, file, "memory", e) for e in _entries(file, table, "memory")]
    multipliers = (
        [
            _part(MultiplierPrimitive, file, "multiplier", e)
            for e in _entries(file, table, "multiplier")
        ]
        if "multiplier" in table
        else []
    )
    for kind, names in (
        ("memory", [m.name for m in memories]),
        ("multiplier", [m.name for m in multipliers]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise SqhwError(f"{file}: {kind} {name!r} occurs twice")
    return {
        "family": table["family"],
        "lut_inputs": table["lut_inputs"],
        "mapping": _part(MappingRule, file, "mapping", mapping),
        "memories": tuple(memories),
        "multipliers": tuple(multipliers),
        "place_tool": _part(PlaceTool, file, "place_tool", _table(file, table, "place_tool"))
        if "place_tool" in table
        else None,
    }


def _part(kind: type[Part], file: str, key: str, entry: dict[str, Any]) -> Part:
    named = "name" in field_names(kind)[0]
    where = f"{file}: {key}" + (f" {shown(entry.get('name', '?'))}" if named else "")
    check_keys(where, entry, *field_names(kind))
    with _Where(where):
        return kind(**{key: as_tuples(value) for key, value in entry.items()})


def _device(file: str, entry: dict[str, Any], shared: Mapping[str, Any]) -> Device:
    where = f"{file}: device {shown(entry.get('name', '?'))}"
    check_keys(where, entry, field_names(Device)[0] - shared.keys(), {"placement"})
    blocks = entry["blocks"]
    if not isinstance(blocks, dict):
        raise SqhwError(f"{where}: blocks must be a table of block counts, not {shown(blocks)}")
    values = dict(shared) | {key: as_tuples(value) for key, value in entry.items()}
    values["blocks"] = tuple(blocks.items())
    values["memories"] = tuple(
        m for m in shared["memories"] if m.kind == "distributed" or m.block_name in blocks
    )
    if "placement" in entry:
        values["placement"] = _part(
            Placement, where, "placement", _table(where, entry, "placement")
        )
    if entry["dsps"] == 0:
        values["multipliers"] = ()
    with _Where(where):
        return Device(**values)


def _table(where: str, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    entry = table[key]
    if not isinstance(entry, dict):
        raise SqhwError(f"{where}: {key} must be a table, [{key}], not {shown(entry)}")
    return entry


def _entries(file: str, table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = table[key]
    if not (isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries)):
        raise SqhwError(f"{file}: {key} must be a list of tables, [[{key}]], not {shown(entries)}")
    return entries


class _Where:
    """Turns a ValueError in its block into a SqhwError that names the place of the value."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, ValueError):
            raise SqhwError(f"{self.where}: {error}") from error
