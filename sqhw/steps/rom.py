"""`sqhw rom`: the ROM images of a network."""

from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom
from sqhw.export.file_set import check_set
from sqhw.export.manifest import FILES, check_manifest, check_roms, name_of, pieces_of
from sqhw.export.readmemh import read_image
from sqhw.machine.layout import rom_widths
from sqhw.machine.naming import DEFAULT_NAME, check_name
from sqhw.report.results import RomResult
from sqhw.steps.options import RomOptions
from sqhw.steps.program import device_pieces, program_of


def rom(options: RomOptions) -> RomResult:
    """Write the ROM images, for runs of `options.batch` images.

    Their pieces and their name are those of the Verilog in `options.rtl`. Without it the pieces
    suit the device, by default that of the network.

    Raises
    ------
    SqhwError
        If another name is given than the Verilog has, or an image cannot be written.
    """
    program = program_of(options.network, options.batch)
    folder, verilog = options.out, options.rtl
    if verilog is None:
        pieces = device_pieces(program, options.device)
        name = check_name(DEFAULT_NAME if options.name is None else options.name)
    else:
        pieces = pieces_of(verilog, "rtl", program.engine)
        check_roms(pieces, rom_widths(program.engine), verilog / FILES["rtl"])
        check_set(verilog, "rtl", check_manifest(verilog, "rtl", program.engine))
        name = name_of(verilog)
        if options.name not in (None, name):
            raise SqhwError(
                f"the Verilog in {verilog} has the name {name}, not {options.name}; "
                "leave --name out"
            )
    paths = write_rom(program, folder, pieces, name)
    return {
        "files": [str(path) for path in paths],
        "images": [
            {"name": image.name, "words": image.depth, "width": image.width}
            for image in program.images
        ],
        "rom_bits_exported": sum(
            read_image(image, parts, folder, name).bits for image, parts in pieces.items()
        ),
        "rom_bits_predicted": rom_cost(program.network, program.engine).rom,
    }
