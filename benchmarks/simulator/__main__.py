"""Run with ``python -m benchmarks.simulator``."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import llvmlite.binding as llvm
import torch
import typer

from benchmarks.origin import measured_on, sentence
from benchmarks.seal import write_sealed_text
from benchmarks.simulator import cases, equal, layers, outside, rtl, starts, table
from benchmarks.simulator.peak import peak
from benchmarks.simulator.rows import Record, Settings, measured
from sqhw.frontends.zoo.catalogue import ZOO
from sqhw.sim import kernels

app = typer.Typer(add_completion=False)
#: Images of the run from start to end, as many as the test set of CIFAR-10.
LONG_RUN = 10_000
#: Parts of the result.
PARTS = ("networks", "layers", "peers", "starts")
#: Peers in environments of their own, and simulators of RTL.
OUTSIDE, RTL = ("litert", "qonnx", "alkaid"), ("verilator", "cxxrtl")


def _network(settings: Settings, name: str) -> dict[str, Any]:
    images = cases.images_of(name, settings.images or cases.NETWORKS[name])
    with tempfile.TemporaryDirectory() as folder:
        return cases.measure(name, images, settings.rounds, Path(folder))


def _rows(settings: Settings, names: list[str], parts: list[str], models: Path | None) -> Any:
    """Measure the rows that are asked for, one after the other."""
    found: dict[str, Any] = {
        part: [] for part in ("networks", "layers", "peers", "starts", "equal")
    }
    found["peak"] = measured(settings, "peak", lambda: {"peak": peak(kernels.LANES)})

    def row(part: str, name: str, measure: Any) -> None:
        typer.echo(f"{name} ...", err=True)
        found[part].append(measured(settings, name, measure))

    most = found["peak"]["peak"]
    for name in names:
        if "networks" in parts:
            row("networks", name, lambda name=name: _network(settings, name))
        if "layers" in parts:
            measure = lambda name=name: layers.measure(name, settings.rounds, most)  # noqa: E731
            row("layers", f"layers-{name}", measure)
    for name in OUTSIDE if "peers" in parts else ():
        if name in settings.pythons:
            row("peers", name, lambda name=name: outside.measure(settings, name, models))
    for name in RTL if "rtl" in parts else ():
        row("peers", name, lambda name=name: rtl.measure(name))
    if "starts" in parts:
        row(
            "starts", "starts", lambda: starts.measure(settings.rounds, settings.images or LONG_RUN)
        )
    return found


@app.command()
def main(
    out: Annotated[Path, typer.Option()] = Path("benchmarks/simulator/RESULTS.md"),
    rows: Annotated[Path, typer.Option(help="Rows, kept as they end.")] = Path(
        "build/simulator-rows"
    ),
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    images: Annotated[int | None, typer.Option(help="Images of a run, few for a trial.")] = None,
    networks: Annotated[str, typer.Option()] = ",".join(cases.NETWORKS),
    parts: Annotated[str, typer.Option()] = "networks,layers,peers,rtl,starts",
    models: Annotated[Path | None, typer.Option(help="Models of MLPerf Tiny.")] = None,
    python: Annotated[
        list[str] | None, typer.Option(help="Python of a peer, as NAME=PATH; may be repeated.")
    ] = None,
    equality: Annotated[
        bool, typer.Option("--equal", help="Compare with the reference instead, into EQUAL.md.")
    ] = False,
) -> None:
    """Measure the simulator beside other programs, row by row; write tables."""
    torch.set_num_threads(1)
    pythons = dict(entry.split("=", 1) for entry in python or ())
    settings = Settings(rows, rounds, images, pythons)
    origin = sentence(measured_on("torch", "numpy", "llvmlite"))
    processor = str(llvm.get_host_cpu_name())
    if equality:
        out = out.with_name("EQUAL.md")
        records = list[Record]()
        for name in ZOO:
            typer.echo(f"{name} ...", err=True)
            records.append(
                measured(settings, f"equal-{name}", lambda name=name: equal.measure(name))
            )
        shown = table.equal_text(records, processor, origin)
    else:
        found = _rows(settings, networks.split(","), parts.split(","), models)
        shown = table.text(found, processor, kernels.LANES, origin)
    write_sealed_text(out, shown)
    typer.echo(shown)


if __name__ == "__main__":
    app()
