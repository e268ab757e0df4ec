"""Results of builds for boards, swaps and runs on boards as lines for a human."""

from sqhw.report.columns import columns
from sqhw.report.results import BuildResult, HostResult, SwapResult


def build_lines(result: BuildResult) -> list[str]:
    """Return the lines of `sqhw build`: what the model said, and what was placed."""
    rows: list[tuple[str, ...]] = [("", "model", "placed", "available")]
    rows += [
        (one["name"], _number(one["model"]), _number(one["placed"]), f"{one['available']:,}")
        for one in result["figures"]
    ]
    rows.append(("MHz", _number(result["model_mhz"]), _number(result["fmax_mhz"]), ""))
    rate = f"{result['images_per_second']:,.0f} images/s without the serial line"
    lines = [
        f"{result['network']} on {result['board']} ({result['device']})",
        "",
        *columns(rows),
        "  model: the engine alone; placed: with serial line, LEDs and reset",
        "",
        *(
            f"not met: {tried:.2f} MHz, the design reached {reached:.2f} MHz"
            for tried, reached in result["missed"]
        ),
        f"clock {result['clock_mhz']:.2f} MHz: {result['cycles']:,} cycles an image, {rate}",
    ]
    if result["bitstream"] is None:
        return [*lines, f"wrote {result['folder']}; in it run: {result['vendor_command']}"]
    lines.append(f"{result['words_read_back']:,} words read back from the bitstream, all equal")
    if result["fixed"]:
        lines.append(
            f"note: `sqhw swap` cannot change the ROM {' and '.join(result['fixed'])}: padded, it "
            "would need a block RAM that is not there"
        )
    lines.append(f"built in {result['seconds'] / 60:.1f} minutes: {result['bitstream']}")
    if result["load"]:
        lines.append(f"load it with: {result['load']} {result['bitstream']}")
    return lines


def swap_lines(result: SwapResult) -> list[str]:
    """Return the lines of `sqhw swap`."""
    return [
        f"{result['network']} on {result['board']}: {result['bits_changed']:,} bits changed",
        f"{result['words_read_back']:,} words read back from the bitstream, all equal",
        f"wrote {result['file']} in {result['seconds']:.1f} s",
    ]


def host_lines(result: HostResult) -> list[str]:
    """Return the lines of `sqhw host`."""
    cycles = f"{result['cycles']:,} measured, {result['cycles_predicted']:,} predicted"
    return [
        f"{result['network']} on {result['board']} at {result['port']}",
        f"  equal to the simulator  {result['equal']} of {result['images']} images",
        f"  accuracy                {result['accuracy']:.2%}",
        f"  cycles an image         {cycles}",
        f"  frames sent again       {result['retries']}",
        f"  {result['images_per_second']:,.1f} images/s with the serial line",
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f}"
