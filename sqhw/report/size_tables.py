"""The text of `sqhw size`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqhw.report.columns import columns
from sqhw.report.size_results import (
    DeviceFailure,
    DeviceFigures,
    SizeResult,
    can_run,
    that_can_run,
)

#: Largest number of printed rows of a Pareto front, and of printed notes; the JSON has all.
MOST_ROWS = 40
MOST_NOTES = 6
#: Largest number of devices that a note names.
MOST_NAMES = 3
Model = Literal["luts", "ffs", "fmax"]
Modelled = Literal["luts", "ffs", "fmax_mhz", "images_per_second"]

#: Names of the models' figures.
NAMES: dict[Model, str] = {"luts": "LUTs", "ffs": "flip-flops", "fmax": "MHz"}
#: Model of each modelled figure.
MODEL: dict[Modelled, Model] = {
    "luts": "luts",
    "ffs": "ffs",
    "fmax_mhz": "fmax",
    "images_per_second": "fmax",
}


def sizing_lines(result: SizeResult) -> list[str]:
    """Return the lines of `sqhw size`."""
    head = _workload_lines(result)
    if "front" in result:
        return [*head, "", *_front_lines(result)]
    found = result["devices"]
    if len(found) > 1:
        return [*head, "", *_devices_lines(result), "", *sizing_notes(result, found)]
    (device,) = that_can_run(found)
    return [*head, "", *_device_lines(device), "", *sizing_notes(result, found)]


def _workload_lines(result: SizeResult) -> list[str]:
    weights, nonzeros = result["weights"], result["nonzeros"]
    shape = "x".join(map(str, result["input"]))
    line = (
        f"{result['network']}, input {shape}: {weights:,} weights, {nonzeros:,} not zero "
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


def _devices_lines(result: SizeResult) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("device", "fits", "block RAMs", "DSPs", "LUTs", "MHz", "cycles", "images/s", "uJ", "lacks")
    ]
    for d in result["devices"]:
        if not can_run(d):
            rows.append((d["device"], "no", *["-"] * 7, ""))
            continue
        lacks = ", ".join(part.partition(" (")[0] for part in d["missing"])
        rows.append(
            (
                d["device"],
                "yes" if d["fits"] else "no",
                f"{d['blocks']:,}/{d['available_blocks']:,} {d['block']}",
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
    return [*columns(rows), *errors, "", _conclusion(result)]


#: Note on a device that `sqhw build` makes no bitstream for.
NO_FLOW = "note: place and route of {} with open tools is not set up (docs/boards.md)"


def _conclusion(result: SizeResult) -> str:
    """Return the sentence on the smallest device that fits, or on the one that lacks least."""
    if result["smallest"]:
        text = f"smallest device that fits, by the block RAM it has: {result['smallest']}"
        with_flow = result["smallest_with_flow"]
        if with_flow == result["smallest"]:
            return text
        other = f"the smallest with such a flow is {with_flow}" if with_flow else "nor has another"
        return f"{text}; place and route of it with open tools is not set up, {other}"
    if not result["nearest"]:
        return "no device fits: none can run the network, see above"
    figures = that_can_run(result["devices"])
    (nearest,) = (d for d in figures if d["device"] == result["nearest"])
    return (
        f"no device fits; the nearest is {nearest['device']}, which lacks "
        f"{', '.join(nearest['missing'])}; lower density or bits, or write a file of a larger one"
    )


def _device_lines(d: DeviceFigures) -> list[str]:
    engine = d["engine"]
    rows = [("memory", "bits", d["block"])]
    rows += [
        (use, f"{part['bits']:,}", _blocks(d, use, part["blocks"]))
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
    cores = ""
    if d["cores"] > 1:
        cores = f"{d['cores']} cores of "
        figures.append(("cycles between images, of all cores", f"{d['image_interval']:,.0f}", ""))
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
            f"{cores}{engine['lanes']} lanes, {engine['requantizers']} requantizers, banks of "
            f"{engine['bank_depth']:,} rows, ROM words of {engine['word_bits']} bit"
        ),
        f"{d['device']}: fits" if d["fits"] else f"{d['device']}: lacks {', '.join(d['missing'])}",
        *([] if d["open_flow"] else [NO_FLOW.format(d["device"])]),
    ]


def _blocks(d: DeviceFigures, use: str, blocks: int) -> str:
    """Return the blocks of a memory; of banks of a single port, those of their own RAM."""
    if use == "activations" and "single_port" in d:
        single = d["single_port"]
        return f"{single['blocks']} of {single['available']} {single['block']}"
    return f"{blocks:,}" if blocks else "in LUTs"


def _front_lines(result: SizeResult) -> list[str]:
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
            front[0]["block"] if front else "block RAMs",
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
                _formats(engine),
                str(d["cores"]),
                f"{d['image_interval']:,.0f}",
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
        "  cycles between two images; cores (sqhw rtl --cores) have maps and ROMs of their own",
        *sizing_notes(result, front),
    ]


def sizing_notes(result: SizeResult, found: Sequence[DeviceFigures | DeviceFailure]) -> list[str]:
    """Return notes on the meaning of the figures and on their omissions."""
    known = that_can_run(found)
    notes = [
        (
            f"  energy: estimate for {result['technology']['name']} "
            f"({result['technology']['process']}), arithmetic and memories only"
        )
    ]
    if any(d["luts"] is None for d in known):
        notes.append("  ?: not calibrated; without LUTs known, what fits may still lack some")
    elif any(d["fmax_mhz"] is None for d in known):
        notes.append("  ?: the clock of this device is not calibrated")
    if any(d["luts"] is not None and not d["calibrated"] for d in known):
        notes.append(
            "  ~: outside of what the model was calibrated on, a guess without a known error"
        )
    errors = known[0]["errors"] if len(known) == 1 else None
    said = [
        f"{name} {error:.1%}"
        for key, name in NAMES.items()
        if errors and (error := errors[key]) is not None
    ]
    if said:
        notes.append(f"  mean errors of the calibrated model: {', '.join(said)}")
    if any(d["energy_notes"] for d in known):
        notes.append(
            "  energy of memories beyond the sizes of its table is extrapolated, see --json"
        )
    seen: dict[str, dict[str, None]] = {}
    for d in known:
        for note in d["notes"]:
            seen.setdefault(note, {})[d["device"]] = None
    several = len({d["device"] for d in known}) > 1
    said = [
        f"  {_named(list(of))}: {note}" if several else f"  {note}" for note, of in seen.items()
    ]
    notes += said[:MOST_NOTES]
    return notes if len(said) <= MOST_NOTES else [*notes, "  and more notes, see --json"]


def _named(devices: list[str]) -> str:
    """Return the names of devices, or the first ones and the number of the others."""
    more = len(devices) - MOST_NAMES
    names = ", ".join(devices[:MOST_NAMES])
    return names if more <= 0 else f"{names} and {more} more"


def _modelled(d: DeviceFigures, key: Modelled, suffix: str = "", digits: int = 0) -> str:
    """Return a figure of the calibrated model, or a question mark if there is none."""
    value = d[key]
    if value is None:
        return "?"
    known = d["errors"] is not None and d["errors"][MODEL[key]] is not None
    return f"{'' if known else '~'}{value:,.{digits}f}{suffix}"


def _formats(engine: Mapping[str, Any]) -> str:
    """Return the kinds of stream that an engine decodes."""
    gaps = ["gap"] if engine["max_gap_bits"] else []
    return ", ".join(["dense", *gaps, *(["rice"] if engine.get("quotient_ones") else [])])
