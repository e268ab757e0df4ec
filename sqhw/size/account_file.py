"""The file of an account: JSON, read strictly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqhw.atomic import atomic_write_text
from sqhw.cost_models.budget import BASES
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_COUNT, MAX_JSON_BYTES
from sqhw.files.plain import field_of, located, parse_json, typed
from sqhw.network.facts import FLOAT_BITS
from sqhw.size.account import KIND, VERSION, Account


def save_account(found: Account, path: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write an account as JSON, with further plain data; the same account gives the same bytes."""
    text = json.dumps(found.to_dict() | dict(more or {}), indent=1, sort_keys=True)
    atomic_write_text(path, text + "\n")


def read_account(path: Path) -> dict[str, Any]:
    """Read an account as plain data, with the further entries of the file.

    Raises
    ------
    SqhwError
        If the file is missing, damaged or of another kind or version, or a field is missing, of
        another type or out of range; the message names the file and the field.
    """
    with located(path):
        found = parse_json(read_text(path, MAX_JSON_BYTES))
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise SqhwError("not an account of a compression")
        version = field_of(found, "version", int)
        if version != VERSION:
            raise SqhwError(f"account version {version}, this sqhw reads {VERSION}")
        account = typed(Account, found, more=True)
        _check_account(account)
        if field_of(found, "ratio", dict) != account.to_dict()["ratio"]:
            raise SqhwError("field 'ratio' does not follow from its sizes")
    return found


def _check_account(account: Account) -> None:
    """Check the rules of an account that its types do not express."""
    for name, sizes in (("sizes", account.sizes), ("float32", account.float32)):
        for basis in BASES:
            if basis not in sizes:
                raise SqhwError(f"field '{name}.{basis}' is missing")
        for basis, size in sizes.items():
            if basis not in (*BASES, "own", "published"):
                raise unknown_name("basis", basis, (*BASES, "own", "published"))
            _check_range(f"{name}.{basis}", size, MAX_COUNT)
    for index, layer in enumerate(account.layers):
        for name in ("weights", "nonzeros", "payload", "stream", "rom", "own"):
            _check_range(f"layers[{index}].{name}", getattr(layer, name), MAX_COUNT)
        _check_range(f"layers[{index}].bits", layer.bits, FLOAT_BITS)
    _check_range("average_bits", account.average_bits, FLOAT_BITS)
    _check_range("density", account.density, MAX_COUNT)
    for name, accuracy in account.accuracy.items():
        _check_range(f"accuracy.{name}", accuracy, 1)


def _check_range(name: str, value: float | None, most: int) -> None:
    if value is not None and not 0 <= value <= most:
        raise SqhwError(f"field {name!r} must be 0 to {most:,}, not {shown(value)}")
