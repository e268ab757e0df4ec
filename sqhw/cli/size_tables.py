"""What `sqhw size` prints."""

from collections.abc import Sequence
from typing import Any

from sqhw.cli.columns import columns

Result = dict[str, Any]

#: Rows of a Pareto front, and notes, that are printed; the JSON has all.
MOST_ROWS = 40
MOST_NOTES = 6


def sizing_lines(result: Result) -> list[str]:
    """Return what `sqhw size` prints."""
    head = _workload_lines(result)
    if "front" in result:
        return [*head, "", *_front_lines(result)]
    found = result["devices"]
    if len(found) > 1:
        return [*head, "", *_devices_lines(result), "", *_sizing_notes(result, found)]
    return [*head, "", *_device_lines(found[0]), "", *_sizing_notes(result, found)]


def _workload_lines(result: Result) -> list[str]:
    weights, nonzeros = result["weights"], result["nonzeros"]
    line = (
        f"{result['network']}: {weights:,} weights, {nonzeros:,} not zero "
        f"({nonzeros / max(1, weights):.1%})"
    )
    assumed = result["assumed"]
    if assumed is None:
        return [line]
    single = "".join(
        f", {name} {density:g} and {bits} bit"
        for name, (density, bits) in assumed["layers"].items()
    )
    density, bits = assumed["density"], assumed["bits"]
    return [line, f"  assumed: density {density:g}, {bits} bit{single}; weights at random places"]


def _devices_lines(result: Result) -> list[str]:
    rows = [
        ("device", "fits", "block RAMs", "DSPs", "LUTs", "MHz", "cycles", "images/s", "uJ", "lacks")
    ]
    for d in result["devices"]:
        if d["error"]:
            rows.append((d["device"], "no", *["-"] * 7, ""))
            continue
        lacks = ", ".join(part.partition(" (")[0] for part in d["missing"])
        rows.append(
            (
                d["device"],
                "yes" if d["fits"] else "no",
                f"{d['blocks']:,}/{d['available_blocks']:,}",
                f"{d['dsps']}/{d['available_dsps']:,}",
                _modelled(d, "luts", f"/{d['available_luts']:,}"),
                _modelled(d, "fmax_mhz", digits=1),
                f"{d['image_cycles']:,.0f}",
                _modelled(d, "images_per_second", digits=1),
                f"{d['energy_uj']:,.2f}",
                lacks,
            )
        )
    errors = [f"  {d['device']}: {d['error']}" for d in result["devices"] if d["error"]]
    smallest = result["smallest"] or "none"
    return [
        *columns(rows),
        *errors,
        "",
        f"smallest device that fits, by the block RAM it has: {smallest}",
    ]


def _device_lines(d: Result) -> list[str]:
    engine = d["engine"]
    rows = [("memory", "bits", d["block"])]
    rows += [
        (use, f"{part['bits']:,}", f"{part['blocks']:,}" if part["blocks"] else "in LUTs")
        for use, part in d["memory"].items()
    ]
    rows.append(("all", f"{sum(m['bits'] for m in d['memory'].values()):,}", f"{d['blocks']:,}"))
    rows.append(("available", "", f"{d['available_blocks']:,}"))
    layers = [("layer", "weights", "non-zero", "stream", "rom", "cycles", "lanes busy", "uJ")]
    layers += [
        (
            layer["name"],
            f"{layer['weights']:,}" if layer["weights"] else "",
            f"{layer['nonzeros']:,}" if layer["weights"] else "",
            layer["format"] or layer["kind"],
            f"{layer['rom_bits']:,} bit",
            f"{layer['cycles']:,}",
            f"{layer['busy_lanes']:.0%}",
            f"{layer['energy_uj']:.3f}",
        )
        for layer in d["layers"]
    ]
    split = [("energy of an image", "uJ")]
    split += [(use.replace("_", " "), f"{part:.3f}") for use, part in d["energy_split_uj"].items()]
    split.append(("all", f"{d['energy_uj']:.3f}"))
    images = "image" if d["batch"] == 1 else f"run of {d['batch']} images"
    figures = [
        ("DSPs", f"{d['dsps']:,}", f"of {d['available_dsps']:,}"),
        ("LUTs", _modelled(d, "luts"), f"of {d['available_luts']:,}"),
        ("flip-flops", _modelled(d, "ffs"), f"of {d['available_ffs']:,}"),
        ("MHz", _modelled(d, "fmax_mhz", digits=1), ""),
        ("images/s", _modelled(d, "images_per_second", digits=1), ""),
        (f"cycles per {images}", f"{d['run_cycles']:,}", ""),
        ("cycles per image, with pixels and results", f"{d['image_cycles']:,.0f}", ""),
    ]
    return [
        *columns(layers),
        "",
        *columns(rows),
        "",
        *columns(figures),
        "",
        *columns(split),
        "",
        (
            f"{engine['lanes']} lanes, {engine['requantizers']} requantizers, banks of "
            f"{engine['bank_depth']:,} rows, ROM words of {engine['word_bits']} bit"
        ),
        f"{d['device']}: fits" if d["fits"] else f"{d['device']}: lacks {', '.join(d['missing'])}",
    ]


def _front_lines(result: Result) -> list[str]:
    front = result["front"]
    rows = [
        (
            "lanes",
            "in LUTs",
            "requantizers",
            "images a run",
            "word",
            "formats",
            "cores",
            "cycles",
            "images/s",
            "block RAMs",
            "DSPs",
            "LUTs",
            "uJ",
        )
    ]
    for d in front[:MOST_ROWS]:
        engine = d["engine"]
        rows.append(
            (
                str(engine["lanes"]),
                str(engine["lut_lanes"]),
                str(engine["requantizers"]),
                str(d["batch"]),
                f"{engine['word_bits']} bit",
                "dense, gap" if engine["max_gap_bits"] else "dense",
                str(d["cores"]),
                f"{d['image_cycles'] / d['cores']:,.0f}",
                _modelled(d, "images_per_second", digits=1),
                f"{d['blocks']:,}",
                f"{d['dsps']:,}",
                _modelled(d, "luts"),
                f"{d['energy_uj']:,.2f}",
            )
        )
    more = len(front) - MOST_ROWS
    return [
        (
            f"{result['device']}: {result['configurations']:,} configurations fit, "
            f"{len(front)} of them on the Pareto front"
        ),
        *columns(rows),
        *([f"  and {more} more, see --json"] if more > 0 else []),
        "",
        "  cycles of an image, over the cores; a core is a whole engine with ROMs of its own",
        *_sizing_notes(result, front),
    ]


def _sizing_notes(result: Result, found: Sequence[Result]) -> list[str]:
    """Return what the figures mean and leave out."""
    known = [d for d in found if not d["error"]]
    notes = [
        (
            f"  energy: estimate for {result['technology']['name']} "
            f"({result['technology']['process']}), arithmetic and memories only"
        )
    ]
    if any(d["luts"] is None for d in known):
        notes.append("  ?: not calibrated for this family; what fits may still lack LUTs")
    elif any(d["fmax_mhz"] is None for d in known):
        notes.append("  ?: the clock of this device is not calibrated")
    if any(d["luts"] is not None and not d["calibrated"] for d in known):
        notes.append("  ~: outside of what the model was calibrated on, a guess; see the notes")
    errors = known[0]["errors"] if len(known) == 1 else None
    if errors:
        said = [f"{name} {error:.1%}" for name, error in errors.items() if error is not None]
        notes.append(f"  mean errors of the calibrated model: {', '.join(said)}")
    if any(d["energy_notes"] for d in known):
        notes.append(
            "  memories smaller or larger than those of its table are extrapolated, see --json"
        )
    seen = list(dict.fromkeys(f"  {note}" for d in known for note in d["notes"]))
    notes += seen[:MOST_NOTES]
    return notes if len(seen) <= MOST_NOTES else [*notes, "  and more notes, see --json"]


def _modelled(d: Result, key: str, behind: str = "", digits: int = 0) -> str:
    """Return a figure of the calibrated model, or a question mark if there is none."""
    value = d[key]
    if value is None:
        return "?"
    return f"{'' if d['calibrated'] else '~'}{value:,.{digits}f}{behind}"
