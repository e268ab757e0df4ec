"""The number format of the products in training, and how far float32 is exact."""

import torch

FLOAT32_EXACT = 1 << 24  # integers below it are exact in float32


def products(precision: str, device: torch.device, *, small: bool) -> torch.dtype:
    """Return the number format of the products in training.

    Parameters
    ----------
    precision : {"auto", "float32", "bf16"}
        Number format; ``auto`` is bf16 for large data sets on devices that multiply it faster.
    device : torch.device
    small : bool
        Whether the data set is small.
    """
    if precision == "auto":
        precision = "bf16" if not small and has_fast_bf16(device) else "float32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def has_fast_bf16(device: torch.device) -> bool:
    """Return whether a device has instructions that multiply bf16; emulated, it is slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known)
