"""Memory images in any format in a folder, and their manifest ``images.json``.

A folder has the images of one network: formats that are written later join those that are there.
What would stay of another network is refused.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from sqhw.atomic import is_file
from sqhw.compiler.program import Program
from sqhw.errors import SqhwError, shown
from sqhw.export.build import rom_contents
from sqhw.export.file_set import DIGESTS, digests_of, file_digest, write_set
from sqhw.export.images.image_format import ImageFormat, encoded
from sqhw.export.images.memory import Memory
from sqhw.export.images.registry import image_formats
from sqhw.export.manifest import FILES, read_manifest
from sqhw.files.plain import field_of, located, typed
from sqhw.machine.layout import ROMS
from sqhw.machine.naming import image_name
from sqhw.machine.rom_pieces import Piece, Pieces, depth_of, from_plain, piece_names, piece_words
from sqhw.network.quantized_file import digest_of

#: Version of the manifest.
VERSION = 1
#: Names of images, whatever their format.
OWN = re.compile(
    rf"(\w+_)?({'|'.join(ROMS)})(_\d+)?("
    + "|".join(re.escape(form.suffix) for form in image_formats().values())
    + ")",
    re.ASCII,
)
#: Way out of an output folder that has images of another network.
ELSEWHERE = "name another folder with --out"


@dataclass(frozen=True)
class ImageRecord:
    """An image in the manifest.

    Parameters
    ----------
    file : str
        File name.
    format : str
    rom : str
        ROM whose content it has.
    piece : tuple of int (first word, words, first bit, bits), optional
        The part of the ROM; None if the words were packed anew for another width or depth.
    width, depth : int
        Geometry of the memory (units: bit, word).
    used : int
        Words ahead of those that only fill the memory with zeros.
    packing : str
        Way in which a word becomes bytes.
    crc32 : str
        CRC-32 of the file, as zlib computes it, in 8 hex digits.
    """

    file: str
    format: str
    rom: str
    piece: tuple[int, int, int, int] | None
    width: int
    depth: int
    used: int
    packing: str
    crc32: str


@dataclass(frozen=True)
class RomPart:
    """A memory to write: a ROM, or a piece of it, in the geometry of the file.

    Parameters
    ----------
    rom : str
    piece : Piece or None
        None if the words were packed anew.
    memory : Memory
    """

    rom: str
    piece: Piece | None
    memory: Memory

    def record(self, form: ImageFormat, data: bytes) -> ImageRecord:
        """Return the entry of the manifest for the file with this memory."""
        memory, piece = self.memory, self.piece
        return ImageRecord(
            file=f"{memory.name}{form.suffix}",
            format=form.name,
            rom=self.rom,
            piece=None if piece is None else astuple(piece),
            width=memory.width,
            depth=memory.depth,
            used=memory.used,
            packing=form.packing,
            crc32=f"{zlib.crc32(data):08x}",
        )


def rom_parts(program: Program, roms: Iterable[str], pieces: Pieces, name: str) -> list[RomPart]:
    """Return the pieces of some ROMs as memories.

    Parameters
    ----------
    program : Program
    roms : iterable of str
    pieces : mapping of str to tuple of Piece
    name : str
        Name of the engine, see `sqhw.machine.naming.image_name`.

    Raises
    ------
    SqhwError
        If an image has more words than its pieces.
    """
    parts = []
    for rom in roms:
        image = program.image(rom)
        if image.depth > depth_of(pieces[rom]):
            raise SqhwError(
                f"the {rom} image has {image.depth} words, the ROM {depth_of(pieces[rom])}; write "
                "Verilog with deeper ROMs with `sqhw rtl`"
            )
        files = piece_names(image_name(name, rom), pieces[rom])
        for file, piece in zip(files, pieces[rom], strict=True):
            words = tuple(piece_words(image.words, piece))
            used = min(max(image.depth - piece.first_word, 0), piece.words)
            parts.append(RomPart(rom, piece, Memory(file, piece.bits, words, used)))
    return parts


def encode_images(
    parts: Sequence[RomPart], formats: Iterable[ImageFormat]
) -> dict[ImageRecord, bytes]:
    """Return the files of memories in some formats, by their entries of the manifest.

    Raises
    ------
    SqhwError
        If a format cannot hold a memory; the message names the limit.
    """
    found = {}
    for form in formats:
        for part in parts:
            data = encoded(form, part.memory)
            found[part.record(form, data)] = data
    return found


def write_images(
    program: Program, folder: Path, images: Mapping[ImageRecord, bytes], name: str
) -> list[Path]:
    """Write images, and after them their manifest; return the paths.

    Images of the same network in other formats, or of other ROMs, stay.

    Parameters
    ----------
    program : Program
    folder : path
        Made if missing.
    images : mapping of ImageRecord to bytes
        As `encode_images` returns them.
    name : str
        Name of the engine.

    Raises
    ------
    SqhwError
        If images of another network would stay in the folder, or it cannot be written to.
    """
    facts = _facts(program, name)
    contents = {record.file: data for record, data in images.items()}
    kept = _kept(folder, facts, images)
    records = sorted([*kept, *images], key=lambda one: one.file)
    facts["images"] = [asdict(record) for record in records]
    digests = {record.file: file_digest(folder / record.file) for record in kept}

    def own(file: str) -> bool:
        return OWN.fullmatch(file) is not None and file not in digests

    return write_set(folder, "images", program.engine, contents, facts, own, digests)


def check_images_replaced(program: Program, folder: Path, contents: Mapping[str, bytes]) -> None:
    """Check that ``images.json`` in a folder still holds after other files are written there.

    Parameters
    ----------
    program : Program
    folder : path
    contents : mapping of str to bytes
        Files that will be written, by name.

    Raises
    ------
    SqhwError
        If it is of another network, or lists one of these files with another content.
    """
    if not is_file(folder / FILES["images"]):
        return
    found = read_manifest(folder, "images")
    with located(folder / FILES["images"]):
        digests = typed(dict[str, str], found.get(DIGESTS, {}))
    changed = [
        name for name, digest in digests_of(contents).items() if digests.get(name, digest) != digest
    ]
    if changed or found.get("network_sha256") != digest_of(program.network):
        names = ", ".join(dict.fromkeys(record.format for record in _earlier(folder)))
        raise SqhwError(
            f"{folder / FILES['images']} lists images ({names}) of another build, network "
            f"{shown(found.get('network', ''))}; write these anew too with --format, or {ELSEWHERE}"
        )


def check_roms_kept(program: Program, folder: Path, images: Iterable[ImageRecord]) -> None:
    """Check that ``rom.json`` in a folder is of the same build, and that its files stay.

    Parameters
    ----------
    program : Program
    folder : path
    images : iterable of ImageRecord
        Images that will be written.

    Raises
    ------
    SqhwError
        If its files are not those of the program, or one of them would be overwritten.
    """
    source = folder / FILES["rom"]
    if not is_file(source):
        return
    found = read_manifest(folder, "rom")
    network = shown(found.get("network", ""))
    same = found["engine"] == program.engine.to_dict()
    if same:
        pieces = from_plain(found.get("pieces"), str(source))
        try:
            contents = rom_contents(program, pieces, found["name"])
            same = digests_of(contents) == found.get(DIGESTS)
        except (KeyError, SqhwError):
            same = False
    if not same:
        raise SqhwError(
            f"{source} lists ROM images of another build, network {network}; {ELSEWHERE}"
        )
    for record in images:
        if record.file in contents:
            raise SqhwError(
                f"{folder / record.file} is the image that sqhw's own Verilog reads ({source}), "
                f"another geometry cannot replace it; {ELSEWHERE}"
            )


def _facts(program: Program, name: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "name": name,
        "network": program.network.name,
        "network_sha256": digest_of(program.network),
        "batch": program.batch,
    }


def _earlier(folder: Path) -> tuple[ImageRecord, ...]:
    """Return the images that the manifest in a folder lists."""
    if not is_file(folder / FILES["images"]):
        return ()
    found = read_manifest(folder, "images")
    try:
        return field_of(found, "images", tuple[ImageRecord, ...])
    except SqhwError as error:
        raise SqhwError(
            f"{folder / FILES['images']} is damaged ({error}); delete it, or {ELSEWHERE}"
        ) from None


def _kept(
    folder: Path, facts: Mapping[str, Any], images: Iterable[ImageRecord]
) -> list[ImageRecord]:
    """Return the images of an earlier run that stay: those of other formats or other ROMs.

    An image that was changed or deleted since is none of them.
    """
    written = {(record.format, record.rom) for record in images}
    files = {record.file for record in images}
    found = _earlier(folder)
    digests: dict[str, str] = {}
    if found:
        with located(folder / FILES["images"]):
            digests = typed(dict[str, str], read_manifest(folder, "images").get(DIGESTS, {}))
    kept = [
        record
        for record in found
        if (record.format, record.rom) not in written
        and record.file not in files
        and Path(record.file).name == record.file
        and is_file(folder / record.file)
        and file_digest(folder / record.file) == digests.get(record.file)
    ]
    if kept:
        before = read_manifest(folder, "images")
        if any(before.get(fact) != value for fact, value in facts.items()):
            names = ", ".join(dict.fromkeys(f"{one.rom} as {one.format}" for one in kept))
            raise SqhwError(
                f"{folder / FILES['images']} lists images ({names}) of another build, network "
                f"{shown(before.get('network', ''))}; write these anew too, or {ELSEWHERE}"
            )
    return kept
