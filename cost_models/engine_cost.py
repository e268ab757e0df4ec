"""LUTs, flip-flops, block RAMs, DSPs and clock of the engine on a device, from its configuration.

Block RAMs and DSPs are exact: those of the memory and multiplier mapping. LUTs, flip-flops and the
clock period are sums of features of the configuration (`sqhw.cost_models.engine_features`) with
factors fitted to synthesis runs (`sqhw.cost_models.calibration_file`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqhw.cost_models.banks import bank_blocks
from sqhw.cost_models.calibration_file import Calibration, Fit, find_calibration
from sqhw.cost_models.device import Device, find_device
from sqhw.cost_models.engine_features import (
    EngineMemory,
    dsp_lanes,
    engine_memories,
    ff_features,
    lut_features,
    period_features,
    weight_rows,
)
from sqhw.machine.config import EngineConfig

#: Names of the parameters in sentences. The last ones are features that an engine has or lacks.
PARAMETERS = {
    "lanes": "lanes",
    "bank_depth": "rows of a bank",
    "acc_bits": "bits of an accumulator",
    "mult_bits": "bits of a requantization multiplier",
    "dim_bits": "bits of a map's height and width",
    "word_bits": "bits of a ROM word",
    "weight_addr_bits": "address bits of the weight ROM",
    "param_addr_bits": "address bits of the parameter ROM",
    "codebook_addr_bits": "address bits of the codebook",
    "max_gap_bits": "bits of the largest gap",
    "taps_per_entry": "kernel taps an entry",
    "requantizers": "requantizers",
    "max_batch": "images a run",
    "lut_lanes": "lanes that multiply in LUTs",
    "writable": "writable ROMs",
    "groups": "grouped convolutions",
    "residuals": "skip connections",
    "maxpool": "max pooling",
    "quotient_ones": "ones of a quotient",
    "tables": "tables of activation functions",
    "rows of the weight ROM": "block RAMs of the weight ROM one above the other",
}
#: LUTs and flip-flops that hand frames to cores and collect results: those of each core, and those
#: of all. Source: yosys' synth_ecp5 of `sqhw.rtl.cluster` with 2, 3, 4, 8 and 16 cores: 75, 122,
#: 169, 313 and 597 LUTs, 32 + 3 a core flip-flops.
LUTS_A_CORE, FFS_A_CORE, FFS_OF_ALL = 38, 3, 32
SWITCHES = ("writable", "groups", "residuals", "maxpool", "tables")


@dataclass(frozen=True)
class EngineCost:
    """Resources and clock of an engine on a device.

    Parameters
    ----------
    luts, ffs : int
        LUTs and flip-flops as place and route counts them: on ECP5 every LUT of an adder too, on
        iCE40 `luts` are logic cells, each a LUT with a flip-flop. For families that were mapped
        only, they are cells of yosys.
    brams, dsps : int
        Block RAMs and DSP blocks, exact.
    fmax_mhz : float or None
        Clock frequency (unit: MHz); None if the device's clock was not calibrated.
    luts_error, ffs_error, fmax_error : float or None
        Mean relative error of engines that the fit has not seen, `fmax_error` of the period. None
        if the engine is outside of the calibrated range, so that the error is not known.
    calibrated : bool
        Whether all parameters are within the calibrated range; if not, `notes` names the others.
    notes : tuple of str
        Sentences to show with the figures.
    single_port : int
        Blocks of single-port RAM, which the activation banks may be made of, exact.
    """

    luts: int
    ffs: int
    brams: int
    dsps: int
    fmax_mhz: float | None
    luts_error: float | None
    ffs_error: float | None
    fmax_error: float | None
    calibrated: bool
    notes: tuple[str, ...]
    single_port: int = 0


def engine_cost(engine: EngineConfig, device: Device, depths: Mapping[str, int]) -> EngineCost:
    """Return resources and clock of an engine on a device.

    Several cores take the resources of each, and a few for the streams. Their clock is that of one,
    which is optimistic where they fill the device.

    Parameters
    ----------
    engine : EngineConfig
    device : Device
    depths : mapping of str to int
        Words of the ROMs ``weights``, ``params`` and ``codebook``.

    Returns
    -------
    EngineCost
        Cost, with ``calibrated`` false and a note outside of the calibrated range.

    Raises
    ------
    SqhwError
        If the device's family is not calibrated, or the device has no RAM for the banks.
    """
    fit = find_calibration(device.family)
    memories = engine_memories(engine, device, depths)
    luts = round(fit.luts.predict(lut_features(engine, device, memories)))
    numbers = parameters(engine, memories)
    outside = _outside(fit.luts, numbers) + _unlike(fit, device) + _undecoded(engine, fit)
    banks = bank_blocks(engine, device) if engine.single_port else 0
    if engine.tables and "tables" not in dict(fit.luts.ranges):
        outside.append(f"{PARAMETERS['tables']}: with, calibrated without only")
    if engine.single_port:
        outside.append("banks of single-port RAM, calibrated block RAM only")
    cores = engine.cores
    if cores > 1:
        outside.append(f"cores: {cores}, calibrated 1 only")
    known = not outside
    notes = []
    fmax = fmax_error = None
    if fit.period_ns is None:
        notes.append(
            f"LUTs and flip-flops of {fit.family} are cells of yosys before packing, and its clock "
            "was not calibrated"
        )
    elif device.name not in fit.clock_devices:
        notes.append(f"the clock was calibrated on {', '.join(fit.clock_devices)} only")
    else:
        features = period_features(engine, memories, luts)
        fmax = round(1000 / fit.period_ns.predict(features), 1)
        beyond = _outside(fit.period_ns, numbers)
        fmax_error = None if outside or beyond else fit.period_ns.mean_error
        of_logic = fit.luts.outside(numbers)
        outside += [
            f"clock: {note}"
            for name, note in zip(fit.period_ns.outside(numbers), beyond, strict=True)
            if name not in of_logic
        ]
    ffs = round(fit.ffs.predict(ff_features(engine, device, memories)))
    several = cores > 1
    return EngineCost(
        luts=cores * (luts + several * LUTS_A_CORE),
        ffs=cores * (ffs + several * FFS_A_CORE) + several * FFS_OF_ALL,
        brams=cores * (sum(memory.blocks for memory in memories) - banks),
        single_port=cores * banks,
        dsps=cores * dsp_lanes(engine, device),
        fmax_mhz=fmax,
        luts_error=fit.luts.mean_error if known else None,
        ffs_error=fit.ffs.mean_error if known else None,
        fmax_error=fmax_error,
        calibrated=not outside,
        notes=(*outside, *notes),
    )


def parameters(engine: EngineConfig, memories: Sequence[EngineMemory]) -> dict[str, int]:
    """Return the parameters that have ranges: the engine's, and the rows of its weight ROM."""
    fields = engine.to_dict().items()
    numbers = {name: int(value) for name, value in fields if name != "bank_ram"}
    return numbers | {"rows of the weight ROM": weight_rows(memories)}


def _outside(fit: Fit, numbers: Mapping[str, int]) -> list[str]:
    """Return a sentence for each parameter outside of the fitted range."""
    return [
        f"{PARAMETERS[name]}: {_value(name, numbers[name])}, calibrated "
        + _value(name, low)
        + (f" to {_value(name, high)}" if high > low else " only")
        for name, (low, high) in fit.outside(numbers).items()
    ]


def _undecoded(engine: EngineConfig, fit: Calibration) -> list[str]:
    """Return a note if the engine has a decoder that no calibrated one had."""
    if not engine.quotient_ones or "quotient_ones" in dict(fit.luts.ranges):
        return []
    return [f"{PARAMETERS['quotient_ones']}: {engine.quotient_ones}, calibrated without only"]


def _value(name: str, value: float) -> str:
    return ("without", "with")[int(value)] if name in SWITCHES else f"{value:,}"


def _unlike(fit: Calibration, device: Device) -> list[str]:
    """Return a note if only one of the device and the calibrated one has DSP blocks."""
    if bool(device.dsps) == bool(find_device(fit.device).dsps):
        return []
    has = "has DSP blocks" if device.dsps else "has no DSP blocks"
    return [f"{has}, unlike {fit.device}, on which the model was calibrated"]
