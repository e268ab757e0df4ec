"""Results as lines for a human."""

from typing import Literal

from sqhw.cost_models.budget import BASES
from sqhw.environment.extras import install_line
from sqhw.names import REFERENCE
from sqhw.report.columns import columns
from sqhw.report.results import (
    CompressResult,
    DemoResult,
    DevicesResult,
    ImportResult,
    NetworkSize,
    QuantizedCheck,
    QuantizeResult,
    RetargetResult,
    RomResult,
    SimulateResult,
    VerifyResult,
)
from sqhw.report.trace_table import trace_lines

Accuracy = Literal["float_accuracy", "torch_accuracy", "simulator_accuracy"]


def size_lines(result: NetworkSize) -> list[str]:
    """Return the four size bases before and after."""
    after = result["after"]
    rows: list[tuple[str, ...]] = [
        ("size", "float32", "dense int8", "compressed", "to float32", "to int8")
    ]
    for basis in BASES:
        unit = "" if basis == "blocks" else " bit"
        dense = [result[name][basis] for name in ("float32", "int8")]
        # Cut and not rounded, so that the true ratio is never below the printed one.
        ratios = [f"{int(10 * b / after[basis]) / 10}x" if after[basis] else "-" for b in dense]
        sizes = [f"{value:,}{unit}" for value in (*dense, after[basis])]
        rows.append((basis, *sizes, *ratios))
    return columns(rows)


def compress_lines(result: CompressResult | QuantizeResult) -> list[str]:
    """Return the lines of `sqhw compress`."""
    rows = [("layer", "weights left", "non-zero", "format", "rom")]
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
    rest = result["after"]["rom"] - sum(layer["rom_bits"] for layer in result["layers"])
    if rest:  # descriptors of layers without weights
        rows.append(("others", *"---", f"{rest:,} bit"))
    return [
        *columns(rows),
        "  format: bits of the gap before each weight, and of its code; dense has no gaps",
        *(f"note: {note}" for note in result.get("notes", "").splitlines()),
        "",
        *size_lines(result),
        "",
        *budget_lines(result),
        block_line(result),
        (
            f"validation accuracy {result['validation_accuracy']:.2%}, float "
            f"{result['float_validation_accuracy']:.2%} "
            f"({result['validation_images']} images; the test images are not looked at)"
        ),
        f"wrote {result['file']}",
    ]


def budget_lines(result: CompressResult | QuantizeResult) -> list[str]:
    """Return a line a budget with the cost that was reached; none without budgets."""
    units = {"energy": " uJ", "cycles": "", "blocks": ""}
    lines: list[str] = []
    if "limits" not in result:
        return lines
    for basis, limit in result["limits"].items():
        unit, digits = units.get(basis, " bit"), ".3f" if basis == "energy" else ".0f"
        reached = format(result["reached"][basis], f",{digits}")
        lines.append(f"budget of {basis}: {reached} of {format(limit, ',')}{unit}")
    return lines


def block_line(result: NetworkSize) -> str:
    """Return the block RAMs used and available, and the single-port RAM used."""
    held = f"{result['activation_blocks']} hold activations"
    single = result.get("single_port")
    if single is not None:
        held = f"activations in {single['blocks']} of {single['available']} {single['block']}"
    return (
        f"block RAMs of {result['device']}: {result['after']['blocks']} of "
        f"{result['available_blocks']} available for weights used "
        f"({result['device_blocks']} in all, {held})"
    )


def retarget_lines(result: RetargetResult) -> list[str]:
    """Return the lines of `sqhw retarget`."""
    engine = result["engine"]
    return [
        (
            f"{engine['lanes']} lanes, banks of {engine['bank_depth']:,} rows, "
            f"{result['cycles']:,} cycles an image"
        ),
        block_line(result),
        f"wrote {result['file']}",
    ]


def import_lines(result: ImportResult, weights: str) -> list[str]:
    """Return the lines of `sqhw import`.

    Parameters
    ----------
    result : ImportResult
    weights : str
        What the weights are.
    """
    what = f"{result['network']}: {result['weights']:,} {weights}"
    if "layers" not in result:
        return [f"{what}, wrote {result['file']}"]
    what += f", {result['operators']} operators in {result['layers']} layers"
    end = f"wrote {result['file']}" if result["file"] else "all can be imported; nothing written"
    lines = [f"{what}, {end}", *(f"  note: {note}" for note in result["notes"])]
    if (check := result.get("check")) is not None:
        lines.append(
            f"  check: largest difference from {check['program']} on {check['images']} images "
            f"{check['difference']:.2g}, scores go up to {check['largest']:.3g}"
        )
        if "accuracy" in check:
            lines.append(
                f"  accuracy: {check['accuracy']:.2%}, of {check['program']} "
                f"{check['program_accuracy']:.2%}"
            )
    if (compared := result.get("quantized")) is not None:
        lines += _quantized_lines(compared)
    return lines


def _quantized_lines(check: QuantizedCheck) -> list[str]:
    what = f"{check['images']} {'random' if check['random'] else 'test'} images"
    rows = [("layer", "activations", "differ", "share", "largest step")]
    for row in check["layers"]:
        share = row["differing"] / row["activations"]
        counts = f"{row['activations']:,}", f"{row['differing']:,}"
        rows.append((row["layer"], *counts, f"{share:.3%}", str(row["largest"])))
    lines = [
        f"  compared with {check['kernels']} on {what}, each layer on the inputs that it has:",
        *(f"  {line}" for line in columns(rows)),
        f"  largest score the same on {check['same_answer']:,} of {what}",
    ]
    if "accuracy" in check:
        lines.append(
            f"  accuracy: {check['accuracy']:.2%}, of {check['kernels']} "
            f"{check['kernels_accuracy']:.2%}"
        )
    return lines


def simulate_lines(result: SimulateResult) -> list[str]:
    """Return the lines of `sqhw simulate`."""
    rows = [("accuracy", f"{result['images']} test images")]
    if "float_accuracy" in result:
        rows.append(("float", _accuracy(result, "float_accuracy")))
    if "torch_accuracy" in result:
        rows.append(("quantized PyTorch", _accuracy(result, "torch_accuracy")))
    rows.append(("simulator", _accuracy(result, "simulator_accuracy")))
    lines = [*columns(rows), *_compared(result)]
    if "rom" in result:
        lines.append(f"  weights and constants decoded from the ROM images in {result['rom']}")
    if "trace" in result:
        lines += trace_lines(result["trace"])
    return lines


def _compared(result: SimulateResult) -> list[str]:
    """Return what was compared with the simulator, and how to compare more."""
    count = result["images_compared"]
    if not count:
        return ["  no logits compared with another computation (--compare 0)"]
    equal = count - result["images_that_differ"]
    logits = f"({result['logits_compared']:,} logits)"
    lines = [f"  simulator == {result['compared_with']} on {equal} of {count} images {logits}"]
    if result["compared_with"] == REFERENCE:
        run = install_line("torch")
        lines.append(
            f"  PyTorch, which is quick enough for all images, is not installed; run: {run}"
        )
    elif count < result["images"]:
        lines.append(f"  the first images only; all of them with --compare {result['images']}")
    return lines


def _accuracy(result: SimulateResult, name: Accuracy) -> str:
    """Return an accuracy with its count of correct images."""
    correct = round(result[name] * result["images"])
    return f"{result[name]:.2%}  {correct}/{result['images']}"


def rom_lines(result: RomResult) -> list[str]:
    """Return the lines of `sqhw rom`."""
    rows = [("image", "words", "width")]
    rows += [(i["name"], f"{i['words']:,}", f"{i['width']} bit") for i in result["images"]]
    files = [("file", "words", "width", "CRC-32")]
    files += [
        (one["file"], f"{one['words']:,}", f"{one['width']} bit", one["crc32"])
        for one in result.get("memories", [])
    ]
    return [
        *columns(rows),
        (
            f"  exported {result['rom_bits_exported']:,} bit, "
            f"cost model {result['rom_bits_predicted']:,} bit"
        ),
        *(columns(files) if files[1:] else []),
        *(f"wrote {path}" for path in result["files"]),
    ]


def verify_lines(result: VerifyResult) -> list[str]:
    """Return the lines of `sqhw verify`."""
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
        (
            f"  resets at {result['resets']} random times in runs, frames in and out and between: "
            f"the next {run} equal"
        ),
    ]
    if "clock_cycles" in result:
        speed = result["clock_cycles"] / max(result["seconds"], 1e-6)
        lines.append(f"  {result['clock_cycles']:,} clock cycles, {speed:,.0f} a second")
    return lines


def demo_lines(result: DemoResult) -> list[str]:
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
        *columns(rows),
        "",
        block_line(compress),
        *rtl,
        "",
        f"float network      {folder}/float.safetensors",
        f"quantized network  {folder}/network.safetensors",
        f"Verilog and ROMs   {folder}/rtl",
        f"all figures        {folder}/result.json",
    ]


def device_lines(result: DevicesResult) -> list[str]:
    """Return the lines of `sqhw devices`."""
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
        for d in result["devices"]
    ]
    return columns(rows)
