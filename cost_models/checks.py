"""Checks of the values in device files; a failed one raises ValueError and names the key."""

from typing import Any


def check_int(key: str, value: object, least: int) -> None:
    """Refuse what is not a whole number of `least` or more."""
    if not is_int(value, least):
        raise ValueError(f"{key} must be a whole number of {least} or more, not {value!r}")


def check_bool(key: str, value: object) -> None:
    """Refuse what is not a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, not {value!r}")


def check_text(key: str, value: object) -> None:
    """Refuse what is not a text with something in it."""
    if not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{key} must be a text, not {value!r}")


def check_texts(key: str, value: object, *, at_least: int) -> None:
    """Refuse what is not a tuple of texts."""
    if not isinstance(value, tuple) or len(value) < at_least:
        raise ValueError(
            f"{key} must be a list of {at_least} or more texts, not {as_lists(value)!r}"
        )
    for text in value:
        check_text(key, text)


def check_choice(key: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse what is not one of the known words."""
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}, not {value!r}")


def is_int(value: object, least: int) -> bool:
    """Return whether the value is a whole number of `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def as_tuples(value: Any) -> Any:
    """Return the value with every list, nested ones too, made a tuple."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def as_lists(value: Any) -> Any:
    """Return the value with every tuple made a list, as the file writes it."""
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value
