"""The result of `sqhw faults` as lines for a human."""

from collections.abc import Sequence

from sqhw.report.columns import columns
from sqhw.report.fault_results import FaultsResult, ProtectedResult, RateSample, Sample

HEADS = ("injections", "accuracy", "95 %", "change a class", "95 %", "worst")


def fault_lines(result: FaultsResult) -> list[str]:
    """Return the lines of `sqhw faults`."""
    images = result["images"]
    lines = [
        f"{result['network']}: {images} images, {result['accuracy']:.2%} right without damage",
        "bits that are flipped: "
        + ", ".join(f"{count:,} of {rom}" for rom, count in result["bits"].items())
        + f"; {result['descriptor_bits']:,} of descriptors are not",
    ]
    if "flip" in result:
        flip = result["flip"]
        what = f"{', '.join(flip['flips'])}: {flip['accuracy']:.2%} right"
        lines.append(f"{what}, the class of {flip['images_changed']} images is another")
        if not flip["resolved"]:
            lines.append("  a tap leaves the engine's coordinates: counted as wrong, not modelled")
    if "fields" in result:
        lines += ["", "one bit of a ROM flips"]
        rows: list[tuple[str, ...]] = [("layer and field", "ROM", "bits", *HEADS)]
        rows += [
            (f"{one['layer']} {one['field']}", one["rom"], f"{one['bits']:,}", *_cells(one))
            for one in result["fields"]
        ]
        lines += [*columns(rows), "", "by its place in the field, over all layers"]
        rows = [("field and bit", *HEADS)]
        rows += [(f"{one['field']} {one['bit']}", *_cells(one)) for one in result["field_bits"]]
        lines += columns(rows)
    if result.get("critical"):
        lines += ["", "most critical bits of those that were flipped"]
        rows = [("layer and field", "ROM", "word", "bit", "accuracy")]
        rows += [
            (
                f"{one['layer']} {one['field']} {one['position']}",
                one["rom"],
                str(one["word"]),
                str(one["bit"]),
                f"{one['accuracy']:.2%}",
            )
            for one in result["critical"]
        ]
        lines += columns(rows)
    lines += _rate_lines("bits of the ROMs flip at a rate", result.get("rates"))
    if "protected" in result:
        lines += _protected_lines(result["protected"])
    if "maps" in result:
        lines += ["", "one bit of a feature map flips, another in each image"]
        rows = [("map", *HEADS)]
        rows += [(one["map"], *_cells(one)) for one in result["maps"]]
        rows += [
            (f"bit {one['bit']} of a byte", *_cells(one)) for one in result.get("map_bits", [])
        ]
        lines += columns(rows)
    lines += _rate_lines("bits of all feature maps flip at a rate", result.get("map_rates"))
    return [*lines, "", f"{result['seconds']:.0f} s"]


def _rate_lines(title: str, samples: Sequence[RateSample] | None) -> list[str]:
    if not samples:
        return []
    rows: list[tuple[str, ...]] = [("rate", "flips", *HEADS)]
    rows += [(f"{one['rate']:g}", f"{one['flips']:,.1f}", *_cells(one)) for one in samples]
    lines = ["", title, *columns(rows)]
    unresolved = sum(one["unresolved"] for one in samples)
    if unresolved:
        lines.append(
            f"  {unresolved} of them let a tap leave the engine's coordinates: counted as wrong"
        )
    return lines


def _protected_lines(result: ProtectedResult) -> list[str]:
    title = (
        f"bits of the ROMs and {result['check_bits']:,} check bits ({result['protection']}) flip "
        "at a rate"
    )
    rows: list[tuple[str, ...]] = [("rate", "words corrected", "detected", "silent")]
    rows += [
        (f"{one['rate']:g}", *(f"{one[kind]:,.2f}" for kind in ("corrected", "detected", "silent")))
        for one in result["rates"]
    ]
    return [*_rate_lines(title, result["rates"]), "", *columns(rows)]


def _cells(sample: Sample) -> tuple[str, ...]:
    return (
        f"{sample['injections']:,}",
        f"{sample['accuracy']:.2%}",
        _span(sample["accuracy_interval"]),
        f"{sample['changed']:.2%}",
        _span(sample["changed_interval"]),
        f"{sample['worst']:.2%}" if "worst" in sample else "-",
    )


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
