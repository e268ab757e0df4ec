"""Weights that take the values of a codebook, with straight-through gradients."""

from typing import Any

import torch
from torch import Tensor


class _CodebookWeights(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, book: Tensor, mask: Tensor, share: float, masked_grad: bool
    ) -> Tensor:
        index = torch.bucketize(weight, (book[1:] + book[:-1]) / 2, out_int32=True)
        ctx.save_for_backward(index, mask)
        ctx.levels, ctx.masked_grad = len(book), masked_grad
        chosen = book[index]
        return (chosen if share == 1 else torch.lerp(weight, chosen, share)) * mask

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        index, mask = ctx.saved_tensors
        masked = grads[0] * mask
        book = None
        if ctx.needs_input_grad[1]:
            book = torch.bincount(index.reshape(-1), masked.reshape(-1), minlength=ctx.levels)
            book = book.to(masked.dtype)
        return masked if ctx.masked_grad else grads[0], book, None, None, None


def codebook_weights(
    weight: Tensor, book: Tensor, mask: Tensor, *, share: float = 1.0, masked_grad: bool
) -> Tensor:
    """Return the value of `book` nearest each weight, and 0 where `mask` is 0.

    The gradient of a value is the sum of those of its weights; the gradient passes straight through
    to the weights.

    Parameters
    ----------
    weight : Tensor
    book : Tensor, shape (levels,)
        Values of the codebook, ascending.
    mask : Tensor, shape of `weight`
        1 for weights that are kept, 0 for the others.
    share : float, 0 to 1
        Share of the distance to the value by which weights are moved.
    masked_grad : bool
        Whether weights that the mask drops have no gradient.
    """
    found: Tensor = _CodebookWeights.apply(weight, book, mask, share, masked_grad)  # type: ignore[no-untyped-call]
    return found
