"""The number format of the products in training, and how far float32 is exact."""

import time
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

FLOAT32_EXACT = 1 << 24  # integers below it are exact in float32
#: Largest share of float32's time that bf16 may take to be the faster format. A clear gain, so
#: that a run and its continuation choose alike.
CLEARLY_FASTER = 0.8
#: Images, channels and edge of the maps of the measurement, and its rounds.
IMAGES, CHANNELS, EDGE, ROUNDS = 32, 64, 8, 5


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
    """Return whether a device multiplies bf16 faster than float32.

    Processors need instructions for it. These are twice as fast as those of float32 on some, and
    slower on others, so a convolution is measured.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in known) and _measured_faster()


@cache
def _measured_faster() -> bool:
    """Return whether a convolution and its gradients take clearly less time in bf16."""
    kinds = (torch.float32, torch.bfloat16)
    least = dict.fromkeys(kinds, float("inf"))
    for turn in range(ROUNDS + 1):
        for kind in kinds:
            spent = convolution_time(kind)
            if turn:  # the first one prepares the kernels
                least[kind] = min(least[kind], spent)
    return least[torch.bfloat16] < CLEARLY_FASTER * least[torch.float32]


def convolution_time(kind: torch.dtype) -> float:
    """Return the processor time of a convolution with its gradients (unit: s).

    Parameters
    ----------
    kind : torch.dtype
        Number format.
    """
    maps = torch.ones(IMAGES, CHANNELS, EDGE, EDGE, dtype=kind)
    x = maps.to(memory_format=torch.channels_last).requires_grad_()
    weight: Tensor = torch.ones(CHANNELS, CHANNELS, 3, 3, dtype=kind, requires_grad=True)
    start = time.process_time()
    y = functional.conv2d(x, weight, padding=1)
    y.backward(torch.ones_like(y))  # type: ignore[no-untyped-call]
    return time.process_time() - start
