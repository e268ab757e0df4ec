"""The arguments of calls of torch's functions, one record a function, with torch's names."""

from dataclasses import dataclass, fields
from typing import Any, Self

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments of a function after its input."""

    @classmethod
    def of(cls, layer: nn.Module) -> Self:
        """Return the arguments that a module of the function has as its attributes."""
        return cls(**{field.name: getattr(layer, field.name) for field in fields(cls)})


@dataclass(frozen=True, eq=False)
class Conv2dCall(Call):
    """The arguments of `torch.nn.functional.conv2d`."""

    weight: Tensor
    bias: Tensor | None = None
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1


@dataclass(frozen=True, eq=False)
class MaxPool2dCall(Call):
    """The arguments of `torch.nn.functional.max_pool2d`."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False
    return_indices: bool = False


@dataclass(frozen=True, eq=False)
class AvgPool2dCall(Call):
    """The arguments of `torch.nn.functional.avg_pool2d`."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None


@dataclass(frozen=True, eq=False)
class BatchNormCall(Call):
    """The arguments of `torch.nn.functional.batch_norm`."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5
