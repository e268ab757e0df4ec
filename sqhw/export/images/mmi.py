"""AMD's ``.mmi``: where Vivado has put the memories of a design (UG1580).

Vivado writes it after implementation (``write_mem_info``). It is read for the address, the width
and the room of a memory; the places of its block RAMs matter to ``updatemem`` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from sqhw.errors import SqhwError, shown
from sqhw.export.images.memory import Memory
from sqhw.files.input_file import read_bytes
from sqhw.files.input_limits import MAX_JSON_BYTES, MAX_NESTING
from sqhw.files.plain import located

#: Elements with the path of an instance.
INSTANCES = ("Processor", "MemoryArray")
#: Largest address and largest bit number that are read.
MAX_NUMBER = 1 << 40


@dataclass(frozen=True)
class AddressSpace:
    """A memory of a design.

    Parameters
    ----------
    instance : str
        Path of the instance.
    name : str
        Name of the address space.
    begin, end : int
        First and last byte address.
    width : int
        Bits of a word: those of all bit lanes of a bus block.
    """

    instance: str
    name: str
    begin: int
    end: int
    width: int

    @property
    def words(self) -> int:
        """Number of words, each of whole bytes."""
        return (self.end - self.begin + 1) // -(-self.width // 8)


def read_mmi(path: Path) -> tuple[AddressSpace, ...]:
    """Return the memories of a design, in the order of the file.

    Raises
    ------
    SqhwError
        If the file is missing, no XML of that form, or names no memory; the message names it.
    """
    with located(path):
        reader = _Reader()
        reader.read(read_bytes(path, MAX_JSON_BYTES))
        if not reader.spaces:
            raise SqhwError(
                "no memory with an AddressSpace in it; write it with Vivado's write_mem_info"
            )
        return tuple(reader.spaces)


def space_of(
    spaces: tuple[AddressSpace, ...], memory: Memory, source: str, instance: str = ""
) -> AddressSpace:
    """Return the memory of a design that an image is for, after checking its size.

    Parameters
    ----------
    spaces : tuple of AddressSpace
    memory : Memory
    source : str
        Name of the file, for errors.
    instance : str
        Path of the instance; by default the only one, or the only one with the name of the image
        as its address space or as a part of its path.

    Raises
    ------
    SqhwError
        If there is no such memory or several, its words have another width, or it is too small.
    """
    found = [space for space in spaces if not instance or space.instance == instance]
    if len(found) > 1:
        found = [one for one in found if memory.name in (one.name, *one.instance.split("/"))]
    if len(found) != 1:
        known = shown(", ".join(dict.fromkeys(space.instance for space in spaces)))
        what = f"{len(found)} memories" if found else "no memory"
        named = f"named {instance}" if instance else f"for the {memory.name} image"
        raise SqhwError(
            f"{source} has {what} {named}; name one as --mmi {source}:INSTANCE, of {known}"
        )
    (space,) = found
    if space.width not in (memory.width, 8 * memory.word_bytes):
        raise SqhwError(
            f"{source}: {shown(space.instance)} has words of {space.width} bits, the {memory.name} "
            f"image of {memory.width}; give --width {space.width}"
        )
    if space.words < memory.depth:
        raise SqhwError(
            f"{source}: {shown(space.instance)} has {space.words} words, the {memory.name} image "
            f"{memory.depth}; make the memory of the design deeper"
        )
    return space


class _Reader:
    """Collects the address spaces while expat reads; nothing but these is kept."""

    def __init__(self) -> None:
        self.spaces: list[AddressSpace] = []
        self._depth = 0
        self._instance = ""
        self._space: dict[str, str] = {}
        self._widths: list[int] = []

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise SqhwError(f"no XML: {error}; write it with Vivado's write_mem_info") from None

    def _doctype(self, *_: object) -> None:
        raise SqhwError("has a document type, which no .mmi of Vivado has")

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise SqhwError(f"is nested deeper than {MAX_NESTING} elements")
        if tag in INSTANCES:
            self._instance = attributes.get("InstPath", "")
        elif tag == "AddressSpace":
            self._space, self._widths = dict(attributes), []
        elif tag == "BusBlock":
            self._widths.append(0)
        elif tag == "DataWidth" and self._widths:
            self._widths[-1] += abs(_number(attributes, "MSB") - _number(attributes, "LSB")) + 1

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag != "AddressSpace":
            return
        begin, end = (_number(self._space, key) for key in ("Begin", "End"))
        widths = set(self._widths)
        name = self._space.get("Name", "")
        if begin > end or len(widths) != 1 or 0 in widths:
            raise SqhwError(
                f"the AddressSpace {shown(name)} of {shown(self._instance)} has no range of "
                "addresses, or no bit lanes of one width"
            )
        self.spaces.append(AddressSpace(self._instance, name, begin, end, widths.pop()))


def _number(attributes: Mapping[str, str], key: str) -> int:
    text = attributes.get(key, "")
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
    if not 0 <= value <= MAX_NUMBER:
        raise SqhwError(f"{key} must be a whole number from 0 to {MAX_NUMBER}, not {shown(text)}")
    return value
