"""The options of the step that damages memories."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import (
    DATA,
    IMAGE_SIZE,
    MOST_IMAGES,
    NETWORK,
    Table,
    file_option,
    seed_option,
)
from sqhw.steps.options import FaultsOptions

#: Most injections that an option may name.
MOST_INJECTIONS = 10**7

OPTIONS: Table = {
    FaultsOptions: {
        "network": NETWORK,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "images": typer.Option(
            help="Test images for each injection; all if there are fewer.", min=1, max=MOST_IMAGES
        ),
        "injections": typer.Option(
            help="Single flips of ROM bits, shared out evenly over the fields of all layers.",
            min=0,
            max=MOST_INJECTIONS,
        ),
        "rates": typer.Option(
            help="Shares of the bits that flip, with commas; each above 0 and at most 1.",
            callback=checks.check_rates,
        ),
        "trials": typer.Option(help="Damaged memories at each rate.", min=0, max=MOST_INJECTIONS),
        "rom": typer.Option(
            help="ROMs that are damaged, with commas: weights, params, codebook; by default all.",
            callback=checks.check_roms,
        ),
        "activations": typer.Option(
            help="Flips in the feature maps, for each map and image.", min=0, max=MOST_INJECTIONS
        ),
        "protection": typer.Option(
            help="Check bits of the ROM words to run the rates with as well, as if the engine had "
            "them: none, parity or secded.",
            callback=checks.check_protection,
        ),
        "flip": typer.Option(
            help="A bit as ROM:WORD:BIT, for example weights:12:3; may be repeated: only these "
            "flip, together.",
            callback=checks.check_flips,
        ),
        "top": typer.Option(help="Most critical bits that are listed.", min=0, max=MOST_IMAGES),
        "threads": typer.Option(help="Cores.", callback=checks.check_threads),
        "seed": seed_option("Seed of all flips."),
        "plot": file_option("Picture to write: png, svg or pdf."),
    },
}
