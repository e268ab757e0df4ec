"""A sizing as plain data."""

from sqhw.report.size_results import DeviceFigures
from sqhw.size.sizing import Sizing


def device_figures(size: Sizing) -> DeviceFigures:
    """Return a sizing as plain data."""
    device, logic = size.device, size.logic
    bits, blocks = size.memory_bits, size.memory_blocks
    energy, single_port = size.energy, size.single_port
    figures: DeviceFigures = {
        "device": device.name,
        "boards": list(device.boards),
        "fits": size.fits,
        "open_flow": size.device.placement is not None,
        "missing": size.missing,
        "error": None,
        "engine": size.engine.to_dict(),
        "batch": size.batch,
        "cores": size.cores,
        "memory": {use: {"bits": bits[use] * size.cores, "blocks": blocks[use]} for use in bits},
        "block": device.bram.name,
        "blocks": size.blocks,
        "available_blocks": device.brams,
        "dsps": size.dsps,
        "available_dsps": device.dsps,
        "luts": size.luts,
        "available_luts": device.luts,
        "ffs": size.ffs,
        "available_ffs": device.ffs,
        "fmax_mhz": size.fmax_mhz,
        "errors": {
            "luts": logic.luts_error,
            "ffs": logic.ffs_error,
            "fmax": logic.fmax_error,
        }
        if logic
        else None,
        "calibrated": logic.calibrated if logic else False,
        "run_cycles": size.run_cycles,
        "image_cycles": size.image_cycles,
        "image_interval": 1 / size.throughput,
        "images_per_second": size.images_per_second,
        "macs": size.activity.total("macs") / size.batch,
        "busy_lanes": size.busy_lanes,
        "energy_uj": energy.total * 1e-6,
        "energy_split_uj": {use: part * 1e-6 for use, part in energy.to_dict().items()},
        "notes": size.notes,
        "energy_notes": list(size.prices.notes),
        "layers": [size.layer(index) for index in range(len(size.shapes))],
    }
    if single_port is not None:
        figures["single_port"] = single_port
    return figures
