"""Board files: TOML, one for all variants of a board, with the sources of the facts."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from sqhw.atomic import is_file
from sqhw.boards.board import Board, Clock, Leds, Reset, Uart
from sqhw.boards.clocks import design_clocks
from sqhw.cost_models.checks import as_tuples, check_text
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_TOML_BYTES
from sqhw.files.plain import located, parse_toml
from sqhw.files.tables import check_keys, field_names

Part = TypeVar("Part")

#: Tables of a board file.
TABLES = {"clock": Clock, "uart": Uart, "leds": Leds, "reset": Reset}
#: Keys of a variant; all others are for all variants of the file.
VARIANT_KEYS = ("name", "device", "part")
#: Characters of a path that no name of a board has.
PATH_MARKS = ("/", "\\", "~")
#: Names of keys that differ from those of the fields.
FIELDS = {"class": "classes"}


def load_boards() -> dict[str, Board]:
    """Return every board by its name, in the order of the files.

    Raises
    ------
    SqhwError
        If a file has an unknown or missing key or an impossible value, or a name occurs twice.
    """
    return {board.name: board for board in _read_all()}


def find_board(name: str) -> Board:
    """Return the board of a name, or in a file.

    Parameters
    ----------
    name : str
        Board, in upper or lower case; or a board file, ``"path/to/file.toml"``, with ``":NAME"``
        after it if the file has several boards.

    Raises
    ------
    SqhwError
        If there is no such board; the nearest name is suggested. If the file cannot be read, has
        an unknown or missing key or an impossible value, does not say which board, or its clock
        suits no serial line of its speed.
    """
    path, dot, own = name.partition(".toml")
    if dot and own[:1] in ("", ":"):
        return _in_file(Path(path + dot), own[1:])
    if any(mark in name for mark in PATH_MARKS) or is_file(Path(name)):
        found = "is not a TOML file" if is_file(Path(name)) else "does not exist"
        raise SqhwError(
            f"board file {shown(name)} {found}; a board is named by a path that ends in .toml, or "
            "by one of the names that docs/boards.md lists"
        )
    return _by_name(name, _read_all())


def parse_boards(text: str, file: str) -> tuple[Board, ...]:
    """Return the boards that a file describes.

    Parameters
    ----------
    text : str
        Content of the file.
    file : str
        Its name, for the error messages.

    Raises
    ------
    SqhwError
        If the file has an unknown or missing key or an impossible value.
    """
    with located(file):
        table = parse_toml(text)
    needed, optional = field_names(Board)
    shared = {*needed, *optional} - set(VARIANT_KEYS)
    check_keys(file, table, {"board", *(needed & shared)}, shared)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in TABLES:
            values[key] = _part(TABLES[key], f"{file}: {key}", value)
        elif key != "board":
            values[key] = as_tuples(value)
    entries = table["board"]
    if not (isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries)):
        raise SqhwError(f"{file}: board must be a list of tables, [[board]], not {shown(entries)}")
    found = tuple(_board(file, entry, values) for entry in entries)
    names = [board.name.casefold() for board in found]
    for board in found:
        if names.count(board.name.casefold()) > 1:
            raise SqhwError(f"{file}: board {board.name!r} occurs twice")
    return found


def _board(file: str, entry: Mapping[str, Any], shared: Mapping[str, Any]) -> Board:
    where = f"{file}: board {shown(entry.get('name', '?'))}"
    check_keys(where, entry, {"name", "device"}, {"part"})
    try:
        check_text("device", entry["device"])
        device = find_device(entry["device"])
        return Board(**{**shared, **entry, "device": device})
    except (ValueError, SqhwError) as error:
        raise SqhwError(f"{where}: {error}") from error


def _part(kind: type[Part], where: str, entry: object) -> Part:
    if not isinstance(entry, dict):
        raise SqhwError(
            f"{where} must be a table, [{where.rpartition(' ')[2]}], not {shown(entry)}"
        )
    needed, optional = field_names(kind)
    names = {field: key for key, field in FIELDS.items()}
    check_keys(where, entry, needed, {names.get(field, field) for field in optional})
    try:
        return kind(
            **{FIELDS.get(str(key), str(key)): as_tuples(one) for key, one in entry.items()}
        )
    except ValueError as error:
        raise SqhwError(f"{where}: {error}") from error


def _by_name(name: str, boards: Collection[Board]) -> Board:
    for board in boards:
        if board.name.casefold() == name.casefold():
            return board
    raise unknown_name("board", name, [board.name for board in boards])


def _in_file(path: Path, name: str) -> Board:
    with located(f"board file {path}"):
        text = read_text(path, MAX_TOML_BYTES)
    boards = parse_boards(text, str(path))
    if not name and len(boards) > 1:
        names = ", ".join(board.name for board in boards)
        raise SqhwError(
            f"{path} has {len(boards)} boards, {names}; write {path}:{boards[0].name} for one"
        )
    board = _by_name(name, boards) if name else boards[0]
    with located(path):
        design_clocks(board)
    return board


@cache
def _read_all() -> tuple[Board, ...]:
    folder = files("sqhw.boards")
    boards: list[Board] = []
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.endswith(".toml"):
            boards += parse_boards(path.read_text(encoding="utf-8"), path.name)
    names = [board.name.casefold() for board in boards]
    for name in names:
        if names.count(name) > 1:
            raise SqhwError(f"board {name!r} is in two files")
    return tuple(boards)
