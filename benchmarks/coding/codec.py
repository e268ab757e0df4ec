"""What the codec of Ethos-U makes of the weights of a network, in a Python that has it."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from sqhw.network.quantized import QuantizedNetwork
from sqhw.size.codings import weights_in_order

#: Program for a Python that has ``ethos-u-vela``: prints the bits of the layers of a file.
CODEC = """
import sys, numpy
from ethosu import mlw_codec
layers = numpy.load(sys.argv[1])
print(sum(8 * len(mlw_codec.encode(layers[name].tolist())) for name in layers.files))
"""


def codec_bits(network: QuantizedNetwork, python: Path) -> int:
    """Return the bits that `mlw_codec` of ethos-u-vela encodes the weights in, in stream order.

    Parameters
    ----------
    network : QuantizedNetwork
    python : path
        Python that has ``ethos-u-vela``.
    """
    layers = {str(at): layer for at, layer in enumerate(weights_in_order(network))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "layers.npz"
        with file.open("wb") as stream:
            np.savez(stream, **layers)  # type: ignore[arg-type]
        run = subprocess.run(
            [python, "-c", CODEC, file], capture_output=True, text=True, check=True
        )
    return int(run.stdout)
