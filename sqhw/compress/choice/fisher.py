"""How much the loss grows with a squared change of each weight: the diagonal of the Fisher."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def fisher_diagonal(
    forward: Callable[[Tensor], Tensor],
    parameters: Sequence[Tensor],
    images: Tensor,
    generator: torch.Generator,
    *,
    temperature: float = 4.0,
) -> list[Tensor]:
    """Estimate the diagonal of the Fisher of the tempered softmax.

    Each batch gives one backward pass of ``v . logits`` with random ``v`` whose covariance is that
    of the softmax, independent from image to image: the square of the gradient of the sum is then
    an unbiased estimate of the sum over the images (Hutchinson). Unlike the squared gradients of
    the loss itself it does not vanish on a network that has learned its training set.

    Parameters
    ----------
    forward : callable
        From images to logits.
    parameters : sequence of Tensor
        Require gradients.
    images : Tensor, shape (batches, batch, channels, height, width)
    generator : torch.Generator
        On the CPU.
    temperature : float
        Logits are divided by it, so that confident networks still have a Fisher.

    Returns
    -------
    list of Tensor
        As `parameters`; mean over the images.
    """
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for batch in images:
        logits = forward(batch)
        share = torch.softmax(logits.detach() / temperature, dim=1)
        root = share.sqrt()
        noise = torch.randn(logits.shape, generator=generator).to(logits.device)
        direction = root * noise - share * (root * noise).sum(1, keepdim=True)
        grads = torch.autograd.grad((direction * logits).sum(), list(parameters))
        for total, grad in zip(totals, grads, strict=True):
            total += grad.detach() ** 2
    count = images.shape[0] * images.shape[1]
    return [total / count for total in totals]
