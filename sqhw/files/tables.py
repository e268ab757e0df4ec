"""Tables of TOML files whose keys are the fields of dataclasses."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any

from sqhw.errors import SqhwError, shown, unknown_name


def check_keys(
    where: str, table: Mapping[str, Any], required: Collection[str], optional: Collection[str] = ()
) -> None:
    """Check that a table has all keys that it needs and no others.

    Parameters
    ----------
    where : str
        File and table, for the error messages.
    table : mapping
    required, optional : collection of str

    Raises
    ------
    SqhwError
        If a key is unknown, with the nearest known one, or missing.
    """
    known = {*required, *optional}
    for key in table:
        if key not in known:
            raise SqhwError(f"{where}: {unknown_name('key', key, known)}")
    for key in sorted(set(required) - table.keys()):
        raise SqhwError(f"{where}: key {shown(key)} is missing")


def field_names(kind: type[Any]) -> tuple[set[str], set[str]]:
    """Return the names of a dataclass' fields without, and with, a default."""
    optional = {field.name for field in fields(kind) if field.default is not MISSING}
    return {field.name for field in fields(kind)} - optional, optional
