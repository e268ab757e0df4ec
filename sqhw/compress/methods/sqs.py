"""SQS: sparsity and bit width of every layer adapted in one training."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from sqhw.compress.methods.base import NormalisableConfig, register
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.quantizers.dead_zone import SPEED, DeadZoneModule
from sqhw.compress.training.bounds import check_positive
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError
from sqhw.machine.stream import code_width

#: Factor by which the pressure grows over a whole training if the budget is never met.
GROWTH = 1e6
#: Initial width of a dead zone, in units of the range.
START_DEAD = 0.05
#: Share of the budget at which the pressure aims.
AIM = 0.97
#: Share of the training after which zones and bits are fixed once they meet the budget.
HOLD = 2 / 3


@register
@dataclass(frozen=True)
class SqsConfig(NormalisableConfig):
    """SQS (Yao et al., Chinese Journal of Scientific Instrument 44(5), 2023), as far as public.

    It is public that sparsity and weight bit width of every layer are optimised in parallel in one
    training and adapt to the layer. The equations are not public. CoDeQ's quantizer (arXiv
    2512.12981) stands for them here: a dead zone and a number of bits a layer, both learned.

    The control of the size is this project's own. A pressure acts on both numbers, weighted by the
    layer's share of the payload. It grows in every step while the payload exceeds the budget, and
    falls by the same factor otherwise. In the last third of the training zones and bits are fixed
    once the budget is met, and only weights learn. The result is an epoch within the budget, or the
    smallest one if none is.

    Parameters
    ----------
    budget : float
        Largest payload (unit: bit a weight of the network, zeros included). The compression ratio
        is 32 over it.
    most_bits : int, 2 to 8
        Largest width of a code, zero included.
    pressure : float
        Initial pressure.
    """

    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=60))
    budget: float = 0.4
    most_bits: int = 8
    pressure: float = 0.1
    name: ClassVar[str] = "sqs"
    version: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 8:
            raise SqhwError(
                f"budget must be above 0 and at most 8 bits a weight, not {self.budget}"
            )
        if not 2 <= self.most_bits <= 8:
            raise SqhwError(f"most_bits must be 2 to 8, not {self.most_bits}")
        check_positive("pressure", self.pressure)

    def method(self, run: Run) -> Method:
        """Return the training."""
        return Sqs(run, self)


class Sqs(Method):
    """Learned dead zones and bits under pressure.

    The pressure aims a little below the budget, because sizes swing around its aim.
    """

    def __init__(self, run: Run, config: SqsConfig) -> None:
        super().__init__(run, config.name)
        self.config = config
        self.pressure = config.pressure
        self.weights = sum(layer.weight.numel() for layer in self.model.latent())
        steps = config.recipe.epochs * -(-len(run.images) // config.recipe.batch)
        self.step = GROWTH ** (1 / max(1, steps))
        self.late, self.held = False, False

    def recipes(self) -> dict[str, Recipe]:
        """Return the recipe of the one training."""
        return {"joint": self.config.recipe}

    def begin(self, stage: int) -> None:
        """Give every layer a dead zone."""
        for layer in self.model.latent():
            module = DeadZoneModule(START_DEAD, self.config.most_bits, learn_bits=True)
            layer.quantizer = module.to(layer.weight.device)

    def payload(self) -> list[float]:
        """Return non-zeros times code bits of each layer for the present weights."""
        found = []
        for layer, module in self._pairs():
            with torch.no_grad():
                kept = int(torch.count_nonzero(layer.effective()))
            found.append(kept * float(_stored_bits(module)))
        return found

    def before_step(self, step: int, share: float) -> None:
        """Set whether zones and bits may be fixed."""
        super().before_step(step, share)
        self.late = share >= HOLD

    def penalty(self) -> Tensor | None:
        """Return the pressure on dead zones and bits, None while they are fixed."""
        # The forward pass has just set the edge of the zone, so the weights need not be quantized
        # again.
        sizes = [
            float((layer.weight.detach().abs() > module.dead().detach() / 2).sum())
            * _stored_bits(module)
            for layer, module in self._pairs()
        ]
        total = max(sum(sizes), 1.0)
        budget = self.config.budget * self.weights
        if self.late:
            self._hold(total <= (budget if self.held else AIM * budget))
        if self.held:
            return None
        within = total <= AIM * budget
        self.pressure *= 1 / self.step if within else self.step
        parts = [
            size / total * (_strength(module.zone) + _strength(module.width))
            for size, (_, module) in zip(sizes, self._pairs(), strict=True)
        ]
        return self.pressure * torch.stack(parts).sum()

    def _hold(self, held: bool) -> None:
        self.held = held
        for _, module in self._pairs():
            module.held = held

    def after_epoch(self, epoch: int) -> dict[str, Any]:
        """Return the layers' bits, the payload and the pressure."""
        bits = [module.bits() for _, module in self._pairs()]
        return {"bits": bits, "payload": sum(self.payload()), "pressure": self.pressure}

    def snapshot(self) -> Snapshot:
        """Return the quantized weights. A layer without any keeps its largest."""
        weights = []
        for layer, _ in self._pairs():
            latent = layer.weight.detach()
            with torch.no_grad():
                weight = layer.effective()
            if not weight.any():
                at = latent.abs().argmax()
                weight.view(-1)[at] = latent.reshape(-1)[at]
                self.run.note(
                    f"layer {layer.layer.name!r} would have been emptied and keeps one weight"
                )
            weights.append(weight)
        return self.run.taken(weights=weights)

    def excess(self) -> float:
        """Return the excess of the payload over the budget, as a share of the budget."""
        return max(0.0, sum(self.payload()) / (self.config.budget * self.weights) - 1)

    def extra_state(self) -> dict[str, Tensor]:
        """Return the pressure, and whether zones and bits are fixed."""
        pressure = torch.tensor(self.pressure, dtype=torch.float64)
        return {"pressure": pressure, "held": torch.tensor(self.held)}

    def load_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restore the state that `extra_state` returned."""
        self.pressure = float(state["pressure"])
        self._hold(bool(state["held"]))

    def _pairs(self) -> list[tuple[Any, DeadZoneModule]]:
        pairs = []
        for layer in self.model.latent():
            assert isinstance(layer.quantizer, DeadZoneModule)
            pairs.append((layer, layer.quantizer))
        return pairs


def _stored_bits(module: DeadZoneModule) -> int:
    """Return the width of a code of a non-zero, which has ``2**bits - 2`` values."""
    return code_width((1 << module.bits()) - 2)


def _strength(parameter: Tensor) -> Tensor:
    return torch.tanh(SPEED * parameter).abs()
