"""The project's own method: sparsity, bit widths and integers chosen together under budgets."""

from dataclasses import dataclass, field
from typing import ClassVar

from sqhw.compress.choice.target import Target
from sqhw.compress.methods.base import MethodConfig, compress_with, plain_options, register
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.joint_settings import CompressSettings
from sqhw.compress.methods.joint_training import VERSION, JointTraining
from sqhw.compress.methods.result import CompressionResult, dequantized
from sqhw.cost_models.budget import Budget, Budgets
from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork

ON_INTEGERS = "its network exists on integers only: `network` is that before compression"


@register
@dataclass(frozen=True)
class JointConfig(MethodConfig):
    """The joint compressor of this project: pruning and bit widths under exact costs.

    Sparsity, bit widths and the integers of the engine are chosen together by the exact cost of the
    exported images, and the network is retrained while it shrinks; ``hardware`` is its older name.

    Parameters
    ----------
    recipe : CompressSettings
    budget : str
        Budget, in the form of `Budgets.parse`.
    """

    recipe: CompressSettings = field(default_factory=CompressSettings)
    budget: str = "rom=48000"
    name: ClassVar[str] = "joint"
    version: ClassVar[int] = VERSION

    def __post_init__(self) -> None:
        Budgets.parse(self.budget)
        if not isinstance(self.recipe, CompressSettings):
            raise SqhwError(
                f"recipe of method 'joint' must be CompressSettings, not "
                f"{type(self.recipe).__name__}; give its options one by one"
            )

    def compress(self, job: Job) -> CompressionResult:
        """Run the method; see `sqhw.compress.methods.compress_with`."""
        target = Target(Budgets.parse(self.budget), job.engine, job.device)
        run = JointTraining(job, target, self.recipe)
        found = run.run()
        return CompressionResult(
            self.name,
            plain_options(self),
            job.network,
            job.network,
            dequantized(job.network, found),
            found.facts.accuracies["validation_accuracy"],
            quantized=found,
            history=run.history,
            notes=(*run.notes, ON_INTEGERS),
        )


def compress(
    job: Job, budget: Budget | Budgets, *, settings: CompressSettings | None = None
) -> QuantizedNetwork:
    """Compress a trained network until it meets a budget.

    Parameters
    ----------
    job : Job
        Network, data, engine and device. On the CPU, a resumed run returns the same result as an
        uninterrupted one. A run of another learning rate may go on from its checkpoint.
    budget : Budget or Budgets
    settings : CompressSettings, optional

    Returns
    -------
    QuantizedNetwork
        Its exact costs on the bases of the budget (`sqhw.compress.choice.target.Target.costs`) are
        within the limits.

    Raises
    ------
    SqhwError
        If the engine cannot run this topology, or no network of it meets the budget. The message
        then has the smallest budget that a network meets. Also if the loss ceases to be finite, or
        the checkpoint is of another run.
    """
    config = JointConfig(settings or CompressSettings(), str(Budgets.of(budget)))
    found = compress_with(job, config).quantized
    assert found is not None
    return found
