"""Run with ``python -m benchmarks.faults --cifar10 DIR --mnist DIR``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.engine.progress import note
from benchmarks.engine.table import markdown
from benchmarks.origin import measured_on, sentence
from benchmarks.seal import read_sealed, write_sealed, write_sealed_text
from sqhw.faults.interval import wilson
from sqhw.report.fault_plot import plot_faults
from sqhw.steps.faults import faults
from sqhw.steps.options import FaultsOptions

HERE = Path(__file__).parent
RESULTS, TABLE = HERE / "results.json", HERE / "RESULTS.md"
ROOT = HERE.parents[1]
#: Networks that were trained and compressed, with the data that they were trained on.
NETWORKS = {
    "ResNet-8": ("benchmarks/engine/resnet8.safetensors", "cifar10"),
    "LeNet-5": ("benchmarks/compression/results/lenet5/hardware-rom60000.safetensors", "mnist"),
}
RATES = "1e-6,3e-6,1e-5,3e-5,1e-4,3e-4,1e-3"
#: Most critical bits that the table lists of a network.
LISTED = 5
#: Heads of the tables.
RATE_HEADS = (
    "rate", "flips", "accuracy, ROMs", "95 %", "worst", "flips in maps, an image",
    "accuracy, maps", "95 %",
)  # fmt: skip
FIELD_HEADS = (
    "field", "injections", "accuracy", "95 %", "change a class", "95 %", "worst",
)  # fmt: skip
#: Text of the page around its tables.
TITLE = """# Flipped bits

`python -m benchmarks.faults --cifar10 DIR --mnist DIR`: what flipped bits of ROM images and of
feature maps cost, by `sqhw faults` ([docs/faults.md](../../docs/faults.md)). Intervals are those of
Wilson at 95 %, and their samples the injections; in feature maps each image has flips of its own.
Seconds are wall clock on a machine of two cores that others used as well.

{origin}"""
SECTION = """## {name}

`{file}`, the first {images} test images, {accuracy:.2%} right without damage. {bits:,} bits of the
ROMs flip, {others:,} of descriptors do not. {injections:,} injections in {seconds:.0f} s.

![accuracy over the upset rate]({picture})

{rates}
One flip, by the field that it is in:

{fields}
The {listed} most critical bits of those that were flipped:

{critical}"""


def main(
    cifar10: Annotated[Path, typer.Option(help="Folder with CIFAR-10's binary files.")],
    mnist: Annotated[Path, typer.Option(help="Folder with MNIST's IDX files.")],
    images: Annotated[int, typer.Option(help="Test images for each injection.", min=1)] = 200,
    injections: Annotated[int, typer.Option(help="Single flips of ROM bits.", min=1)] = 2000,
    trials: Annotated[int, typer.Option(help="Damaged memories at each rate.", min=1)] = 100,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Flip bits of the networks' memories and write what that costs."""
    data = {"cifar10": f"cifar10:{cifar10}", "mnist": f"mnist:{mnist}"}
    origin = measured_on("numpy", "llvmlite")
    found = dict[str, Any]()
    for name, (file, kind) in NETWORKS.items():
        options = FaultsOptions(
            network=ROOT / file,
            data=data[kind],
            images=images,
            injections=injections,
            trials=trials,
            rates=RATES,
            threads=threads,
        )
        result = faults(options)
        note(f"{name}: {result['seconds']:.0f} s")
        plot_faults(result, HERE / f"{name.lower()}.svg")
        found[name] = {"file": file, **result}
    record = {"measured_on": origin, "networks": found}
    write_sealed(RESULTS, record)
    write_sealed_text(TABLE, report_text(record))


def table() -> None:
    """Write the table from the kept results."""
    write_sealed_text(TABLE, report_text(read_sealed(RESULTS)))


def report_text(record: Mapping[str, Any]) -> str:
    """Return the tables of a record of `main`."""
    parts = [TITLE.format(origin=sentence(record["measured_on"]))]
    for name, found in record["networks"].items():
        rates = [_rate_row(*pair) for pair in zip(found["rates"], found["map_rates"], strict=True)]
        bits = [
            (
                one["rom"], str(one["word"]), str(one["bit"]), one["layer"],
                f"{one['field']} {one['position']}", f"{one['accuracy']:.2%}",
            )
            for one in found["critical"][:LISTED]
        ]  # fmt: skip
        parts.append(
            SECTION.format(
                name=name,
                file=found["file"],
                images=found["images"],
                accuracy=found["accuracy"],
                bits=sum(found["bits"].values()),
                others=found["descriptor_bits"],
                injections=_injections(found),
                seconds=found["seconds"],
                picture=f"{name.lower()}.svg",
                rates=markdown(RATE_HEADS, rates),
                fields=markdown(FIELD_HEADS, _fields(found["fields"])),
                listed=len(bits),
                critical=markdown(("ROM", "word", "bit", "layer", "field", "accuracy"), bits),
            )
        )
    return "\n".join(parts)


def _injections(found: Mapping[str, Any]) -> int:
    """Return the number of all injections of a network."""
    kinds = ("fields", "rates", "maps", "map_rates")
    return sum(one["injections"] for kind in kinds for one in found[kind])


def _rate_row(rom: Mapping[str, Any], maps: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{rom['rate']:g}", f"{rom['flips']:.1f}", f"{rom['accuracy']:.2%}",
        _span(rom["accuracy_interval"]), f"{rom['worst']:.2%}", f"{maps['flips']:.1f}",
        f"{maps['accuracy']:.2%}", _span(maps["accuracy_interval"]),
    )  # fmt: skip


def _fields(samples: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each field, over all layers; injections count alike, not bits."""
    rows = []
    for field in dict.fromkeys(one["field"] for one in samples):
        chosen = [one for one in samples if one["field"] == field]
        count = sum(one["injections"] for one in chosen)
        mean, share = (
            sum(one[what] * one["injections"] for one in chosen) / count
            for what in ("accuracy", "changed")
        )
        rows.append(
            (
                field, f"{count:,}", f"{mean:.2%}", _span(wilson(mean, count)), f"{share:.2%}",
                _span(wilson(share, count)), f"{min(one['worst'] for one in chosen):.2%}",
            )
        )  # fmt: skip
    return rows


def _span(interval: Sequence[float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"


if __name__ == "__main__":
    typer.run(main)
