"""Run with ``python -m benchmarks.coding.rtl``: networks with coded streams through the RTL."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.coding.__main__ import ONES, RESULTS
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from sqhw.atomic import make_folder
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.compiler.program import compile_network
from sqhw.cost_models.schedule import schedule
from sqhw.export.build import write_rom, write_rtl
from sqhw.network.quantized_file import load_network
from sqhw.verify.cxxrtl import VolumeBench

#: Networks, by their files among the kept ones.
NETWORKS = ("lenet5/hardware-rom19700", "resnet20/hardware-rom344000")
#: Random images of each.
IMAGES = 4

HEAD = """# Networks with Golomb-Rice streams in RTL

Output of `.venv/bin/python -m benchmarks.coding.rtl`: kept networks of
[compression/results](../compression/results), all layers, on their engines with `quotient_ones`
{ones}, in the formats of fewest bits. CXXRTL runs {images} random images; every activation and
every result equals the simulator's.

"""


def main() -> None:
    """Run the networks, print the table, and write it with a seal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coding.rtl", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("build/benchmarks/coding"), help="for RTL.md"
    )
    out = make_folder(parser.parse_args().out)
    rows = []
    for name in NETWORKS:
        rows.append(_row(name))
        print(" ".join(rows[-1]), flush=True)
    head = ["network", "formats", "activations equal", "cycles measured", "predicted"]
    report = HEAD.format(ones=ONES, images=IMAGES)
    report += "\n".join([sentence(measured_on("pyosys", "numpy")), markdown(head, rows)])
    write_sealed_text(out / "RTL.md", report)
    print(report)


def _row(name: str) -> list[str]:
    """Return the row of a network; what is not equal is an error."""
    network = load_network(RESULTS / f"{name}.safetensors")
    engine = replace(network.facts.engine, quotient_ones=ONES)
    network = cheapest_streams(network, engine)
    program = compile_network(network, engine)
    rng, form = np.random.default_rng(0), network.input_format
    images = rng.integers(form.lo, form.hi + 1, (IMAGES, *network.input_shape))
    with tempfile.TemporaryDirectory() as place:
        rtl = Path(place)
        write_rtl(engine, program.depths, rtl)
        write_rom(program, rtl)
        report = VolumeBench(rtl, rtl / "work", optimize=1).run(program, images, rtl)
    kinds = [type(layer.stream).__name__ for layer in network.convs if layer.has_stream]
    return [
        name.replace("/", " "),
        ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))),
        f"{report.activations:,}",
        f"{report.cycles:,}",
        f"{schedule(network, engine).cycles:,}",
    ]


if __name__ == "__main__":
    main()
