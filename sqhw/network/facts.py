"""Facts about a network that travel as texts in the metadata of its file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_COUNT, MAX_INTEGER_DIGITS, MAX_NUMBER_CHARS
from sqhw.files.plain import located, parse_json, typed
from sqhw.machine.config import EngineConfig

#: Weights of each trained layer before compression, as JSON.
LAYER_WEIGHTS = "layer_weights"
ACCURACIES = ("float_validation_accuracy", "validation_accuracy", "test_accuracy")
FLOAT_BITS = 32

_COUNT = re.compile(rf"[0-9]{{1,{MAX_INTEGER_DIGITS}}}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Facts:
    """Facts in a network's file about its training and compression.

    Parameters
    ----------
    engine : EngineConfig
        Engine that the network was compressed for; the default one if the file names none.
    device : str or None
        Device that the network was compressed for.
    weights_before, values_before : int or None
        Number of trained weights of the float network, without and with its biases.
    layer_weights : dict of str to int
        Weights of each trained layer before compression, empty if unknown.
    accuracies : dict of str to float, 0 to 1
        Measured accuracies, by their names in `ACCURACIES`.
    method, data, notes : str
        Compression method, name of the data set, and notes, a line each; empty if unknown.
    """

    engine: EngineConfig = field(default_factory=EngineConfig)
    device: str | None = None
    weights_before: int | None = None
    values_before: int | None = None
    layer_weights: dict[str, int] = field(default_factory=dict)
    accuracies: dict[str, float] = field(default_factory=dict)
    method: str = ""
    data: str = ""
    notes: str = ""


def facts_of(metadata: Mapping[str, str]) -> Facts:
    """Return the facts that the metadata of a network hold; other entries are not read.

    Raises
    ------
    SqhwError
        If an entry is wrong; the message names it, what was found and what is allowed.
    """
    engine = EngineConfig()
    if metadata.get("engine"):
        with located("metadata entry 'engine'"):
            engine = EngineConfig.from_dict(parse_json(metadata["engine"]))
    bits, weights = _count(metadata, "float_bits"), _count(metadata, "float_weights")
    if bits is not None and bits % FLOAT_BITS:
        raise SqhwError(
            f"metadata entry 'float_bits' must be a multiple of {FLOAT_BITS}, the bits of a value, "
            f"not {bits}"
        )
    values = bits // FLOAT_BITS if bits is not None else weights
    if values is not None and weights is not None and values < weights:
        raise SqhwError(
            f"metadata entry 'float_bits': {bits} are fewer than {FLOAT_BITS} for each of "
            f"{weights} 'float_weights'"
        )
    return Facts(
        engine=engine,
        device=metadata.get("device") or None,
        weights_before=weights,
        values_before=values,
        layer_weights=_layer_weights(metadata),
        accuracies={name: _share(metadata, name) for name in ACCURACIES if name in metadata},
        **{name: metadata[name] for name in ("method", "data", "notes") if name in metadata},
    )


def _layer_weights(metadata: Mapping[str, str]) -> dict[str, int]:
    with located(f"metadata entry {LAYER_WEIGHTS!r}"):
        found = typed(dict[str, int], parse_json(metadata.get(LAYER_WEIGHTS, "{}")))
        for name, weights in found.items():
            if not 0 <= weights <= MAX_COUNT:
                raise SqhwError(f"{shown(name)} must be 0 to {MAX_COUNT:,} weights, not {weights}")
    return found


def _count(metadata: Mapping[str, str], name: str) -> int | None:
    text = metadata.get(name)
    if text is None:
        return None
    if not _COUNT.fullmatch(text) or int(text) > MAX_COUNT:
        raise SqhwError(
            f"metadata entry {name!r} must be a whole number of 0 to {MAX_COUNT:,}, "
            f"not {shown(text)}"
        )
    return int(text)


def _share(metadata: Mapping[str, str], name: str) -> float:
    text = metadata[name]
    number = len(text) <= MAX_NUMBER_CHARS and _NUMBER.fullmatch(text)
    if not number or float(text) > 1:
        raise SqhwError(f"metadata entry {name!r} must be a number of 0 to 1, not {shown(text)}")
    return float(text)
