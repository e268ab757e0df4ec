"""What the streams of a network are measured against: its entropy, and the codec of Ethos-U."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sqhw.machine.stream import Places, channel_order
from sqhw.network.quantized import QuantizedNetwork

#: Program for a Python that has ``ethos-u-vela``: prints the bits of the layers of a file.
CODEC = """
import sys, numpy
from ethosu import mlw_codec
layers = numpy.load(sys.argv[1])
print(sum(8 * len(mlw_codec.encode(layers[name].tolist())) for name in layers.files))
"""


def entropy_bits(network: QuantizedNetwork) -> float:
    """Return the zero-order entropy of gaps and of values, each layer with its own distributions.

    Entries without a weight and tables of the distributions are not counted (unit: bit).
    """
    bits = 0.0
    for layer in network.convs:
        if layer.has_stream and layer.nonzeros:
            _, zeros = Places.of(layer.weight).runs
            bits += _entropy(zeros) + _entropy(layer.weight[layer.weight != 0])
    return bits


def _entropy(symbols: npt.NDArray[np.generic]) -> float:
    """Return the bits of symbols whose frequencies are known."""
    counts = np.unique(symbols, return_counts=True)[1].astype(np.float64)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def codec_bits(network: QuantizedNetwork, python: Path) -> int:
    """Return the bits that `mlw_codec` of ethos-u-vela encodes the weights in, in stream order.

    Parameters
    ----------
    network : QuantizedNetwork
    python : path
        Python that has ``ethos-u-vela``.
    """
    layers = {
        str(at): channel_order(layer.weight).reshape(-1).astype(np.int16)
        for at, layer in enumerate(network.convs)
        if layer.has_stream
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "layers.npz"
        with file.open("wb") as stream:
            np.savez(stream, **layers)  # type: ignore[arg-type]
        run = subprocess.run(
            [python, "-c", CODEC, file], capture_output=True, text=True, check=True
        )
    return int(run.stdout)
