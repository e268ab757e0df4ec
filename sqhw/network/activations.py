"""Activation functions that are tables on the engine, by name, on real numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.machine.number import ActivationFormat

Doubles = npt.NDArray[np.float64]
#: Format of the index of a table: what sums are requantized to.
TABLE_INDEX = ActivationFormat(8, signed=True)
_erf_of_one = np.frompyfunc(math.erf, 1, 1)


def erf(x: Doubles) -> Doubles:
    """Return the error function, shape as `x`."""
    return np.asarray(_erf_of_one(x), np.float64)


def _sigmoid(x: Doubles) -> Doubles:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softplus(x: Doubles) -> Doubles:
    return np.logaddexp(0.0, x)


def _gelu(x: Doubles) -> Doubles:
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def _gelu_tanh(x: Doubles) -> Doubles:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


#: Functions by name, as PyTorch defines them: ``silu`` is ``x * sigmoid(x)``, ``hard_swish`` is
#: ``x * clip(x + 3, 0, 6) / 6``, ``mish`` is ``x * tanh(softplus(x))``, ``gelu_tanh`` the
#: approximation of GELU by a hyperbolic tangent.
FUNCTIONS: dict[str, Callable[[Doubles], Doubles]] = {
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "hard_swish": lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
}
#: Difference, relative to the largest value, up to which two functions are the same one: constants
#: of files have single precision.
MATCH = 3e-6
#: Functions without negative values.
NOT_NEGATIVE = ("sigmoid", "softplus")


def function_values(name: str, x: npt.NDArray[Any]) -> Doubles:
    """Return the values of a function in double precision, shape as `x`."""
    return np.asarray(FUNCTIONS[name](np.asarray(x, np.float64)), np.float64)


def table_of(
    name: str, index_scale: float, output_scale: float, output: ActivationFormat
) -> tuple[int, ...]:
    """Return the table of a function for indices and outputs of given units.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`.
    index_scale, output_scale : float
        Real values of one unit.
    output : ActivationFormat

    Returns
    -------
    tuple of int
        Outputs for the indices of `TABLE_INDEX`, ascending, rounded to nearest.
    """
    index = np.arange(TABLE_INDEX.lo, TABLE_INDEX.hi + 1)
    found = np.rint(function_values(name, index * index_scale) / output_scale)
    return tuple(found.clip(output.lo, output.hi).astype(int).tolist())


def matching_function(x: Doubles, y: Doubles) -> tuple[str, float] | None:
    """Return the function, and its factor, whose values are those of another one.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        Arguments and values.
    """
    size = float(np.abs(y).max())
    for name in FUNCTIONS:
        own = function_values(name, x)
        factor = float(own @ y) / float(own @ own)
        if size and np.abs(factor * own - y).max() <= MATCH * size:
            return name, 1.0 if abs(factor - 1.0) <= MATCH else factor
    return None
