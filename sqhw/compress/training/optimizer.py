"""The optimizer of the training loop: a step of a loss at a rate, and a state by name."""

from typing import Any

import torch
from torch import Tensor

from sqhw.compress.training.checkpoint import load_optimizer, optimizer_tensors


class Optimizer:
    """A torch optimizer whose rate is set in every step.

    Parameters
    ----------
    inner : torch.optim.Optimizer
    """

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.inner = inner

    def group_rate(self, group: dict[str, Any], rate: float) -> float:
        """Return the rate of a group of parameters for a rate of the schedule."""
        return rate

    def step(self, loss: Tensor, rate: float) -> None:
        """Make one step.

        Parameters
        ----------
        loss : Tensor
            Loss, a scalar.
        rate : float, above 0
            Learning rate of the schedule.
        """
        for group in self.inner.param_groups:
            group["lr"] = self.group_rate(group, rate)
        self.inner.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.inner.step()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name."""
        return optimizer_tensors(self.inner)

    def load(self, found: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        load_optimizer(self.inner, found)
