"""Run with ``python -m benchmarks.coding``: sizes and cycles of kept networks, before and after."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.coding.codec import codec_bits
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.cost_models.rom import rom_cost
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.stream import Places, Rice
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.sim.simulator import Simulator
from sqhw.size.codings import entropy_bits

RESULTS = Path(__file__).parents[1] / "compression" / "results"
#: Most ones of a quotient in the engines with the decoder.
ONES = 8
#: Images whose activations are compared.
IMAGES = 2

HEAD = """# Golomb-Rice streams

Output of `.venv/bin/python -m benchmarks.coding`. Each network of
[compression/results](../compression/results) at its own weights, on its engine and on the same
engine with `quotient_ones` 8, in the formats of fewest bits. All activations of {images} random
images are equal, and the weights decoded from the strings of bits are those of the file.

`layers coded` are those that take the format. `stream` is without codebooks, `rom` all ROM images
(bits); `cycles` are those of a run of one image. `after` is a share of the figure before it.
`entropy` is the zero-order entropy of gaps and values, layer by layer without tables, and
`mlw_codec` what the codec of Arm's Ethos-U (ethos-u-vela 5.2.0) makes of the weights with all that
it needs to decode them: both as shares of the stream before.

"""


@dataclass(frozen=True)
class Figures:
    """Figures of a network in the formats of an engine (unit: bit, and cycles)."""

    fields: int
    rom: int
    cycles: int
    entries: int


def main() -> None:
    """Print the table, and write it with a seal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coding", description=__doc__)
    parser.add_argument("--only", default="", help="part of the path of the networks to take")
    parser.add_argument("--codec", type=Path, help="a Python that has ethos-u-vela, for its sizes")
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/coding"), help="for RESULTS.md"
    )
    arguments = parser.parse_args()
    make_folder(arguments.out)
    paths = [path for path in sorted(RESULTS.rglob("*.safetensors")) if arguments.only in str(path)]
    rows, sums, others = [], [], []
    for path in paths:
        try:
            row, parts = _row(path, arguments.codec)
        except SqhwError as error:  # a method's network that its engine does not run
            others.append(f"{path.parent.name} {path.stem}: {error}")
            continue
        print(" ".join(row), flush=True)
        rows.append(row)
        sums.append(parts)
    head = [
        "network", "layers coded", "stream", "after", "rom", "after", "cycles", "after",
        "entropy", "mlw_codec",
    ]  # fmt: skip
    origin = sentence(measured_on("numpy"))
    report = HEAD.format(images=IMAGES) + "\n".join([origin, markdown(head, rows), _all(sums)])
    if others:
        report += "\nNot measured:\n\n" + "".join(f"- {line}\n" for line in others)
    write_sealed_text(arguments.out / "RESULTS.md", report)
    print(report)


def _row(path: Path, codec: Path | None) -> tuple[list[str], tuple[float, float, float]]:
    """Return the row of a network, and its bits before, after and by its entropy."""
    network = load_network(path)
    engine = network.facts.engine
    with_decoder = replace(engine, quotient_ones=ONES)
    before = cheapest_streams(network, engine)
    after = cheapest_streams(network, with_decoder)
    _compare(before, after, with_decoder)
    old, new = _figures(before, engine), _figures(after, with_decoder)
    entropy = entropy_bits(network)
    layers = [layer for layer in after.convs if layer.has_stream]
    coded = sum(isinstance(layer.stream, Rice) for layer in layers)
    row = [
        f"{path.parent.name} {path.stem}",
        f"{coded} of {len(layers)}",
        f"{old.fields:,}",
        f"{new.fields / old.fields:.3f}",
        f"{old.rom:,}",
        f"{new.rom / old.rom:.3f}",
        f"{old.cycles:,}",
        f"{new.cycles / old.cycles:.3f}",
        f"{entropy / old.fields:.3f}",
        f"{codec_bits(network, codec) / old.fields:.3f}" if codec else "",
    ]
    return row, (old.fields, new.fields, entropy)


def _figures(network: QuantizedNetwork, engine: EngineConfig) -> Figures:
    cost, done = rom_cost(network, engine), schedule(network, engine)
    fields = sum(layer.payload + layer.positions for layer in cost.layers)
    return Figures(fields, cost.rom, done.cycles, sum(layer.entries for layer in done.layers))


def _compare(before: QuantizedNetwork, after: QuantizedNetwork, engine: EngineConfig) -> None:
    """Check that both networks compute the same, and that the strings hold these weights."""
    rng = np.random.default_rng(0)
    form = before.input_format
    images = rng.integers(form.lo, form.hi + 1, (IMAGES, *before.input_shape))
    maps, others = Simulator(before).run(images), Simulator(after).run(images)
    for name, values in maps.items():
        np.testing.assert_array_equal(values, others[name])
    program = compile_network(after, engine)
    assert program.rom_bits == rom_cost(after, engine).rom
    for layer in after.convs:
        counts = layer.stream.counts(Places.of(layer.weight)).astype(np.int32)
        strings = layer.stream.written(layer.stream.encode(layer.weight, layer.codebook))
        entries = layer.stream.taken_from(strings, counts)
        decoded = layer.stream.decode(entries, layer.codebook, layer.weight.shape)  # type: ignore[arg-type]
        np.testing.assert_array_equal(decoded, layer.weight)


def _all(sums: list[tuple[float, float, float]]) -> str:
    """Return what all networks together come to."""
    old, new, entropy = np.array(sums).sum(axis=0)
    return (
        f"All networks: {new / old:.3f} of the bits before, the entropy is {entropy / old:.3f}, so "
        f"the streams are {new / entropy:.3f} times the entropy, and were {old / entropy:.3f}.\n"
    )


if __name__ == "__main__":
    main()
