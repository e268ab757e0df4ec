"""Plain data from untrusted text: strict JSON and TOML, and data classes of exact types from them.

Nothing here reads a file; the errors begin with what is wrong, and the readers put the file's name
in front with `located`.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.files.input_limits import (
    MAX_INTEGER_DIGITS,
    MAX_JSON_BYTES,
    MAX_NESTING,
    MAX_NUMBER_CHARS,
    MAX_TOML_BYTES,
)

T = TypeVar("T")

#: Names of the elements of a list in errors, by their type.
PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}

# A string, which may lack its end, or a bracket. Possessive, hence linear in the text's length.
_JSON_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_TOML_TOKENS = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:""")?'
    r"|'''(?:[^']++|'(?!''))*+(?:''')?"
    r'|"(?:[^"\\\n]++|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+|[\[\]{}]",
    re.DOTALL,
)
_DOTTED = re.compile(rf'(?<![\w"-])(?:[\w"-]++[ \t]*+\.[ \t]*+){{{MAX_NESTING}}}')


@contextmanager
def located(where: object, joint: str = ": ") -> Iterator[None]:
    """Put `where` and `joint` in front of the message of a SqhwError raised in the block."""
    try:
        yield
    except SqhwError as error:
        raise SqhwError(f"{where}{joint}{error}") from None


def parse_json(text: str, *, infinite: bool = False) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    text : str
    infinite : bool
        Whether infinity and not-a-number are allowed, as Python writes them.

    Raises
    ------
    SqhwError
        If it is not JSON, longer or more deeply nested than `sqhw.files.input_limits` allow, or
        holds a long number, infinity, not-a-number, a key twice or a text that is not Unicode.
    """
    if len(text) > MAX_JSON_BYTES:
        raise SqhwError(f"not read: JSON of more than {MAX_JSON_BYTES:,} characters")
    _check_nesting(_JSON_TOKENS, text)
    try:
        value = json.loads(
            text,
            parse_constant=float if infinite else _no_constant,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_once,
        )
    except (ValueError, RecursionError) as error:
        raise SqhwError(f"not JSON: {error}") from None
    _check_values(value, infinite)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text.

    Raises
    ------
    SqhwError
        As `parse_json`; or if it holds a date or a time.
    """
    if len(text) > MAX_TOML_BYTES:
        raise SqhwError(f"not read: TOML of more than {MAX_TOML_BYTES:,} characters")
    _check_nesting(_TOML_TOKENS, text)
    # Dotted keys nest too; points within strings and comments do not count.
    if _DOTTED.search(_TOML_TOKENS.sub(_without_points, text)):
        raise SqhwError(f"nested more than {MAX_NESTING} deep")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SqhwError(f"not TOML: {error}") from None
    _check_values(table)
    return table


def typed(
    kind: type[T], value: object, path: str = "", *, more: bool = False, partial: bool = False
) -> T:
    """Return a value of an annotated type: exactly what JSON holds, data classes from objects.

    Parameters
    ----------
    kind : type
        ``int``, ``float``, ``str``, ``bool``, ``dict``, ``Any``, ``list[Any]``, ``tuple[X, ...]``
        and ``tuple[X, Y]`` (of lists), ``dict[str, X]``, ``X | None``, ``int | float``, or a data
        class (of an object) whose fields are such. A bool is no int, nor an int a float.
    value : plain data
    path : str
        Names of the fields on the way to it, for errors; empty for the whole.
    more : bool
        Whether objects may have fields that the data class lacks.
    partial : bool
        Whether objects may lack fields for which the data class has a default.

    Raises
    ------
    SqhwError
        Naming the field, what it must be and what was found.
    """
    return cast(T, _Reader(more, partial).read(kind, value, path))


def field_of(record: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return one field of an object as `typed` does.

    Raises
    ------
    SqhwError
        As `typed`; or if the field is missing.
    """
    if name not in record:
        raise SqhwError(f"field {name!r} is missing")
    return typed(kind, record[name], name)


@dataclass(frozen=True)
class _Reader:
    more: bool
    partial: bool

    def read(self, kind: Any, value: object, path: str) -> Any:
        origin = get_origin(kind)
        if kind is Any:
            return value
        if origin in (Union, UnionType):
            return self._either(get_args(kind), value, path)
        if origin is tuple:
            return self._tuple(get_args(kind), value, path)
        if origin is dict:
            found = _exactly(dict, value, path)
            return {
                key: self.read(get_args(kind)[1], one, _within(path, key))
                for key, one in found.items()
            }
        if origin is list:  # its elements are read later
            return _exactly(list, value, path)
        if is_dataclass(kind):
            return self._record(cast(type[Any], kind), value, path)
        return _exactly(kind, value, path)

    def _either(self, kinds: tuple[Any, ...], value: object, path: str) -> Any:
        """Return a value of one of several kinds; the error is that of the last one."""
        if value is None and NoneType in kinds:
            return None
        *others, last = (kind for kind in kinds if kind is not NoneType)
        return value if type(value) in others else self.read(last, value, path)

    def _tuple(self, kinds: tuple[Any, ...], value: object, path: str) -> tuple[Any, ...]:
        length = None if kinds[-1] is Ellipsis else len(kinds)
        found = value if isinstance(value, list) and length in (None, len(value)) else None
        alike = kinds[0] if kinds[0] in PLURALS and set(kinds) <= {kinds[0], Ellipsis} else None
        if found is None or (alike and any(type(one) is not alike for one in found)):
            what = PLURALS[alike] if alike else "values"
            count = "" if length is None else f"{length} "
            raise SqhwError(f"{_field(path)}must be a list of {count}{what}, not {shown(value)}")
        inner = kinds[:1] * len(found) if length is None else kinds
        return tuple(
            self.read(kind, one, f"{path}[{index}]")
            for index, (kind, one) in enumerate(zip(inner, found, strict=True))
        )

    def _record(self, kind: type[Any], value: object, path: str) -> Any:
        record = _exactly(dict, value, path)
        hints = _hints(cast(Any, kind))
        known = {field.name: field for field in fields(kind) if field.init}
        for name in record:
            if name not in known and not self.more:
                raise unknown_name("field", _within(path, name), known)
        found = {}
        for name, field in known.items():
            if name in record:
                found[name] = self.read(hints[name], record[name], _within(path, name))
            elif not self.partial or (
                field.default is MISSING and field.default_factory is MISSING
            ):
                raise SqhwError(f"{_field(_within(path, name))}is missing")
        try:
            return kind(**found)
        except ValueError as error:
            raise SqhwError(f"field {path!r}: {error}" if path else str(error)) from None


def _exactly(kind: type[T], value: object, path: str) -> T:
    if type(value) is not kind:
        raise SqhwError(f"{_field(path)}must be {kind.__name__}, not {shown(value)}")
    return value


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _field(path: str) -> str:
    return f"field {shown(path)} " if path else ""


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _check_nesting(tokens: re.Pattern[str], text: str) -> None:
    depth = 0
    for token in tokens.finditer(text):
        mark = token[0]
        depth = max(0, depth + (mark in ("[", "{")) - (mark in ("]", "}")))
        if depth > MAX_NESTING:
            raise SqhwError(f"nested more than {MAX_NESTING} deep")


def _without_points(token: re.Match[str]) -> str:
    return token[0] if token[0] in "[]{}" else '""'


def _check_values(value: object, infinite: bool = False) -> None:
    """Refuse numbers that are too large and texts that cannot be written."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            rest += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, str):
            if not (one.isascii() or one.isprintable() or _encodable(one)):
                raise SqhwError("holds a text that is not Unicode")
        elif isinstance(one, int):  # TOML's, also in hex digits, which Python reads at any length
            if abs(one) >= 10**MAX_INTEGER_DIGITS:
                raise SqhwError(f"holds a number of more than {MAX_INTEGER_DIGITS} digits")
        elif isinstance(one, float):
            if not (infinite or math.isfinite(one)):
                raise SqhwError(f"holds {one}, which is no number")
        elif one is not None:
            raise SqhwError(f"holds a date or a time, {shown(one)}")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > MAX_INTEGER_DIGITS:
        raise ValueError(f"a number of {digits:,} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text) if len(text) <= MAX_NUMBER_CHARS else math.inf
    if not math.isfinite(value):
        raise ValueError(f"{text[:MAX_NUMBER_CHARS]} is too long or too large a number")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"key {shown(name)} occurs twice")
        found[name] = value
    return found
