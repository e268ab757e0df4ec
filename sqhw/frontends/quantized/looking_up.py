"""Activation functions of integers: tables of the engine."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.frontends.quantized.held import Held
from sqhw.frontends.quantized.making import Making
from sqhw.frontends.quantized.sums import Window
from sqhw.frontends.quantized.views import View
from sqhw.network.activations import TABLE_INDEX
from sqhw.network.quantized import Conv

Integers = npt.NDArray[np.int64]


def looked_up(
    making: Making,
    name: str,
    x: View,
    function: Callable[[Integers], npt.NDArray[Any]],
    target: Held,
    *,
    alone: bool,
) -> str:
    """Give the layer that makes a map the table of a function, or add a layer that has it.

    Parameters
    ----------
    making : Making
    name : str
        Name of the layer that is added.
    x : View
        Map that the function reads.
    function : callable
        Returns the file's integers, before any bounds, of integers of the map, shape (1, n).
    target : Held
        How the output is held.
    alone : bool
        Whether nothing else reads the map.

    Returns
    -------
    str
        Name of the layer with the table.
    """
    form = x.held.form
    offset = 0 if form.hi <= TABLE_INDEX.hi else TABLE_INDEX.lo
    index = np.arange(TABLE_INDEX.lo, TABLE_INDEX.hi + 1, dtype=np.int64)
    own = (index - offset).clip(x.held.lowest, x.held.highest)
    made = target.of_file(function(own[None])[0]).clip(target.lowest, target.highest)
    table = tuple(made.tolist())
    layer = next((one for one in making.layers if one.name == x.map), None)
    free = isinstance(layer, Conv) and not layer.table and offset == 0
    if alone and free and isinstance(layer, Conv):
        at = making.layers.index(layer)
        making.layers[at] = replace(
            layer, output=target.form, output_scale=target.unit, table=table
        )
        return layer.name
    channels = x.shape[0]
    weight = np.eye(channels, dtype=np.int64)[:, :, None, None]
    ones = np.ones(channels, dtype=np.int64)
    window = Window(weight, np.full(channels, x.held.unit))
    making.append(name, x.map, window, target, (offset * ones, ones, 0 * ones))
    added = making.layers[-1]
    assert isinstance(added, Conv)
    making.layers[-1] = replace(added, table=table)
    making.notes[f"layer {name!r} is an activation function of {x.map!r}"] = None
    return name
