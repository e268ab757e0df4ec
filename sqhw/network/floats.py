"""The trained network before compression: float weights and a topology, as plain data."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sqhw.arrays import Floats32, Mask
from sqhw.errors import SqhwError, shown
from sqhw.files.input_limits import MAX_REAL, MIN_REAL
from sqhw.machine.number import ActivationFormat, signed_width
from sqhw.network.activations import FUNCTIONS, NOT_NEGATIVE, function_values
from sqhw.network.facts import LAYER_WEIGHTS
from sqhw.network.graph import (
    Graph,
    GraphConv,
    MaxPool,
    Padding,
    Shape,
    Skip,
    Stride,
    check_graph,
    check_input_shape,
    check_maxima,
)
from sqhw.network.limits import Extent


@dataclass(frozen=True)
class FloatResidual(Skip):
    """A skip connection of real numbers; the parameters are those of `Skip`."""

    source: str
    stride: int = 1
    first: int = 0


@dataclass(frozen=True, eq=False)
class FloatConv(GraphConv):
    """A convolution of floats; the weights of an average pooling are ``1 / (kernel_h * kernel_w)``.

    Parameters
    ----------
    name, source, stride, padding, kind, groups
        Parameters of `GraphConv`.
    weight : ndarray of float32, shape (out_channels, in_channels / groups, kernel_h, kernel_w)
    bias : ndarray of float32, shape (out_channels,)
    relu : bool
        Whether a ReLU follows.
    ceiling : float, optional
        Upper limit of the ReLU: 6 for ReLU6.
    activation : str, optional
        Activation function in place of a ReLU: one of `sqhw.network.activations.FUNCTIONS`, which
        is a table on the engine.
    residual : FloatResidual, optional
    """

    name: str
    source: str
    weight: Floats32
    bias: Floats32
    stride: Stride = 1
    padding: Padding = (0, 0, 0, 0)
    relu: bool = False
    ceiling: float | None = None
    kind: str = "conv"
    groups: int = 1
    residual: FloatResidual | None = None
    activation: str | None = None

    @property
    def has_table(self) -> bool:
        """Whether its activation function is a table on the engine."""
        return self.activation is not None

    @property
    def bare(self) -> bool:
        """Whether it has no activation function."""
        return not self.relu and self.activation is None

    @property
    def trained(self) -> bool:
        """Whether the weights are parameters; those of an average pooling are not."""
        return self.kind != "avgpool"

    @property
    def output_format(self) -> ActivationFormat:
        """Format of the output tensor on the engine: unsigned if no value is negative."""
        return ActivationFormat(8, signed=not (self.relu or self.activation in NOT_NEGATIVE))

    @property
    def has_stream(self) -> bool:
        """Whether the weights will be stored one by one."""
        return self.trained

    @property
    def value_bits(self) -> int:
        """Width of weights that are all 1 on the engine (unit: bit)."""
        return signed_width(1)

    def zero_channels(self) -> Mask:
        """Return which output channels are 0 for every input, shape (out_channels,)."""
        empty = ~self.weight.any(axis=(1, 2, 3))
        if self.activation is not None:
            zero: Mask = empty & (function_values(self.activation, self.bias) == 0)
        else:
            zero = empty & ((self.bias <= 0) if self.relu else (self.bias == 0))
        return zero


FloatLayer = FloatConv | MaxPool


@dataclass(frozen=True, eq=False)
class FloatNetwork(Graph[FloatConv]):
    """A trained graph of layers on raw pixels, checked when it is made.

    Parameters
    ----------
    name : str
    input_shape : tuple of int (channels, height, width)
    input_max : int
        Largest pixel value, for example 16 (digits) or 255 (MNIST).
    mean, std : tuple of float
        Normalisation ``(pixel / input_max - mean) / std``: one value, or one a channel.
    layers : tuple of FloatConv or MaxPool
        Layers in execution order. Each reads tensors of earlier layers, and the last one makes the
        output.
    metadata : dict of str to str
        Free text that travels with the file.

    Raises
    ------
    SqhwError
        If layers do not fit together; the message names the layer.
    """

    name: str
    input_shape: Shape
    input_max: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layers: tuple[FloatLayer, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def pixel_format(self) -> ActivationFormat:
        """Narrowest format of raw pixels."""
        return ActivationFormat(max(2, self.input_max.bit_length()), signed=False)

    @property
    def weights(self) -> int:
        """Number of trained weights, without biases."""
        return sum(layer.weight.size for layer in self.convs if layer.trained)

    @property
    def float_bits(self) -> int:
        """Size of all weights and biases as 32-bit floats (unit: bit)."""
        return 32 * sum(
            layer.weight.size + layer.bias.size for layer in self.convs if layer.trained
        )

    @property
    def size_labels(self) -> dict[str, str]:
        """Entries on this network's size for the metadata of a compressed one."""
        sizes = {layer.name: int(layer.weight.size) for layer in self.convs if layer.trained}
        return {
            "float_weights": str(self.weights),
            "float_bits": str(self.float_bits),
            LAYER_WEIGHTS: json.dumps(sizes),
        }


def _check(network: FloatNetwork) -> None:
    check_graph(network)
    if not network.convs:
        raise SqhwError(f"network {network.name!r} has no layer with weights")
    check_input(network.name, network.input_shape, network.input_max, network.mean, network.std)
    check_maxima(network)
    for layer in network.convs:
        _check_floats(layer, f"layer {layer.name!r}")


def check_input(
    name: str, shape: Sequence[int], input_max: int, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Raise SqhwError if a network's input shape, pixel range or normalisation is not allowed."""
    where = f"network {name!r}"
    check_input_shape(name, shape)
    if not 1 <= input_max <= 255:
        raise SqhwError(f"{where}: input_max must be 1 to 255, not {input_max}")
    for label, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, shape[0]):
            counts = "1 value" if shape[0] == 1 else f"1 or {shape[0]} values"
            raise SqhwError(f"{where}: {label} must have {counts}, not {len(values)}")
        if not np.max(np.abs(values)) <= MAX_REAL:
            raise SqhwError(f"{where}: {label} must be at most {MAX_REAL:.1e}, not {values}")
    if min(std) < MIN_REAL:
        raise SqhwError(f"{where}: std must be positive, {MIN_REAL:.1e} or more, not {std}")
    channels, height, width = shape
    Extent(name, 1).add_map(f"{where}: its input", (channels, height, width))


def _check_floats(layer: FloatConv, where: str) -> None:
    if layer.bias.shape != layer.weight.shape[:1]:
        raise SqhwError(
            f"{where}: bias must have shape {layer.weight.shape[:1]}, not {layer.bias.shape}"
        )
    if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
        raise SqhwError(f"{where}: a weight or bias is not finite")
    for label in ("weight", "bias"):
        values = getattr(layer, label)
        largest = max(-values.min(), values.max())  # np.abs would copy them
        if largest > MAX_REAL:
            raise SqhwError(f"{where}: a {label} is {largest:.1e}, at most {MAX_REAL:.1e}")
    if layer.ceiling is not None and not (layer.relu and MIN_REAL <= layer.ceiling <= MAX_REAL):
        raise SqhwError(
            f"{where}: a ceiling needs a ReLU and must be positive, {MIN_REAL:.1e} to "
            f"{MAX_REAL:.1e}: {layer.ceiling}"
        )
    if layer.activation is not None and (layer.relu or layer.activation not in FUNCTIONS):
        raise SqhwError(
            f"{where}: an activation takes the place of a ReLU and must be one of "
            f"{', '.join(FUNCTIONS)}, not {shown(layer.activation)}"
        )
    if layer.kind == "avgpool":
        share = np.float32(1 / (layer.weight.shape[2] * layer.weight.shape[3]))
        even = bool((layer.weight == share).all()) and not layer.bias.any()
        outputs, inputs = layer.weight.shape[:2]
        if not even or inputs > 1 or layer.groups != outputs:
            raise SqhwError(
                f"{where}: an average pooling must have one filter a channel, of weights {share} "
                "and without bias"
            )
