"""Checks of the numbers among options. A number that is not finite passes none of them."""

import math

from sqhw.errors import SqhwError


def check_least(name: str, value: float, least: int) -> None:
    """Check that an option is at least `least`.

    Parameters
    ----------
    name : str
        Name of the option, for the error.
    value : float
    least : int
        Smallest allowed value.

    Raises
    ------
    SqhwError
        If the option is smaller.
    """
    if not least <= value < math.inf:
        raise SqhwError(f"{name} must be at least {least}, not {value}")


def check_positive(name: str, value: float) -> None:
    """Check that an option is above 0 and finite; see `check_least`."""
    if not 0 < value < math.inf:
        raise SqhwError(f"{name} must be positive and finite, not {value}")


def check_not_negative(name: str, value: float) -> None:
    """Check that an option is at least 0 and finite; see `check_least`."""
    if not 0 <= value < math.inf:
        raise SqhwError(f"{name} must be finite and not negative, not {value}")


def check_bias_bits(bits: int) -> None:
    """Check the largest width of biases; see `check_least`."""
    if not 4 <= bits <= 16:
        raise SqhwError(f"bias_bits must be 4 to 16, not {bits}")
