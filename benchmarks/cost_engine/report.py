"""The table of engines that were held out: measured, predicted, and how far apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.cost_engine.families import FAMILIES
from benchmarks.cost_engine.present import Present, name_of, origin, origins
from benchmarks.cost_engine.synthesis import Measurement
from benchmarks.engine.table import markdown
from sqhw.cost_models.calibration_file import load_calibrations
from sqhw.cost_models.engine_cost import EngineCost, engine_cost

HEAD = (
    "engine", "lanes", "LUT", "model", "error", "FF", "model", "error",
    "BRAM", "model", "DSP", "model", "MHz", "model", "error", "measured on",
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """An engine's measurement and the model's answer."""

    measured: Measurement
    model: EngineCost

    def error(self, key: str) -> float | None:
        """Return the model's relative error; None if there is nothing to compare."""
        there, told = getattr(self.measured, key), getattr(self.model, key)
        return None if not there or told is None else told / there - 1

    def inside(self, key: str) -> bool:
        """Return whether the engine lies within what the figure's model was calibrated on."""
        return getattr(self.model, f"{key.removesuffix('_mhz')}_error") is not None


def report_text(measurements: Mapping[str, Sequence[Measurement]], present: Present) -> str:
    """Return the tables of all families that are calibrated.

    Parameters
    ----------
    measurements : mapping of str to sequence of Measurement
        Measurements of each family. The first table leaves out those that the model was fitted to.
    present : Present
        What the engines are made of now.
    """
    calibrations = load_calibrations()
    compared = [
        Compared(one, engine_cost(one.point.engine, FAMILIES[name].device, one.point.depths))
        for name, family in measurements.items()
        if name in calibrations
        for one in family
        if one.point.held_out
    ]
    rows = [_row(one, present) for one in compared]
    summary = []
    near = {
        name_of(one.measured): twin
        for one in compared
        for twin in _twins(one.measured, measurements[one.measured.family])
    }
    for name in [*calibrations, "all"]:
        some = [one for one in compared if name in ("all", one.measured.family)]
        summary.append((name, str(len(some)), *_exact(some), *_errors(some)))
        others = [one for one in some if name_of(one.measured) not in near]
        if len(others) < len(some):
            name = f"{name} without twins"
            summary.append((name, str(len(others)), *_exact(others), *_errors(others)))
    for name, inside in (("within the ranges", True), ("outside of one", False)):
        some = [one for one in compared if one.inside("luts") is inside]
        summary.append((name, str(len(some)), *_exact(some), *_errors(compared, inside)))
    tools = [
        f"{name}: {calibration.luts.engines} engines fitted, {calibration.luts.held_out} held out"
        + (
            f"; clock {calibration.period_ns.engines} and {calibration.period_ns.held_out}"
            if calibration.period_ns
            else "; no clock"
        )
        + f"; {calibration.device}, "
        + ", ".join(f"{tool} {version}" for tool, version in calibration.tools)
        + f"; measured: {origins(measurements[name], present)}"
        for name, calibration in calibrations.items()
    ]
    missing = [
        f"{name} {point.number}"
        for name, family in measurements.items()
        if name in calibrations
        for point in FAMILIES[name].draw()
        if point not in [one.point for one in family]
    ]
    errors = ("family", "engines", "BRAM exact", "DSP exact", "LUT mean", "worst", "FF mean",
              "worst", "placed", "MHz mean", "worst")  # fmt: skip
    return (
        "Engines that the model was not fitted to; after packing, one placement. `measured on` is "
        "a commit with the RTL and the flow that were measured, and whether this engine's Verilog "
        "(but for comments and names of signals) and its flow still were the same when this table "
        "was written:\n\n"
        + markdown(HEAD, rows)
        + "\nErrors on them, relative. The last two rows part them by whether every parameter lies "
        "in the range that the engines fitted have, which is narrower for the clock:\n\n"
        + markdown(errors, summary)
        + "\n"
        + "".join(
            f"- {name} is nearly a twin of the fitted {twin}: they differ in {what} only; the rows "
            "`without twins` leave it out\n"
            for name, (twin, what) in near.items()
        )
        + "\n".join(f"- {line}" for line in tools)
        + (f"\n- without a measurement: {', '.join(missing)}" if missing else "")
        + "\n"
    )


def _twins(measured: Measurement, family: Sequence[Measurement]) -> Iterator[tuple[str, str]]:
    """Yield fitted engines that differ in one parameter, each with that parameter's name."""
    own = _parameters(measured)
    for other in family:
        found = _parameters(other)
        differing = [key for key, value in own.items() if found[key] != value]
        if not other.point.held_out and len(differing) == 1:
            yield name_of(other), differing[0]


def _parameters(measured: Measurement) -> dict[str, int]:
    return measured.point.engine.to_dict() | dict(measured.point.depths)


def _row(one: Compared, present: Present) -> tuple[str, ...]:
    measured, model = one.measured, one.model
    cells = [name_of(measured), str(measured.point.engine.lanes)]
    for key in ("luts", "ffs"):
        cells += [f"{getattr(measured, key):,}", f"{getattr(model, key):,}", _percent(one, key)]
    for key in ("brams", "dsps"):
        cells += [str(getattr(measured, key)), str(getattr(model, key))]
    placed, predicted = measured.fmax_mhz, model.fmax_mhz
    cells += [f"{placed:.1f}" if placed else "", f"{predicted:.1f}" if placed and predicted else ""]
    return (*cells, _percent(one, "fmax_mhz"), origin(measured, present))


def _percent(one: Compared, key: str) -> str:
    error = one.error(key)
    return "" if error is None else f"{100 * error:+.1f} %"


def _exact(some: Sequence[Compared]) -> tuple[str, str]:
    brams, dsps = (
        sum(getattr(one.measured, key) == getattr(one.model, key) for one in some)
        for key in ("brams", "dsps")
    )
    return str(brams), str(dsps)


def _errors(some: Sequence[Compared], inside: bool | None = None) -> list[str]:
    """Return mean and worst errors of all, or of those inside or outside of the calibration."""
    cells = []
    for key in ("luts", "ffs", "fmax_mhz"):
        errors = [
            abs(error)
            for one in some
            if (error := one.error(key)) is not None and inside in (None, one.inside(key))
        ]
        if key == "fmax_mhz":
            cells.append(str(len(errors)))
        if errors:
            cells += [f"{100 * sum(errors) / len(errors):.1f} %", f"{100 * max(errors):.1f} %"]
        else:
            cells += ["", ""]
    return cells
