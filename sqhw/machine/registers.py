"""The AXI4-Lite register map: the one definition for RTL, documentation and drivers.

All registers are 32 bits wide. Bits without a field read 0 and ignore writes.
"""

from dataclasses import dataclass

#: Content of ``ID``: "SQHW" in ASCII.
ID = 0x53514857
#: Content of ``VERSION``: version of this map, major in the high half, minor in the low half.
VERSION = 0x0001_0000
#: Width of a byte address. An address that is not in `REGISTERS` answers SLVERR.
ADDRESS_BITS = 16


@dataclass(frozen=True)
class Field:
    """Neighbouring bits of a register.

    Parameters
    ----------
    name : str
    lsb : int, 0 to 31
        Lowest bit.
    width : int
        Number of bits.
    doc : str
        Meaning of the field.
    reset : int
        Value after reset of a field that can be written.
    """

    name: str
    lsb: int
    width: int
    doc: str
    reset: int = 0

    @property
    def mask(self) -> int:
        """The field's bits in the register."""
        return ((1 << self.width) - 1) << self.lsb


@dataclass(frozen=True)
class Register:
    """One register.

    Parameters
    ----------
    name : str
    offset : int
        Byte address.
    access : str
        ``ro``: a write answers SLVERR. ``rw``. ``w1c``: writing a one clears the bit. ``wo``: a
        read answers SLVERR.
    fields : tuple of Field
    writable_only : bool
        Whether the register is there only with ``EngineConfig.writable``.
    """

    name: str
    offset: int
    access: str
    fields: tuple[Field, ...]
    writable_only: bool = False

    def field(self, name: str) -> Field:
        """Return the field of that name."""
        return next(field for field in self.fields if field.name == name)


REGISTERS = (
    Register("ID", 0x00, "ro", (Field("id", 0, 32, f"{ID:#010x}"),)),
    Register("VERSION", 0x04, "ro", (Field("version", 0, 32, f"{VERSION:#010x}"),)),
    Register(
        "CONFIG",
        0x08,
        "ro",
        (
            Field("lanes", 0, 8, "of the engine's configuration, like all of this register"),
            Field("word_bits", 8, 7, ""),
            Field("requantizers", 16, 8, ""),
            Field("groups", 24, 1, ""),
            Field("residuals", 25, 1, ""),
            Field("writable", 26, 1, ""),
            Field("max_batch", 27, 5, "max_batch - 1"),
        ),
    ),
    Register(
        "CONTROL",
        0x0C,
        "rw",
        (
            Field("start", 0, 1, "1: run the frame that is loaded; reads 0"),
            Field("auto", 1, 1, "a frame runs as soon as it is complete", reset=1),
            Field("pause", 2, 1, "no pixel of another frame is taken"),
        ),
    ),
    Register(
        "STATUS",
        0x10,
        "ro",
        (
            Field("idle", 0, 1, "no frame has begun; the memories may be written"),
            Field("loaded", 1, 1, "a complete frame waits for `start`"),
            Field("busy", 2, 1, "the network runs"),
            Field("sending", 3, 1, "results are going out, then the next frame is taken"),
            Field("error", 4, 1, "a bit of ERROR is set"),
        ),
    ),
    Register(
        "ERROR",
        0x14,
        "w1c",
        (
            Field("short", 0, 1, "TLAST came before the last pixel; the frame was dropped"),
            Field("long", 1, 1, "no TLAST at the last pixel; dropped up to the next TLAST"),
            Field("start_busy", 2, 1, "`start` while the engine worked; ignored"),
            Field("start_empty", 3, 1, "`start` without a complete frame; ignored"),
        ),
    ),
    Register(
        "CYCLES", 0x18, "ro", (Field("cycles", 0, 32, "cycles of the last run; counts meanwhile"),)
    ),
    Register("FRAMES", 0x1C, "ro", (Field("frames", 0, 32, "runs that have ended, modulo 2^32"),)),
    Register(
        "IRQ_ENABLE",
        0x20,
        "rw",
        (
            Field("done", 0, 1, "`irq` follows this bit of IRQ_STATUS"),
            Field("error", 1, 1, "likewise"),
        ),
    ),
    Register(
        "IRQ_STATUS",
        0x24,
        "w1c",
        (
            Field("done", 0, 1, "a run has ended; its results are going out"),
            Field("error", 1, 1, "a bit of ERROR was set"),
        ),
    ),
    Register(
        "ROM_ADDRESS",
        0x28,
        "rw",
        (
            Field("address", 0, 24, "word that ROM_DATA writes; counts up after each"),
            Field("select", 24, 2, "0: weights, 1: params, 2: codebook"),
        ),
        writable_only=True,
    ),
    Register(
        "ROM_HIGH",
        0x2C,
        "rw",
        (Field("high", 0, 32, "bits 63..32 of the words that ROM_DATA writes"),),
        writable_only=True,
    ),
    Register(
        "ROM_DATA",
        0x30,
        "wo",
        (Field("low", 0, 32, "bits 31..0: writes the word; SLVERR unless `idle`, and beyond it"),),
        writable_only=True,
    ),
)


def find_register(name: str) -> Register:
    """Return the register of that name."""
    return next(register for register in REGISTERS if register.name == name)


def register_table() -> str:
    """Return the map as a Markdown table, one field a row."""
    rows = [
        "| offset | register | access | bits | field | reset | |",
        "|---|---|---|---|---|---|---|",
    ]
    for register in REGISTERS:
        head = (f"`{register.offset:#04x}`", f"`{register.name}`", register.access)
        for field in register.fields:
            top = field.lsb + field.width - 1
            bits = f"{top}..{field.lsb}" if field.width > 1 else f"{top}"
            row = (*head, bits, f"`{field.name}`", f"{field.reset}", field.doc)
            rows.append(f"| {' | '.join(row)} |")
            head = ("", "", "")
    return "\n".join(rows) + "\n"
