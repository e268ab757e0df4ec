"""The network of `sqhw size`: a file, or a name of the zoo with assumed weights."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqhw.atomic import is_file, is_folder
from sqhw.compiler.accumulator import check_acc_bits, proposed_acc_bits
from sqhw.errors import SqhwError
from sqhw.frontends.zoo import zoo_topology
from sqhw.network.float_file import load_float
from sqhw.network.floats import FloatNetwork
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized_file import is_quantized, load_network
from sqhw.size.workload import Workload, assumed_workload, known_workload, parse_layers

#: Default of the assumed density, and of the assumed width of a code (unit: bit).
DENSITY, BITS = 1.0, 8


def load_workload(
    source: str,
    *,
    density: float | None = None,
    bits: int | None = None,
    layers: Sequence[str] = (),
    acc_bits: int | None = None,
) -> Workload:
    """Return the network with its weights, or with assumed ones.

    Parameters
    ----------
    source : str
        A network's file, or a name of the zoo.
    density, bits, layers, acc_bits
        ``density``, ``bits``, ``layer`` and ``acc_bits`` of `sqhw.steps.options.SizeOptions`.

    Raises
    ------
    SqhwError
        If there is no such file or name, a density or bits are given for a quantized network, or
        its integers do not fit accumulators of `acc_bits`.
    """
    check_acc_bits(acc_bits)
    path = Path(source)
    if is_file(path) and is_quantized(path):
        if density is not None or bits is not None or layers:
            raise SqhwError(
                f"{source} has weights of its own; density, bits and layers are assumed of float "
                "networks and names of the zoo only"
            )
        network = load_network(path)
        check_acc_bits(acc_bits, network)
        return _with_acc_bits(known_workload(network), acc_bits)
    parsed = parse_layers(layers)
    density, bits = DENSITY if density is None else density, BITS if bits is None else bits
    at_file = names_file(path)
    floats = _float_network(source, at_file)
    found = assumed_workload(with_input_stage(floats), density, bits, parsed)
    if acc_bits is None and at_file:  # the weights of a network of the zoo are random
        acc_bits = proposed_acc_bits(floats, density, bits=bits)
    return _with_acc_bits(found, acc_bits)


def names_file(path: Path) -> bool:
    """Return whether a text is a path, even of a missing file; others are names of the zoo."""
    return len(path.parts) != 1 or path.suffix == ".safetensors" or is_file(path) or is_folder(path)


def _with_acc_bits(workload: Workload, acc_bits: int | None) -> Workload:
    return workload if acc_bits is None else replace(workload, acc_bits=acc_bits)


def _float_network(source: str, at_file: bool) -> FloatNetwork:
    return load_float(source) if at_file else zoo_topology(source)
