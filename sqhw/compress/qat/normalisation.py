"""Batch normalisation while layers learn: it folds into their multipliers and biases.

Free masks need it. A weight that enters a mask jumps from 0 to a full value of the codebook. All
weights that enter in a step jump along the gradient: without normalisation the loss overshoots.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Constant that is added to variances (Ioffe and Szegedy, ICML 2015, as in torch).
EPSILON = 1e-5
MOMENTUM = 0.1  # weight of a batch in the running statistics


class Moments:
    """Sums over many batches, for means and variances of channels."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Tensor | float = 0.0
        self.second: Tensor | float = 0.0

    def add(self, y: Tensor) -> None:
        """Add a map, shape (images, channels, height, width)."""
        y = y.detach().double()
        self.count += y.numel() // y.shape[1]
        self.first = self.first + y.sum(dim=(0, 2, 3))
        self.second = self.second + (y * y).sum(dim=(0, 2, 3))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each channel, shape (channels,) of float64."""
        mean = torch.as_tensor(self.first) / self.count
        second = torch.as_tensor(self.second) / self.count
        return mean, (second - mean * mean).clamp(min=0)


class Normalisation(nn.Module):
    """Batch normalisation of a layer's sums, with a scale. The layer's bias comes after it.

    Where all channels of a layer have one multiplier, as beside a skip connection, they share
    variance and scale, and each has its own mean.

    Parameters
    ----------
    channels : int
    shared : bool
        Whether all channels have one variance and one scale.

    Attributes
    ----------
    scale : Parameter, shape (channels,), or (1,) if it is shared
        Scale, of which only the magnitude counts.
    mean : Tensor, shape (channels,)
    variance : Tensor, shape of the scale
        Running statistics.
    moments : Moments or None
        Sums of the batches while statistics are estimated.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, *, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        width = 1 if shared else channels
        self.scale = nn.Parameter(torch.ones(width))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.full((width,), 1 - EPSILON))
        self.moments: Moments | None = None

    def factor(self) -> Tensor:
        """Return the factor of the sums by the running statistics, shape of the scale."""
        return self.scale.abs() * torch.rsqrt(self.variance + EPSILON)

    def forward(self, y: Tensor, bias: Tensor) -> Tensor:
        """Return the normalised map plus a bias.

        A batch of one value a channel has no spread: running statistics normalise it.

        Parameters
        ----------
        y : Tensor, shape (images, channels, height, width)
        bias : Tensor, shape (channels,)
        """
        if self.moments is not None:
            self.moments.add(y)
        scale = self.scale.abs()
        by_batch = self.training and y.numel() > y.shape[1]
        if not self.shared:
            return functional.batch_norm(
                y, self.mean, self.variance, scale, bias, by_batch, MOMENTUM, EPSILON
            )
        if not by_batch:
            factor = self.factor()
            shift = bias - self.mean * factor
            return y * factor.to(y.dtype) + shift.to(y.dtype).view(1, -1, 1, 1)
        found: tuple[Tensor, Tensor, Tensor] = _SharedNorm.apply(y, scale, bias)  # type: ignore[no-untyped-call]
        normalised, mean, variance = found
        with torch.no_grad():
            self.mean.lerp_(mean, MOMENTUM)
            self.variance.lerp_(variance.view(1), MOMENTUM)
        return normalised

    @torch.no_grad()
    def take(self, mean: Tensor, variance: Tensor) -> None:
        """Set the running statistics to those of each channel, shapes (channels,)."""
        self.mean.copy_(mean)
        self.variance.copy_(variance.mean().view(1) if self.shared else variance)


class _SharedNorm(torch.autograd.Function):
    """``(y - mean) * scale / sqrt(mean of the variances + EPSILON) + bias`` of a batch."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kind = torch.promote_types(y.dtype, torch.float32)
        variance, mean = torch.var_mean(y.to(kind), dim=(0, 2, 3), correction=0)
        variance = variance.mean()
        root = torch.rsqrt(variance + EPSILON)
        ctx.save_for_backward(y, scale, mean, root)
        ctx.mark_non_differentiable(mean, variance)
        factor = (scale * root).view(1, 1, 1, 1)
        shift = (bias - mean * scale * root).view(1, -1, 1, 1)
        return torch.addcmul(shift, y.to(kind), factor).to(y.dtype), mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, scale, mean, root = ctx.saved_tensors
        y, grad = y.to(mean.dtype), grads[0].to(mean.dtype)
        grad_bias = grad.sum(dim=(0, 2, 3))
        # Sum of the gradient times the centred map.
        along = (grad * y).sum() - (grad_bias * mean).sum()
        each = y.numel() // y.shape[1]
        slope = -along * scale * root**3 / y.numel()
        shift = -(scale * root) * grad_bias / each - slope * mean
        found = torch.addcmul(shift.view(1, -1, 1, 1), grad, (scale * root).view(1, 1, 1, 1))
        found.addcmul_(y, slope.view(1, 1, 1, 1))
        return found.to(grads[0].dtype), (along * root).view(1), grad_bias


@torch.no_grad()
def estimate(
    model: nn.Module,
    batches: Iterable[Tensor],
    *,
    training: bool,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Estimate the statistics of all normalisations of a model anew.

    Parameters
    ----------
    model : Module
    batches : iterable of Tensor
        Inputs.
    training : bool
        Whether each batch is normalised by its own statistics meanwhile, or by the running ones.
    forward : callable, optional
        Function from inputs to outputs that runs the model; by default the model itself.
    """
    norms = [module for module in model.modules() if isinstance(module, Normalisation)]
    before, run = model.training, forward or model
    model.train(training)
    for norm in norms:
        norm.moments = Moments()
    for batch in batches:
        run(batch)
    model.train(before)
    for norm in norms:
        assert norm.moments is not None
        norm.take(*norm.moments.statistics())
        norm.moments = None
