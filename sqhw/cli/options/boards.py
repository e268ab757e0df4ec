"""The options of the steps that build for boards."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import (
    DATA,
    IMAGE_SIZE,
    LEAST_CLOCK_MHZ,
    MOST_CLOCK_MHZ,
    NETWORK,
    Table,
    file_option,
    folder_argument,
)
from sqhw.machine.link import LINKS
from sqhw.steps.options import BuildOptions, HostOptions, SwapOptions

#: Largest seed that the tools take.
MAX_SEED_OF_TOOLS = (1 << 31) - 1

OPTIONS: Table = {
    BuildOptions: {
        "network": NETWORK,
        "board": typer.Option(help="Board, or a board file of your own (docs/boards.md)."),
        "out": file_option("Folder of the build; it is replaced as a whole."),
        "clock": typer.Option(
            help="Clock above which none is tried (MHz). By default the modelled one less the "
            "error of the model.",
            min=LEAST_CLOCK_MHZ,
            max=MOST_CLOCK_MHZ,
        ),
        "seed": typer.Option(help="Seed of the placement.", min=1, max=MAX_SEED_OF_TOOLS),
        "link": typer.Option(
            help="Serial line: frames, or uartbone, which adds registers for LiteX clients and "
            "frames in flight.",
            callback=checks.check_name("link", LINKS),
        ),
    },
    SwapOptions: {
        "build": folder_argument("Folder of a build, from `sqhw build`."),
        "network": NETWORK,
        "out": file_option("Bitstream to write.  [default: swapped.bin or .bit beside the folder]"),
    },
    HostOptions: {
        "build": folder_argument("Folder of the build whose bitstream is loaded."),
        "port": typer.Option(help="Serial port of the board, for example /dev/ttyUSB1."),
        "network": file_option(
            "Network that was swapped into the bitstream.", check=checks.check_source
        ),
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "images": typer.Option(help="Test images to run.", min=1),
    },
}
