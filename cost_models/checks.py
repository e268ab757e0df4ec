"""Checks of the values in device files; a failed one raises ValueError and names the key."""

import math
from typing import Any

from sqhw.errors import shown
from sqhw.files.input_limits import MAX_DEVICE_COUNT


def check_int(key: str, value: object, least: int, most: int = MAX_DEVICE_COUNT) -> None:
    """Refuse a value that is not a whole number of `least` or more, or is beyond every device."""
    if not is_int(value, least):
        raise ValueError(f"{key} must be a whole number of {least} or more, not {shown(value)}")
    if not is_int(value, least, most):
        raise ValueError(f"{key} must be at most {most:,}, not {shown(value)}")


def check_number(key: str, value: object, least: int = 0) -> None:
    """Refuse a value that is not a number of `least` or more, or is beyond every device."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not least <= number <= MAX_DEVICE_COUNT:
        raise ValueError(f"{key} must be a number of {least} or more, not {shown(value)}")


def check_bool(key: str, value: object) -> None:
    """Refuse a value that is not a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, not {shown(value)}")


def check_text(key: str, value: object) -> None:
    """Refuse a value that is not a text, or is an empty one."""
    if not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{key} must be a text, not {shown(value)}")


def check_texts(key: str, value: object, *, at_least: int) -> None:
    """Refuse a value that is not a tuple of texts."""
    if not isinstance(value, tuple) or len(value) < at_least:
        raise ValueError(
            f"{key} must be a list of {at_least} or more texts, not {shown(as_lists(value))}"
        )
    for text in value:
        check_text(key, text)


def check_choice(key: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the known words."""
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}, not {shown(value)}")


def is_int(value: object, least: int, most: float = math.inf) -> bool:
    """Return whether the value is a whole number of `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def as_tuples(value: Any) -> Any:
    """Return the value with every list, nested ones too, made a tuple."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def as_lists(value: Any) -> Any:
    """Return the value with every tuple made a list, as the file writes it."""
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value
