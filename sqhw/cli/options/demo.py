"""The options of the step that runs them all on digits."""

import typer

from sqhw.cli.options.shared import (
    BUDGET,
    DATA,
    DEVICE,
    FOLDER,
    IMAGE_SIZE,
    SEED,
    ZOO_NETWORK,
    Table,
)
from sqhw.steps.options import DemoOptions

OPTIONS: Table = {
    DemoOptions: {
        "out": FOLDER,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "network": ZOO_NETWORK,
        "device": DEVICE,
        "budget": BUDGET,
        "images": typer.Option(help="Test images for Verilator.", min=1),
        "seed": SEED,
    },
}
