"""`sqhw devices`: the devices that sqhw knows."""

from sqhw.cost_models.device import load_devices
from sqhw.report.results import DevicesResult


def devices() -> DevicesResult:
    """Return the devices that sqhw knows."""
    return {
        "devices": [
            {
                "name": device.name,
                "family": device.family,
                "luts": device.luts,
                "lut_inputs": device.lut_inputs,
                "brams": device.brams,
                "bram": device.bram.name,
                "dsps": device.dsps,
                "boards": list(device.boards),
            }
            for device in load_devices().values()
        ]
    }
