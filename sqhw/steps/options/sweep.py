"""Options of the sweep over the options of other steps."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.steps.options.defaults import SWEEP_FOLDER


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options of `sqhw.sweep.sweep`.

    Parameters
    ----------
    spec : Path
        TOML file of the step and the space of its options, see docs/sweep.md.
    out : Path
        Folder of the points; points that are there are not computed again.
    jobs : int, 1 or more, optional
        Processes on this machine, or jobs of submitit; by default one a core.
    dask : str, optional
        Address of a Dask scheduler whose workers compute the points.
    submitit : {"local", "slurm"}, optional
        Cluster of submitit whose jobs compute the points.
    wait : float, positive
        Seconds that a scheduler gets to answer.
    retry : bool
        Whether points that failed in an earlier run are computed again.
    yes : bool
        Whether a space above `sqhw.sweep.space.MAX_POINTS` points is computed.
    """

    spec: Path
    out: Path = SWEEP_FOLDER
    jobs: int | None = None
    dask: str | None = None
    submitit: str | None = None
    wait: float = 10.0
    retry: bool = False
    yes: bool = False
