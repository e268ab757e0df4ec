"""`sqhw rom`: the ROM images of a network."""

from pathlib import Path

from sqhw.compiler.program import Program
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.export.build import rom_contents, write_rom
from sqhw.export.file_set import check_set
from sqhw.export.image_set import (
    ImageRecord,
    check_images_replaced,
    check_roms_kept,
    encode_images,
    write_images,
)
from sqhw.export.images.registry import DEFAULT_FORMAT, family_format
from sqhw.export.manifest import FILES, check_manifest, check_roms, name_of, pieces_of
from sqhw.export.readmemh import read_image
from sqhw.machine.layout import ROMS, rom_widths
from sqhw.machine.naming import DEFAULT_NAME, check_name
from sqhw.machine.rom_pieces import Pieces, whole
from sqhw.names import NATIVE_FORMAT
from sqhw.report.results import RomFile, RomResult
from sqhw.steps.options import RomOptions
from sqhw.steps.program import device_of, device_pieces, program_of
from sqhw.steps.rom_geometry import check_geometry, formats_of, memories


def rom(options: RomOptions) -> RomResult:
    """Write the ROM images, for runs of `options.batch` images.

    Their pieces and their name are those of the Verilog in `options.rtl`. Without it the pieces
    suit the device, by default that of the network. Images that sqhw's Verilog reads are listed in
    ``rom.json``; with `options.format`, `options.rom` or a geometry of one's own all images are
    listed in ``images.json``.

    Raises
    ------
    SqhwError
        If options contradict each other, a format cannot hold an image, the folder has images of
        another build, or an image cannot be written.
    """
    check_geometry(options)
    program = program_of(options.network, options.batch)
    roms = _names(options.rom) or ROMS
    own = options.width is not None or options.depth is not None
    formats = _formats(program, options, own=own)
    pieces, name = _pieces(program, options, own=own)
    for_verilog = DEFAULT_FORMAT in formats and not own and set(roms) == set(ROMS)
    listed = options.format is not None or own or options.rom is not None
    folder = options.out
    images: dict[ImageRecord, bytes] = {}
    if listed:
        parts = memories(program, roms, pieces, name, options)
        images = encode_images(parts, formats_of(formats, options))
    if not for_verilog:
        check_roms_kept(program, folder, images)
    if not listed:
        check_images_replaced(program, folder, rom_contents(program, pieces, name))
    paths: list[Path] = []
    if for_verilog:
        paths += write_rom(program, folder, pieces, name)
    if listed:
        paths += write_images(program, folder, images, name)
    result: RomResult = {
        "files": list(dict.fromkeys(map(str, paths))),
        "images": [
            {"name": image.name, "words": image.depth, "width": image.width}
            for image in map(program.image, roms)
        ],
        "rom_bits_exported": sum(
            (read_image(rom, pieces[rom], folder, name) if for_verilog else program.image(rom)).bits
            for rom in roms
        ),
        "rom_bits_predicted": sum(
            depth * width
            for rom, depth, width in rom_cost(program.network, program.engine).memories
            if rom in roms
        ),
    }
    if listed:
        result["memories"] = [_shown(record) for record in images]
    return result


def _names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas, each once."""
    names = [] if text is None else [name.strip() for name in text.split(",")]
    return tuple(dict.fromkeys(names))


def _formats(program: Program, options: RomOptions, *, own: bool) -> tuple[str, ...]:
    """Return the names of the formats, in the order of the option."""
    text = options.format or (NATIVE_FORMAT if own else DEFAULT_FORMAT)
    names = _names(text)
    if NATIVE_FORMAT not in names:
        return names
    device = device_of(options.network, program.network, options.device)
    if device is None and options.format is not None:
        raise SqhwError(
            f"{options.network} names no device that --format {NATIVE_FORMAT} could suit; add "
            "--device"
        )
    family = None if device is None else device.family
    native = family_format(family)
    return tuple(dict.fromkeys(native if name == NATIVE_FORMAT else name for name in names))


def _pieces(program: Program, options: RomOptions, *, own: bool) -> tuple[Pieces, str]:
    """Return the pieces of the ROMs, and the name of the engine."""
    verilog = options.rtl
    if verilog is None:
        name = check_name(DEFAULT_NAME if options.name is None else options.name)
        if options.whole or own:
            return {one.name: whole(one.depth, one.width) for one in program.images}, name
        device = device_of(options.network, program.network, options.device)
        return device_pieces(program, device), name
    pieces = pieces_of(verilog, "rtl", program.engine)
    check_roms(pieces, rom_widths(program.engine), verilog / FILES["rtl"])
    check_set(verilog, "rtl", check_manifest(verilog, "rtl", program.engine))
    name = name_of(verilog)
    if options.name not in (None, name):
        raise SqhwError(
            f"the Verilog in {verilog} has the name {name}, not {options.name}; leave --name out"
        )
    return pieces, name


def _shown(record: ImageRecord) -> RomFile:
    return {
        "file": record.file,
        "format": record.format,
        "rom": record.rom,
        "words": record.depth,
        "used": record.used,
        "width": record.width,
        "packing": record.packing,
        "crc32": record.crc32,
    }
