"""Topologies as JSON: a float network without its weights, made from the modules of the zoo.

`python -m sqhw.frontends.zoo` writes the files anew; a test compares them with the modules.
"""

import json
import math
from dataclasses import asdict, fields
from importlib import resources
from typing import Any

import numpy as np

from sqhw.errors import unknown_name
from sqhw.network.floats import FloatConv, FloatLayer, FloatNetwork, FloatResidual
from sqhw.network.graph import MaxPool

SUFFIX = ".json"
NUMBERS = ("weight", "bias")  # what a file does not hold


def names() -> tuple[str, ...]:
    """Return the names of the networks, sorted."""
    files = [file.name for file in resources.files("sqhw.frontends.zoo").iterdir()]
    return tuple(sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)))


def zoo_topology(name: str, outputs: int | None = None) -> FloatNetwork:
    """Return a network of the zoo without its training: weights are 1, those of averages right.

    Parameters
    ----------
    name : str
    outputs : int, 1 or more, optional
        Number of classes; by default that of the published network.

    Returns
    -------
    FloatNetwork
        Biases are 0. Its arrays are views of one number and cannot be written to.

    Raises
    ------
    SqhwError
        If the zoo has no network of that name.
    """
    known = names()
    if name not in known:
        raise unknown_name("network", name, known)
    plain = json.loads(resources.files("sqhw.frontends.zoo").joinpath(name + SUFFIX).read_text())
    if outputs is not None:
        plain["layers"][-1]["shape"][0] = outputs
    return from_plain(plain)


def to_plain(network: FloatNetwork) -> dict[str, Any]:
    """Return the topology of a network as plain data; what has its default is left out."""
    return {
        "name": network.name,
        "input_shape": list(network.input_shape),
        "input_max": network.input_max,
        "mean": list(network.mean),
        "std": list(network.std),
        "layers": [_plain_layer(layer) for layer in network.layers],
    }


def from_plain(plain: dict[str, Any]) -> FloatNetwork:
    """Return the network that `to_plain` made the data of, without its training."""
    return FloatNetwork(
        name=plain["name"],
        input_shape=tuple(plain["input_shape"]),
        input_max=plain["input_max"],
        mean=tuple(plain["mean"]),
        std=tuple(plain["std"]),
        layers=tuple(_layer(layer) for layer in plain["layers"]),
    )


def _plain_layer(layer: FloatLayer) -> dict[str, Any]:
    plain = {
        field.name: getattr(layer, field.name)
        for field in fields(layer)
        if field.init and field.name not in NUMBERS and getattr(layer, field.name) != field.default
    }
    if isinstance(layer, MaxPool):
        return plain
    if layer.residual:
        plain["residual"] = asdict(layer.residual)
    return plain | {"shape": list(layer.weight.shape)}


def _layer(plain: dict[str, Any]) -> FloatLayer:
    if "shape" not in plain:
        return MaxPool(**plain)
    rest = {key: value for key, value in plain.items() if key != "shape"}
    if "residual" in rest:
        rest["residual"] = FloatResidual(**rest["residual"])
    if "padding" in rest:
        rest["padding"] = tuple(rest["padding"])
    shape = tuple(plain["shape"])
    value = 1 / math.prod(shape[2:]) if rest.get("kind") == "avgpool" else 1.0
    return FloatConv(
        weight=np.broadcast_to(np.full(1, value, dtype=np.float32), shape),
        bias=np.broadcast_to(np.zeros(1, dtype=np.float32), shape[:1]),
        **rest,
    )
