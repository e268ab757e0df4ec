"""The lines of a trace."""

from sqhw.report.columns import columns
from sqhw.report.results import Trace, TracedLayer


def trace_lines(trace: Trace) -> list[str]:
    """Return a row for each layer, then what the comparison with the reference found."""
    head = ["layer", "sums", "of bound", "zeros", "at lowest", "at highest"]
    rows: list[tuple[str, ...]] = [(*head, "cycles", "used", "images/s")]
    rows += [_row(layer) for layer in trace["layers"]]
    lines = [f"trace of {trace['images']} images", *columns(rows)]
    if "cycles" in trace:
        speed = f"{trace['images_per_second']:,.0f} images/s at {trace['clock_mhz']:g} MHz"
        lines.append(f"  {trace['cycles']:,} cycles for an image, {speed}")
    if "mismatch" not in trace:
        lines.append("  maps not compared with the NumPy reference, which would take too long")
    elif trace["mismatch"] is None:
        lines.append("  all maps of image 0 equal those of the NumPy reference")
    else:
        lines.append(f"  first value that differs in image 0: {trace['mismatch']}")
    return lines


def _row(layer: TracedLayer) -> tuple[str, ...]:
    sums = share = ""
    if "sums" in layer:
        low, high = layer["sums"]
        sums = f"{low:,} to {high:,}"
        share = f"{max(-low, high) / max(1, layer['bound']):.1%}"
    total = sum(layer["histogram"].values())
    lowest, highest = layer["saturated"]
    return (
        layer["name"],
        sums,
        share,
        f"{layer['zeros']:.1%}",
        f"{lowest / total:.1%}",
        f"{highest / total:.2%}",
        f"{layer['cycles']:,}" if "cycles" in layer else "",
        f"{layer['utilisation']:.0%}" if "utilisation" in layer else "",
        f"{layer['images_per_second']:,.0f}" if "images_per_second" in layer else "",
    )
