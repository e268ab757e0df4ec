"""Functions that numba compiles: kept from run to run where a folder for that can be written."""

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function at its first call, and keeps the result.

    Without a folder for it (package and home read-only) the function is compiled in every run.

    Parameters
    ----------
    **options
        Of `numba.njit`.
    """

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            made: Callable[..., Any] = njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function"
            made = njit(**options)(function)
        return made

    return compiled
