"""Lengths of the stages of a compression, and the learning rate in them."""

import math
from dataclasses import dataclass
from enum import Enum

from sqhw.compress.methods.joint_settings import CompressSettings

EPOCHS = (65, 16)  # passes over the data, for small and for large sets
#: Ratio of all epochs to those that tune integers.
EPOCHS_PER_TUNING = 8
#: Rate at the beginning of tuning, as a share of the peak rate.
TUNING_RATE = 0.15
#: Share of the first stage in which the rate rises.
WARMUP_SHARE = 0.05


class JointStage(Enum):
    """Stages of the joint compressor, by their names in checkpoints and reports."""

    PRUNE = "prune"
    TUNE = "tune"


@dataclass(frozen=True)
class Schedule:
    """Epochs of both stages and the rate of every step.

    Parameters
    ----------
    prune, tune : int
        Epochs before the last masks, and with them.
    peak : float
        Largest rate.
    """

    prune: int
    tune: int
    peak: float

    @classmethod
    def of(cls, settings: CompressSettings, *, small: bool) -> "Schedule":
        """Return the schedule that settings ask for.

        Parameters
        ----------
        settings : CompressSettings
        small : bool
            Whether the set of images is small.
        """
        epochs = settings.epochs or (EPOCHS[0] if small else EPOCHS[1])
        tune = max(1, epochs // EPOCHS_PER_TUNING)
        return cls(epochs - tune, tune, settings.rate)

    def rate(self, stage: JointStage, step: int, per_epoch: int) -> float:
        """Return the learning rate of a step of a stage.

        A short rise comes first, then a cosine to 0. Tuning has a smaller cosine of its own.

        Parameters
        ----------
        stage : JointStage
        step : int, 0 or more
            Number of the step within the stage.
        per_epoch : int
            Steps of an epoch.
        """
        prune, tune = self.prune * per_epoch, self.tune * per_epoch
        if stage is JointStage.PRUNE:
            share = min(1.0, (step + 1) / (WARMUP_SHARE * prune)) * _cosine(step / prune)
        else:
            share = TUNING_RATE * _cosine(step / tune)
        return self.peak * share


def _cosine(share: float) -> float:
    """Return 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * share))
