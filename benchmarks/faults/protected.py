"""Run with ``python -m benchmarks.faults.protected NETWORK DIR``: ROMs with and without SECDED."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.table import markdown
from benchmarks.faults.__main__ import HERE, NETWORKS, RATES, ROOT
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import read_sealed, write_sealed, write_sealed_text
from sqhw.report.fault_plot import plot_faults
from sqhw.steps.faults import faults
from sqhw.steps.options import FaultsOptions

TABLE = HERE / "PROTECTED.md"
HEADS = (
    "rate", "accuracy, no check bits", "95 %", "worst", "accuracy, SECDED", "95 %", "worst",
    "words corrected", "detected", "silent",
)  # fmt: skip
TITLE = """# Flipped bits with and without SECDED

`python -m benchmarks.faults.protected NETWORK DIR`: accuracy over upset rate by `sqhw faults
--protection secded` ([docs/faults.md](../../docs/faults.md)), **as if** each ROM word had check
bits, which the engine does not have. Words are means of a memory.
"""
SECTION = """## {name}

{origin}`{file}`, the first {images} test images, {accuracy:.2%} right without damage, {trials}
memories at each rate. {bits:,} bits of the ROMs flip, with SECDED {check_bits:,} check
bits as well.

![accuracy over the upset rate](protected-{lower}.svg)

{rates}"""


def main(
    network: Annotated[str, typer.Argument(help="ResNet-8 or LeNet-5.")],
    folder: Annotated[Path, typer.Argument(help="Folder with CIFAR-10 or MNIST.")],
    images: Annotated[int, typer.Option(help="Test images for each memory.", min=1)] = 200,
    trials: Annotated[int, typer.Option(help="Damaged memories at each rate.", min=1)] = 100,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Damage the ROMs of a network with and without check bits and write what that costs."""
    if network not in NETWORKS:
        raise typer.BadParameter(f"{network!r} is none of {', '.join(NETWORKS)}")
    file, kind = NETWORKS[network]
    origin = measured_on("numpy", "llvmlite")
    result = faults(
        FaultsOptions(
            network=ROOT / file,
            data=f"{kind}:{folder}",
            images=images,
            injections=0,
            activations=0,
            trials=trials,
            rates=RATES,
            threads=threads,
            protection="secded",
        )
    )
    plot_faults(result, HERE / f"protected-{network.lower()}.svg")
    write_sealed(_kept(network), {"measured_on": origin, "file": file, **result})
    table()


def table() -> None:
    """Write the table from the kept results."""
    kept = {name: read_sealed(_kept(name)) for name in NETWORKS if _kept(name).exists()}
    write_sealed_text(TABLE, report_text(kept))


def report_text(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the tables of the records of networks."""
    parts = [TITLE]
    for name, found in records.items():
        pairs = list(zip(found["rates"], found["protected"]["rates"], strict=True))
        parts.append(
            SECTION.format(
                name=name,
                lower=name.lower(),
                origin=sentence(found["measured_on"]),
                file=found["file"],
                images=found["images"],
                accuracy=found["accuracy"],
                trials=pairs[0][0]["injections"],
                bits=sum(found["bits"].values()),
                check_bits=found["protected"]["check_bits"],
                rates=markdown(HEADS, [_row(*pair) for pair in pairs]),
            )
        )
    return "\n".join(parts)


def _row(plain: Mapping[str, Any], protected: Mapping[str, Any]) -> tuple[str, ...]:
    cells = [f"{plain['rate']:g}"]
    for one in (plain, protected):
        low, high = one["accuracy_interval"]
        cells += [f"{one['accuracy']:.2%}", f"{low:.1%} to {high:.1%}", f"{one['worst']:.2%}"]
    return *cells, *(f"{protected[kind]:.2f}" for kind in ("corrected", "detected", "silent"))


def _kept(name: str) -> Path:
    return HERE / f"protected-{name.lower()}.json"


if __name__ == "__main__":
    typer.run(main)
