"""A row of the table of front ends, and how rows are made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sqhw.data import Dataset

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of a model.

    Parameters
    ----------
    model : str
        Name of the file, or what it was exported from.
    spelling : str
        Format and flavour, for example ``ONNX, QCDQ``.
    against : str
        Program that runs the file, and its version.
    images : int
        Number of images.
    accuracy, imported, simulated : float, optional
        Accuracies, 0 to 1, of that program, of the import, and of the simulator.
    difference : str
        Largest difference of scores, or the number of activations that differ.
    rtl : str
        Images run through RTL, with every activation equal to the simulator's, and cycles of each.
    seconds : float
        Processor time of the import.
    """

    model: str
    spelling: str
    against: str
    images: int
    accuracy: float | None = None
    imported: float | None = None
    simulated: float | None = None
    difference: str = ""
    rtl: str = ""
    seconds: float = 0.0

    def cells(self, origin: str) -> list[str]:
        """Return the row as texts, the commit last."""
        shares = (self.accuracy, self.imported, self.simulated)
        return [
            self.model,
            self.spelling,
            self.against,
            f"{self.images:,}",
            *("" if share is None else f"{share:.2%}" for share in shares),
            self.difference,
            self.rtl,
            f"{self.seconds:.1f}",
            origin,
        ]


@dataclass(frozen=True)
class Sources:
    """Where models and data are.

    Parameters
    ----------
    models : Path
        Folder with the published models, see `benchmarks/README.md`.
    data : callable
        Returns a data set by its name: ``cifar10`` or ``mnist``.
    images : int
        Most test images of a row.
    pythons : dict of str to str
        Python of other programs by their names: ``brevitas``, ``qonnx``.
    """

    models: Path
    data: Callable[[str], Dataset]
    images: int
    pythons: dict[str, str] = field(default_factory=dict)


#: Function that makes a row.
Case = Callable[[Sources], Row]
HEAD = [
    "model", "spelling", "against", "images", "its accuracy", "imported", "simulator",
    "difference", "RTL images", "import, s", "measured on commit",
]  # fmt: skip


def right(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> float:
    """Return the share of images whose largest score is that of their label."""
    return float((scores.argmax(1) == labels).mean())
