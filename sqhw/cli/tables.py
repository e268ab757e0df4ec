"""Results as lines for a human."""

from collections.abc import Sequence
from typing import Any

from sqhw.budget import BASES

Result = dict[str, Any]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align rows: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def size_lines(result: Result) -> list[str]:
    """Return the four size bases before and after."""
    after = result["after"]
    rows: list[tuple[str, ...]] = [
        ("size", "float32", "dense int8", "compressed", "to float32", "to int8")
    ]
    for basis in BASES:
        unit = "" if basis == "blocks" else " bit"
        dense = [result[name][basis] for name in ("float32", "int8")]
        # Cut, not rounded: a ratio is never better than it says.
        ratios = [f"{int(10 * b / after[basis]) / 10}x" if after[basis] else "-" for b in dense]
        sizes = [f"{value:,}{unit}" for value in (*dense, after[basis])]
        rows.append((basis, *sizes, *ratios))
    return _columns(rows)


def compress_lines(result: Result) -> list[str]:
    """Return what `sqhw compress` prints."""
    rows = [("layer", "weights left", "non-zero", "stream", "rom")]
    rows += [
        (
            layer["name"],
            f"{layer['weights']:,}",
            f"{layer['nonzeros']:,}",
            layer["stream"],
            f"{layer['rom_bits']:,} bit",
        )
        for layer in result["layers"]
    ]
    return [
        *_columns(rows),
        "",
        *size_lines(result),
        "",
        block_line(result),
        (
            f"validation accuracy {result['validation_accuracy']:.2%}, float "
            f"{result['float_validation_accuracy']:.2%} "
            f"({result['validation_images']} images; the test images are not looked at)"
        ),
        f"wrote {result['file']}",
    ]


def block_line(result: Result) -> str:
    """Return the block RAMs used and available."""
    return (
        f"block RAMs of {result['device']}: {result['after']['blocks']} of "
        f"{result['available_blocks']} available for weights used "
        f"({result['device_blocks']} in all, {result['activation_blocks']} hold activations)"
    )


def simulate_lines(result: Result) -> list[str]:
    """Return what `sqhw simulate` prints."""
    rows = [("accuracy", f"{result['images']} test images")]
    if "float_accuracy" in result:
        rows.append(("float", _accuracy(result, "float_accuracy")))
    rows.append(("quantized PyTorch", _accuracy(result, "torch_accuracy")))
    rows.append(("simulator", _accuracy(result, "simulator_accuracy")))
    equal = result["images"] - result["images_that_differ"]
    return [
        *_columns(rows),
        (
            f"  simulator == PyTorch on {equal} of {result['images']} images "
            f"({result['logits_compared']:,} logits)"
        ),
    ]


def _accuracy(result: Result, name: str) -> str:
    """Return an accuracy with the count that it comes from."""
    correct = round(result[name] * result["images"])
    return f"{result[name]:.2%}  {correct}/{result['images']}"


def rom_lines(result: Result) -> list[str]:
    """Return what `sqhw rom` prints."""
    rows = [("image", "words", "width")]
    rows += [(i["name"], f"{i['words']:,}", f"{i['width']} bit") for i in result["images"]]
    return [
        *_columns(rows),
        (
            f"  exported {result['rom_bits_exported']:,} bit, "
            f"cost model {result['rom_bits_predicted']:,} bit"
        ),
        *(f"wrote {path}" for path in result["files"]),
    ]


def verify_lines(result: Result) -> list[str]:
    """Return what `sqhw verify` prints."""
    run = "image" if result["batch"] == 1 else f"run of {result['batch']} images"
    lines = [
        (
            f"{result['simulator']}: RTL == simulator on {result['images']} test and "
            f"{result['made_up_images']} made-up images ({result['activations']:,} activations)"
        ),
        (
            f"  cycles per {run}: {result['cycles']:,} measured, "
            f"{result['cycles_predicted']:,} predicted"
        ),
    ]
    if "clock_cycles" in result:
        speed = result["clock_cycles"] / max(result["seconds"], 1e-6)
        lines.append(f"  {result['clock_cycles']:,} clock cycles, {speed:,.0f} a second")
    return lines


def demo_lines(result: Result) -> list[str]:
    """Return the table of the demo."""
    compress, simulate, rom = result["compress"], result["simulate"], result["rom"]
    rtl = [line for run in result["verify"] for line in verify_lines(run)]
    folder = result["folder"]
    rows = [("layer", "tiles", "entries a tile", "cycles")]
    rows += [
        (layer["name"], str(layer["tiles"]), f"{layer['entries']:,}", f"{layer['cycles']:,}")
        for layer in result["cycles"]["layers"]
    ]
    return [
        (
            f"{result['train']['network']} on {result['data']}, budget {compress['budget']} "
            f"on {compress['device']}"
        ),
        "",
        *simulate_lines(simulate),
        "",
        *size_lines(compress),
        (
            f"  ROM images {rom['rom_bits_exported']:,} bit exported, "
            f"{rom['rom_bits_predicted']:,} bit in the cost model"
        ),
        "",
        *_columns(rows),
        "",
        block_line(compress),
        *rtl,
        "",
        f"float network      {folder}/float.safetensors",
        f"quantized network  {folder}/network.safetensors",
        f"Verilog and ROMs   {folder}/rtl",
        f"all figures        {folder}/result.json",
    ]


def device_lines(devices: list[Result]) -> list[str]:
    """Return what `sqhw devices` prints."""
    rows = [("device", "LUTs", "block RAMs", "of", "DSPs", "boards")]
    rows += [
        (
            d["name"],
            f"{d['luts']:,} LUT{d['lut_inputs']}",
            f"{d['brams']:,}",
            d["bram"],
            f"{d['dsps']:,}",
            ", ".join(d["boards"]),
        )
        for d in devices
    ]
    return _columns(rows)


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
        lacks = d["missing"][0].partition(" (")[0] if d["missing"] else ""
        rows.append(
            (
                d["device"],
                "yes" if d["fits"] else "no",
                f"{d['blocks']:,}/{d['available_blocks']:,}",
                f"{d['dsps']}/{d['available_dsps']:,}",
                _known(d["luts"], f"/{d['available_luts']:,}"),
                _known(d["fmax_mhz"], digits=1),
                f"{d['image_cycles']:,.0f}",
                _known(d["images_per_second"], digits=1),
                f"{d['energy_uj']:,.2f}",
                lacks,
            )
        )
    errors = [f"  {d['device']}: {d['error']}" for d in result["devices"] if d["error"]]
    smallest = result["smallest"] or "none"
    return [*_columns(rows), *errors, "", f"fits with the least block RAM: {smallest}"]


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
        ("LUTs", _known(d["luts"]), f"of {d['available_luts']:,}"),
        ("flip-flops", _known(d["ffs"]), f"of {d['available_ffs']:,}"),
        ("MHz", _known(d["fmax_mhz"], digits=1), ""),
        ("images/s", _known(d["images_per_second"], digits=1), ""),
        (f"cycles per {images}", f"{d['run_cycles']:,}", ""),
        ("cycles per image, with pixels and results", f"{d['image_cycles']:,.0f}", ""),
    ]
    return [
        *_columns(layers),
        "",
        *_columns(rows),
        "",
        *_columns(figures),
        "",
        *_columns(split),
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
                _known(d["images_per_second"], digits=1),
                f"{d['blocks']:,}",
                f"{d['dsps']:,}",
                _known(d["luts"]),
                f"{d['energy_uj']:,.2f}",
            )
        )
    more = len(front) - MOST_ROWS
    return [
        (
            f"{result['device']}: {result['configurations']:,} configurations fit, "
            f"{len(front)} of them on the Pareto front"
        ),
        *_columns(rows),
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


def _known(value: float | None, behind: str = "", digits: int = 0) -> str:
    """Return a figure, or a question mark if it is not known."""
    return "?" if value is None else f"{value:,.{digits}f}{behind}"


def report_lines(result: Result) -> list[str]:
    """Return what `sqhw report` prints."""
    lines: list[str] = []
    for account in result["accounts"]:
        lines += [*account_lines(account), ""]
    return [*lines, f"wrote {result['file']}"] if "file" in result else lines[:-1]


def account_lines(account: Result) -> list[str]:
    """Return the sizes of a compression and the table of its layers."""
    accuracy = ", ".join(
        f"{name.replace('_', ' ')} {value:.2%}" for name, value in account["accuracy"].items()
    )
    rows: list[tuple[str, ...]] = [("basis", "float32", "compressed", "ratio")]
    for basis, size in account["sizes"].items():
        before = account["float32"]["payload" if basis in ("own", "published") else basis]
        ratio = account["ratio"][basis]
        unit = "" if basis == "blocks" else " bit"
        if size is not None:
            # Cut, not rounded: a ratio is never better than it says.
            cut = f"{int(10 * ratio) / 10:,}x" if ratio is not None else "-"
            rows.append((basis, f"{before:,}{unit}", f"{size:,}{unit}", cut))
    table: list[tuple[str, ...]] = [
        ("layer", "weights", "non-zero", "share", "bits", "payload", "stream", "rom", "own")
    ]
    for layer in account["layers"]:
        share = f"{layer['nonzeros'] / layer['weights']:.2%}" if layer["weights"] else "-"
        sizes = [layer[basis] for basis in ("payload", "stream", "rom", "own")]
        table.append(
            (
                layer["name"],
                f"{layer['weights']:,}",
                f"{layer['nonzeros']:,}",
                share,
                str(layer["bits"]),
                *("-" if size is None else f"{size:,}" for size in sizes),
            )
        )
    head = f"{account['label']}: {account['network']}"
    if account["method"]:
        head += f" by {account['method']}"
    lines = [
        head,
        *([f"  {accuracy}"] if accuracy else []),
        (
            f"  {account['density']:.2%} of the weights, {account['average_bits']:.2f} bits each "
            f"on average"
        ),
        *_columns(rows),
        "",
        *_columns(table),
    ]
    if account["reason"]:
        lines.append(f"  no integers: {account['reason']}")
    return lines + [f"  {note}" for note in account["notes"]]
