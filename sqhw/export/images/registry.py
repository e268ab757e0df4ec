"""The formats of memory images by name, and the one that suits a device."""

from sqhw.export.images.c_header import CHeader
from sqhw.export.images.coe import Coe
from sqhw.export.images.gowin_mi import GowinMi
from sqhw.export.images.image_format import ImageFormat
from sqhw.export.images.intel_hex import IntelHex, QuartusHex
from sqhw.export.images.lattice_mem import LatticeMem
from sqhw.export.images.mif import Mif
from sqhw.export.images.npy import Npy
from sqhw.export.images.raw import ByteOrder, RawBinary
from sqhw.export.images.readmem import Readmemb, Readmemh
from sqhw.export.images.srec import Srec
from sqhw.export.images.updatemem import MemoryMap, Updatemem

#: Format that Verilog reads: that of the ROMs of sqhw's own Verilog.
DEFAULT_FORMAT = Readmemh.name
#: Format of the vendor's memory generator by the device's family; the tools of all others read
#: Verilog's.
OF_FAMILY = {
    "xc7": Coe.name,
    "xcup": Coe.name,
    "cyclonev": Mif.name,
    "max10": Mif.name,
    "nexus": LatticeMem.name,
    "gowin": GowinMi.name,
    "gw5a": GowinMi.name,
}


def image_formats(
    order: ByteOrder = "little", memories: MemoryMap | None = None
) -> dict[str, ImageFormat]:
    """Return every format by its name.

    Parameters
    ----------
    order : {"little", "big"}
        Order of the bytes of a word in ``bin``, ``ihex`` and ``srec``.
    memories : MemoryMap, optional
        Memories of the design that ``updatemem`` images are for.
    """
    formats: tuple[ImageFormat, ...] = (
        Readmemh(),
        Readmemb(),
        Coe(),
        Updatemem(memories),
        Mif(),
        QuartusHex(),
        IntelHex(order),
        Srec(order),
        LatticeMem(),
        GowinMi(),
        RawBinary(order),
        CHeader(),
        Npy(),
    )
    return {form.name: form for form in formats}


def family_format(family: str | None) -> str:
    """Return the format of the memory generator for a family of devices, if there is one."""
    return DEFAULT_FORMAT if family is None else OF_FAMILY.get(family, DEFAULT_FORMAT)
