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
    before, after = result["before"], result["after"]
    rows = [("size", "float32", "compressed", "ratio")]
    for basis in BASES:
        unit = "" if basis == "blocks" else " bit"
        ratio = f"{before[basis] / after[basis]:.1f}x" if after[basis] and before[basis] else "-"
        rows.append((basis, f"{before[basis]:,}{unit}", f"{after[basis]:,}{unit}", ratio))
    return _columns(rows)


def compress_lines(result: Result) -> list[str]:
    """Return what `sqhw compress` prints."""
    rows = [("layer", "weights", "non-zero", "stream", "rom")]
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
        rows.append(("float", f"{result['float_accuracy']:.2%}"))
    rows.append(("quantized PyTorch", f"{result['torch_accuracy']:.2%}"))
    rows.append(("simulator", f"{result['simulator_accuracy']:.2%}"))
    equal = result["images"] - result["images_that_differ"]
    return [
        *_columns(rows),
        (
            f"  simulator == PyTorch on {equal} of {result['images']} images "
            f"({result['logits_compared']:,} logits)"
        ),
    ]


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
    return [
        (
            f"{result['simulator']}: RTL == simulator on {result['images']} images "
            f"({result['activations']:,} activations, all layers)"
        ),
        (
            f"  cycles per image: {result['cycles']:,} measured, "
            f"{result['cycles_predicted']:,} predicted"
        ),
    ]


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
