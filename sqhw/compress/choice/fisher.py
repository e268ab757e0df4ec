"""Diagonal of the Fisher information: the growth of the loss with a squared change of a weight."""

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
    """Return an estimate of the diagonal of the Fisher information of the tempered softmax.

    Each batch takes one backward pass of ``v . logits``. The vectors ``v`` are random, independent
    from image to image, and have the covariance of the softmax. The square of the gradient of the
    sum is then an unbiased estimate of the sum over the images (Hutchinson). Unlike the squared
    gradients of the loss itself it does not vanish on a network that has learned its training set.

    Parameters
    ----------
    forward : callable
        Function from images to logits.
    parameters : sequence of Tensor
        Parameters that require gradients.
    images : Tensor, shape (batches, batch, channels, height, width)
    generator : torch.Generator
        Generator on the CPU.
    temperature : float
        Divisor of the logits, more than 0. With it the Fisher of confident networks is not 0.

    Returns
    -------
    list of Tensor
        Mean over the images, one tensor of the shape of each parameter.
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
