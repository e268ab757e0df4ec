"""The search for engines on a device, and its Pareto front."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.compiler.device_engine import (
    MANY_LANES,
    TAPS_PER_ENTRY,
    activation_blocks,
    fitted_engine,
)
from sqhw.cost_models.device import Device
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.size.engine_sizing import size_on
from sqhw.size.sizing import Sizing
from sqhw.size.terms import Terms
from sqhw.size.workload import Workload

LANES = (4, 8, 16, 32, 64, 128)
REQUANTIZERS = (1, 2, 4, 8, 16)
BATCHES = (1, 2, 4, 8, 16, 32)
#: Largest gap fields to try: dense streams alone, or gap streams too.
GAP_BITS = (0, EngineConfig.max_gap_bits)
#: Number of ROM word widths to try, from 16 bits on among the widths of a block RAM.
WORD_WIDTHS = 2
CORES = (1, 2, 4, 8, 16)
#: Relative resolution. Figures are rounded to it before configurations are compared.
RESOLUTION = 0.02

Progress = Callable[[int, int], None]


def explore(
    workload: Workload,
    device: Device,
    terms: Terms,
    progress: Progress = lambda done, total: None,
) -> tuple[list[Sizing], int]:
    """Return the Pareto front of engine configurations that fit a device.

    The search tries all combinations of lanes, requantizers, images of a run, ROM words, formats,
    multipliers made of LUTs and cores. Cores take the frames of one stream in turn. Each has ROMs
    of its own, so weights are not shared.

    Parameters
    ----------
    workload : Workload
    device : Device
    terms : Terms
        Terms of the sizing. Every core meets the budgets. The search ignores `batch` and tries
        several.
    progress : callable
        Function of the number of configurations done, and of their total.

    Returns
    -------
    list of Sizing
        Pareto front, the fastest first. Its objectives are images a second, block RAMs, LUTs and
        energy of an image. Images a cycle and multipliers take the place of a clock and LUTs that
        are not calibrated.
    int
        Number of configurations that fit.

    Raises
    ------
    SqhwError
        If none fits; the message names the nearest.
    """
    fitting: list[Sizing] = []
    nearest: Sizing | None = None
    reasons: list[SqhwError] = []
    configurations = list(_configurations(device))
    for done, choices in enumerate(configurations):
        progress(done, len(configurations))
        try:
            engine = fitted_engine(
                device,
                workload.network,
                levels=workload.levels,
                acc_bits=workload.acc_bits,
                bank_ram=terms.bank_ram or EngineConfig.bank_ram,
                **choices,
                quotient_ones=(terms.quotient_ones or 0) if choices["max_gap_bits"] else 0,
            )
            if activation_blocks(engine, device) >= device.brams and nearest is not None:
                continue
            size = size_on(workload, device, engine, replace(terms, batch=engine.max_batch))
        except SqhwError as error:
            reasons.append(error)
            continue
        if nearest is None or size.blocks < nearest.blocks:
            nearest = size
        fitting += [copies for copies in _copies(size) if copies.fits]
    progress(len(configurations), len(configurations))
    if not fitting:
        if nearest is None:
            raise reasons[0]
        raise SqhwError(
            f"no engine for {workload.network.name!r} fits {device.name}: the smallest tried, of "
            f"{nearest.engine.lanes} lanes, lacks {', '.join(nearest.missing)}; lower density or "
            "bits, or take a larger device"
        )
    return _front(fitting), len(fitting)


def _configurations(device: Device) -> Iterator[dict[str, Any]]:
    widths = [width for _, width in device.bram.modes if width >= 16]
    words = sorted({min(width, 64) for width in widths})[:WORD_WIDTHS]
    for lanes in LANES:
        for lut_lanes in _lut_lanes(lanes, device):
            for batch in BATCHES:
                for requantizers in REQUANTIZERS:
                    for word_bits in words:
                        for gap_bits in GAP_BITS:
                            if batch <= lanes and requantizers <= lanes:
                                yield {
                                    "lanes": lanes,
                                    "lut_lanes": lut_lanes,
                                    "max_batch": batch,
                                    "requantizers": requantizers,
                                    "taps_per_entry": TAPS_PER_ENTRY if lanes >= MANY_LANES else 1,
                                    "word_bits": word_bits,
                                    "max_gap_bits": gap_bits,
                                }


def _lut_lanes(lanes: int, device: Device) -> list[int]:
    """Return numbers of lanes to multiply in LUTs: none, half, all, or those without a DSP."""
    if device.dsps == 0:
        return [0]
    return sorted({max(0, lanes - device.dsps), lanes // 2, lanes} - {0}) + [0] * (
        lanes <= device.dsps
    )


def _copies(size: Sizing) -> Iterator[Sizing]:
    for cores in CORES:
        yield replace(size, engine=replace(size.engine, cores=cores))


def _objectives(size: Sizing) -> tuple[float, float, float, float]:
    """Return the objectives to minimise: time an image, blocks, LUTs, energy."""
    speed = size.images_per_second or size.throughput
    multipliers = size.engine.lanes * size.cores
    logic = size.luts if size.luts is not None else multipliers
    return 1 / speed, size.blocks, logic, size.energy.total


def _front(sizes: list[Sizing]) -> list[Sizing]:
    """Return the sizings that no other dominates, the fastest first; equal ones count once."""
    sizes = sorted(sizes, key=lambda size: (*_objectives(size), size.engine.lut_lanes))
    values = np.array([_objectives(size) for size in sizes])
    grid = np.round(np.log(np.maximum(values, 1e-12)) / np.log1p(RESOLUTION)).astype(np.int64)
    _, first = np.unique(grid, axis=0, return_index=True)
    kept = [sizes[at] for at in sorted(first) if not _beaten(grid[at], grid)]
    return sorted(kept, key=lambda size: _objectives(size))


def _beaten(one: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> bool:
    as_good, better = np.all(others <= one, axis=1), np.any(others < one, axis=1)
    return bool(np.any(as_good & better))
