"""Run with ``python -m benchmarks.coding.codes``: what codes of variable length would bring.

Values sorted by frequency have codes as Golomb-Rice codes have gaps: ones in unary among the
quotients, and bits of one width in the field. No format of sqhw has such codes; this measures them.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.coding.__main__ import ONES, RESULTS
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.arrays import Ints
from sqhw.atomic import make_folder
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import MAX_CODE_BITS, Places, code_width, formats_for
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.size.codings import entropy_bits

#: Most ones of a quotient and of a code. Both together are a chunk of 9 bits at most, which words
#: of 18 bits have already, but for the last pair.
PAIRS = ((ONES, 1), (6, 3), (5, 4), (4, 5), (8, 7))

HEAD = """# Codes of variable length

Output of `.venv/bin/python -m benchmarks.coding.codes`. Bits of the weight streams of each network
of [compression/results](../compression/results), without codebooks and partly empty words, as
multiples of their zero-order entropy, each layer in its cheapest format. `fields` are dense and gap
streams, `built` those and Golomb-Rice streams with quotients of 8 ones. In `Q + C` a quotient has Q
ones at most, and the code of a value, by frequency, is up to C ones in unary and a remainder; as
many as a layer's limit are the escape to a code of one width. `gaps` has such codes in Golomb-Rice
streams only, the others in dense streams too, with 0 among their values.

"""


def main() -> None:
    """Print the table, and write it with a seal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coding.codes", description=__doc__)
    parser.add_argument("--only", default="", help="part of the path of the networks to take")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/coding"), help="for CODES.md"
    )
    arguments = parser.parse_args()
    make_folder(arguments.out)
    rows, total = [], dict[str, float]()
    cycles = dict.fromkeys((ONES, *(ones for ones, _ in PAIRS)), 0)
    for path in sorted(RESULTS.rglob("*.safetensors")):
        if arguments.only not in str(path):
            continue
        network = load_network(path)
        bits = network_bits(network)
        rows.append([f"{path.parent.name} {path.stem}", *_shares(bits)])
        total = {name: total.get(name, 0) + value for name, value in bits.items()}
        try:
            found = {ones: _cycles(network, ones) for ones in cycles}
        except SqhwError:  # a method's network that its engine does not run
            continue
        cycles = {ones: cycles[ones] + found[ones] for ones in cycles}
    rows.append(["all networks", *_shares(total)])
    head = ["network", *(name for name in total if name != "entropy")]
    runs = ", ".join(f"{number:,} at {ones}" for ones, number in sorted(cycles.items()))
    report = HEAD + "\n".join([sentence(measured_on("numpy")), markdown(head, rows)])
    report += f"Cycles of all networks that their engines run, by ones of a quotient: {runs}.\n"
    write_sealed_text(arguments.out / "CODES.md", report)
    print(report)


def network_bits(network: QuantizedNetwork) -> dict[str, float]:
    """Return the bits of a network's streams by coding, and their zero-order entropy."""
    engine = replace(network.facts.engine, quotient_ones=ONES)
    layers = [layer for layer in network.convs if layer.has_stream and layer.nonzeros]
    found: dict[str, float] = {"entropy": entropy_bits(network)}
    for name, one in (("fields", replace(engine, quotient_ones=0)), ("built", engine)):
        found[name] = sum(layer_bits(layer, one, 0) for layer in layers)
    for ones, most in PAIRS:
        one = replace(engine, quotient_ones=ones)
        found[f"{ones} + {most}, gaps"] = sum(
            layer_bits(layer, one, most, "gaps") for layer in layers
        )
        found[f"{ones} + {most}"] = sum(layer_bits(layer, one, most) for layer in layers)
    return found


def layer_bits(layer: Conv, engine: EngineConfig, most: int, where: str = "all") -> int:
    """Return the bits of a layer's stream in its cheapest format.

    Parameters
    ----------
    layer : Conv
    engine : EngineConfig
        Engine that decodes the formats, of which codes may be of variable length.
    most : int
        Most ones of a code; with 0 all codes have one width.
    where : {"all", "gaps"}
        Whether dense streams may have such codes.
    """
    places, found = Places.of(layer.weight), []
    for form in formats_for(engine, layer.weight.shape[1], layer.weight.shape[3]):
        weight = layer.weight.reshape(-1)
        values = weight if form.stores_zeros else weight[weight != 0]
        uses = np.unique(values, return_counts=True)[1]
        coded = form.coded(len(uses))
        if coded.entry_bits > coded.widest_entry(engine.word_bits):
            continue
        bits = sum(coded.sizes(places))
        if len(form.STRINGS) > 1 or (form.stores_zeros and where == "all"):
            bits += code_bits(uses, most) - coded.code_bits * len(values)
        found.append(bits)
    return min(found)


def code_bits(uses: npt.NDArray[Any], most: int) -> int:
    """Return the bits of the codes of values in the best code of a layer.

    Of the values by falling frequency, number n has ``n >> k`` ones, a zero and k bits. From
    ``limit << k`` on it has `limit` ones and a code of one width.

    Parameters
    ----------
    uses : ndarray of int, shape (values,)
        Weights that have each value.
    most : int
        Most ones; the layer has the limit, 0 to `most`, and the k of fewest bits.
    """
    falling = np.sort(uses)[::-1].astype(np.int64)
    width = code_width(len(falling))
    lengths = (
        code_lengths(len(falling), width, k, limit)
        for limit in range(most + 1)
        for k in range(min(width, MAX_CODE_BITS - 1) + 1)
    )
    return min(int(falling @ length) for length in lengths)


def code_lengths(values: int, width: int, k: int, limit: int) -> Ints:
    """Return the bits of the code of each value by falling frequency, shape (values,)."""
    ones = np.arange(values) >> k
    found: Ints = np.where(ones < limit, ones + 1 + k, limit + width)
    return found


def _shares(bits: Mapping[str, float]) -> list[str]:
    """Return the bits as multiples of the entropy."""
    return [f"{number / bits['entropy']:.3f}" for name, number in bits.items() if name != "entropy"]


def _cycles(network: QuantizedNetwork, ones: int) -> int:
    """Return the cycles of a run on the network's engine with quotients of as many ones."""
    engine = replace(network.facts.engine, quotient_ones=ones)
    return schedule(cheapest_streams(network, engine), engine).cycles


if __name__ == "__main__":
    main()
