"""How long the stages of a compression take, and the learning rate in them."""

import math
from dataclasses import dataclass

from sqhw.compress.methods.joint_settings import CompressSettings

EPOCHS = (65, 16)  # passes over the data, for small and for large sets
#: Share of the rate that tuning begins with at least: integers need some steps.
TUNING = 0.2


def tuning_epochs(epochs: int, at_once: bool) -> int:
    """Return how many of all epochs tune integers with fixed masks.

    After gradual pruning a twelfth: its masks need the time. One-shot pruning has good masks at
    the start.

    Parameters
    ----------
    epochs : int
    at_once : bool
        Whether pruning is one-shot.
    """
    return max(1, epochs // (2 if at_once else 12))


@dataclass(frozen=True)
class Schedule:
    """Epochs of both stages and the rate of every step.

    Parameters
    ----------
    prune, tune : int
        Epochs ahead of the last masks, and with them.
    peak : float
        Largest rate.
    """

    prune: int
    tune: int
    peak: float

    @classmethod
    def of(cls, settings: CompressSettings, *, small: bool, at_once: bool) -> "Schedule":
        """Return the schedule that settings ask for.

        Parameters
        ----------
        settings : CompressSettings
        small : bool
            Whether the set of images is.
        at_once : bool
            Whether pruning is one-shot.
        """
        epochs = settings.epochs or (EPOCHS[0] if small else EPOCHS[1])
        tune = tuning_epochs(epochs, at_once)
        return cls(
            settings.prune_epochs or epochs - tune,
            settings.tune_epochs or tune,
            settings.rate,
        )

    def rate(self, stage: str, step: int, per_epoch: int) -> float:
        """Return the learning rate of a step of a stage.

        A cosine over both stages, and for tuning one of its own if that is higher.

        Parameters
        ----------
        stage : {"prune", "tune"}
        step : int, 0 or more
            Within the stage.
        per_epoch : int
            Steps of an epoch.
        """
        prune, tune = self.prune * per_epoch, self.tune * per_epoch
        if stage == "prune":
            share = _cosine(step / (prune + tune))
        else:
            share = max(_cosine((prune + step) / (prune + tune)), TUNING * _cosine(step / tune))
        return self.peak * share


def _cosine(share: float) -> float:
    """Return 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * share))
