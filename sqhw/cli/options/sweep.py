"""The options of the step that runs many others."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import Table, file_option, source_argument
from sqhw.names import CLUSTERS
from sqhw.steps.options import SweepOptions

#: Seconds that a scheduler gets to answer.
LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.1, 3600

OPTIONS: Table = {
    SweepOptions: {
        "spec": source_argument("Spec of the sweep, a TOML file (docs/sweep.md)."),
        "out": file_option("Folder of the points; those that are there are not computed again."),
        "jobs": typer.Option(
            help="Processes here, or jobs of submitit.  [default: one a core]",
            callback=checks.check_jobs,
        ),
        "dask": typer.Option(
            help="Address of a Dask scheduler, whose workers compute the points.",
            callback=checks.check_address,
        ),
        "submitit": typer.Option(
            help="Jobs of submitit compute the points: local or slurm.",
            callback=checks.check_optional_name("cluster", CLUSTERS),
        ),
        "wait": typer.Option(
            help="Seconds that a scheduler gets to answer.",
            min=LEAST_WAIT_SECONDS,
            max=MOST_WAIT_SECONDS,
        ),
        "retry": typer.Option("--retry", help="Compute points again that failed earlier."),
        "yes": typer.Option("--yes", help="Compute a space of more than 1,000 points."),
    },
}
