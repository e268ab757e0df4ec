"""Run with ``python -m benchmarks.verification``: the page of evidence, from sealed records.

It measures nothing. Each figure comes from a file that the command beside it has sealed.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.table import markdown
from benchmarks.mutants.survivors import reason
from benchmarks.seal import read_sealed, read_sealed_text
from sqhw.atomic import atomic_write_text

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "verification.md"

#: What is compared with what, and by which test, from the published values to damaged images.
LINKS = (
    ("reference arithmetic", "formulas, and numbers worked out by hand", "unit/test_reference.py"),
    ("simulator", "the reference: activations of random networks", "unit/test_simulator.py"),
    ("PyTorch", "the simulator: logits", "unit/test_compress_quantized_forward.py"),
    ("lanes of the RTL", "a model in Python, cycle by cycle", "hdl/test_lanes.py"),
    ("engine in two simulators", "the simulator: activations, cycles", "hdl/test_engine.py"),
    ("AXI interfaces", "rules of the protocols, random stalls", "hdl/test_axi.py"),
    ("volume runs in CXXRTL", "the simulator: activations, cycles", "hdl/test_cxxrtl.py"),
    ("ROM images", "a decoder written from the page on formats", "unit/test_format.py"),
    ("damaged ROM images", "a model of damage: activations, cycles", "hdl/test_damaged_roms.py"),
    ("the bench itself", "faults in the RTL, which it must notice", "hdl/test_mutants.py"),
)

#: Text of the page around its tables.
TEXT = """# Evidence

Written by `python -m benchmarks.verification` from sealed records
([benchmarks](../benchmarks/README.md)). It measures nothing, and a test compares it with them. Each
table has the command that measures it anew; `make evidence` runs those that take hours.

## What is compared

Each link is exact: not one value may differ.

{links}
## Random networks in RTL

`python -m benchmarks.cost_cycles` ([table](../benchmarks/cost_cycles/RESULTS.md)): every activation
and the cycles of each run, in CXXRTL. {cycles_origin}

{cycles}
## Whole networks in RTL

`python -m benchmarks.engine` ([table](../benchmarks/engine/RESULTS.md)): cases are lanes, densities
and images of a run. Measured on {engine_origin}.

{engine}
## Faults that the bench must notice

`python -m benchmarks.mutants` ([table](../benchmarks/mutants/RESULTS.md), which explains each fault
that was not noticed): faults of chosen kinds in the RTL of a small engine with every feature.
Measured on {mutants_origin}.

{mutants}
## Mutated files

`python -m benchmarks.fuzz` ([table](../benchmarks/fuzz/RESULTS.md)): {files:,} files for {readers}
readers, {failures} failures (a traceback, a hang, or content that differs unnoticed). The slowest
took {slowest:.2f} s.

{faults}## What is missing

- **Proofs.** No property is proved (rules of AXI, accesses to memories, `done` in time, decoders of
  entries, requantizer). They are tested by simulation.
- **Faults drawn from the netlist.** `python -m benchmarks.mutants.drawn` draws faults by yosys'
  `mutate`, builds all of them at once and runs them. No table of it is kept yet, and survivors go
  to no equivalence check. The table above has faults of chosen kinds.
- **Coverage.** Lines and toggles of the RTL are not counted, nor which kinds of layers, formats and
  widths the networks met, beyond the counts of the table of cycles.
- **Correction.** ROM words have neither parity nor an error-correcting code.
"""
FAULTS = """## Flipped bits

`python -m benchmarks.faults` ([table](../benchmarks/faults/RESULTS.md), with the fields and the
most critical bits), see [faults.md](faults.md). Measured on {origin}.

{table}
"""


def main(out: Annotated[Path, typer.Option(help="Page to write.")] = PAGE) -> None:
    """Write the page of evidence from the sealed records."""
    atomic_write_text(out, page())


def page() -> str:
    """Return the text of the page."""
    cycles = read_sealed_text(HERE / "cost_cycles" / "RESULTS.md")
    engine = read_sealed(HERE / "engine" / "results.json")
    mutants = read_sealed(HERE / "mutants" / "results.json")
    fuzz = _rows(read_sealed_text(HERE / "fuzz" / "RESULTS.md"), "reader")
    head = ("engine", "networks", "in batches", "runs", "cycles", "differences")
    return TEXT.format(
        links=markdown(
            ("what", "with", "test"), [(*link[:2], f"`tests/{link[2]}`") for link in LINKS]
        ),
        cycles_origin=cycles.splitlines()[0],
        cycles=markdown(head, [row[: len(head)] for row in _rows(cycles, "engine")]),
        engine_origin=_origin(engine),
        engine=_networks(engine["cycles"]),
        mutants_origin=_origin(mutants),
        mutants=_mutants(mutants["rows"]),
        files=sum(int(row[1].replace(",", "")) for row in fuzz),
        readers=len(fuzz),
        failures=sum(int(row[6].replace(",", "")) for row in fuzz),
        slowest=max(float(row[7]) for row in fuzz),
        faults=_faults(),
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(text: str, first: str) -> list[list[str]]:
    """Return the cells of the rows of the first table whose first column has this head."""
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    table = next(lines for lines in tables if _cells(lines[0])[0] == first)
    return [_cells(line) for line in table[2:] if line.startswith("|")]


def _origin(record: dict[str, Any]) -> str:
    found = record["measured_on"]
    tools = "".join(f", {name} {number}" for name, number in found["tools"].items())
    return f"commit {found['commit']}{tools}"


def _networks(rows: list[dict[str, Any]]) -> str:
    """Return the table of whole networks."""
    lines = []
    for name in dict.fromkeys(row["network"] for row in rows):
        chosen = [row for row in rows if row["network"] == name]
        lanes = ", ".join(map(str, sorted({row["lanes"] for row in chosen})))
        differ = sum(row["measured"] != row["predicted"] for row in chosen)
        equal = sum(row["activations"] for row in chosen)
        lines.append((name, str(len(chosen)), lanes, f"{equal:,}", str(differ)))
    head = ("network", "cases", "lanes", "activations, all equal", "cases with other cycles")
    return markdown(head, lines)


def _mutants(rows: list[list[str]]) -> str:
    """Return the table of faults of chosen kinds."""
    lines, total = [], [0, 0, 0]
    for kind in dict.fromkeys(row[0] for row in rows):
        chosen = [row for row in rows if row[0] == kind]
        noticed = sum(bool(row[2]) for row in chosen)
        known = sum(not row[2] and bool(reason(row[0], row[1])) for row in chosen)
        numbers = (len(chosen), noticed, known)
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        lines.append((kind, *map(str, numbers), _share(*numbers)))
    lines.append(("all", *map(str, total), _share(*total)))
    return markdown(("fault", "number", "noticed", "explained", "noticed of the others"), lines)


def _share(number: int, noticed: int, known: int) -> str:
    return f"{noticed / (number - known):.1%}" if number > known else "-"


def _faults() -> str:
    """Return the section on flipped bits, empty if they were not measured."""
    path = HERE / "faults" / "results.json"
    if not path.is_file():
        return ""
    record = read_sealed(path)
    lines = []
    for name, found in record["networks"].items():
        for rom, maps in zip(found["rates"], found["map_rates"], strict=True):
            low, high = rom["accuracy_interval"]
            span = f"{low:.1%} to {high:.1%}"
            shares = f"{rom['accuracy']:.2%}", span, f"{maps['accuracy']:.2%}"
            lines.append((name, f"{rom['rate']:g}", *shares))
    head = ("network", "bits that flip", "accuracy, ROMs", "95 %", "accuracy, feature maps")
    return FAULTS.format(origin=_origin(record), table=markdown(head, lines))


if __name__ == "__main__":
    typer.run(main)
