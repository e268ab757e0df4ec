"""The help text and the check of each option of the steps.

Names, types and defaults are those of the fields in `sqhw.steps.options`, whose files these are
named after.
"""

import typer

from sqhw.cli.options import boards, demo, faults, figures, hardware, networks, sweep
from sqhw.cli.options.shared import Table

#: The options of each command, by the class and the name of its field.
OPTIONS: Table = {
    options: table
    for file in (networks, hardware, faults, figures, boards, sweep, demo)
    for options, table in file.OPTIONS.items()
}
JSON = typer.Option("--json", help="Print the result as JSON.")
