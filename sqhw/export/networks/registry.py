"""The formats of exported networks by name."""

import re
from collections.abc import Callable

from sqhw.export.networks.c99 import c_files
from sqhw.export.networks.exact import exact_files
from sqhw.export.networks.qdq import qdq_files
from sqhw.export.networks.qonnx import qonnx_files
from sqhw.network.quantized import QuantizedNetwork

#: Functions that return the files of a network by their names, by the name of the format.
WRITERS: dict[str, Callable[[QuantizedNetwork, str], dict[str, bytes]]] = {
    "c": c_files,
    "qdq": qdq_files,
    "qonnx": qonnx_files,
    "exact": exact_files,
}


def safe_stem(stem: str) -> str:
    """Return the start of a file name that C can include: letters, digits, ``.``, ``_``, ``-``."""
    return re.sub("[^0-9A-Za-z._-]", "_", stem) or "network"
