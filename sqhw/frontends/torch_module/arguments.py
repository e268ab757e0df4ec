"""The arguments of an import, converted exactly or refused by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from sqhw.errors import SqhwError, shown
from sqhw.network.graph import Shape


def text(label: str, value: object) -> str:
    """Return a name; raise SqhwError if it is no string."""
    if not isinstance(value, str):
        raise SqhwError(f"{label} must be a string, not {shown(value)}")
    return value


def whole(label: str, value: Any) -> int:
    """Return an integer of Python or numpy as `int`; raise SqhwError on anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SqhwError(f"{label} must be a whole number, not {shown(value)}")
    return int(value)


def shape(value: Any) -> Shape:
    """Return the shape of an input; raise SqhwError if it is not three whole numbers."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise SqhwError(f"input shape must be (channels, height, width), not {shown(value)}")
    label = f"each of input shape {shown(value)}"
    channels, height, width = (whole(label, size) for size in value)
    return channels, height, width


def reals(label: str, values: Any) -> tuple[float, ...]:
    """Return a sequence, array or tensor of real numbers as `float`; raise SqhwError on others."""
    found = values
    if isinstance(values, Tensor | np.ndarray):
        found = values.tolist()
    elif isinstance(values, list | tuple):
        found = [part.item() if _is_number(part) else part for part in values]
    if isinstance(found, list) and all(type(part) in (int, float) for part in found):
        try:
            return tuple(float(part) for part in found)
        except OverflowError:
            pass
    raise SqhwError(
        f"{label} must be a sequence of numbers, one or one a channel, not {shown(values)}"
    )


def _is_number(value: object) -> bool:
    """Whether it is a number of numpy, or a tensor of one."""
    return isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1)
