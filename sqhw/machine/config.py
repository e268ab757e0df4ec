"""The engine's configuration: one frozen object for cost model, compiler, RTL and export."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from sqhw.files.plain import located, typed
from sqhw.names import BANK_RAMS

#: Largest number of kernel taps that an entry passes on any engine.
MAX_TAPS_PER_ENTRY = 2
#: Width of the widest gap field on any engine (unit: bit).
MAX_GAP_BITS = 12
#: Most ones of a quotient in the Golomb-Rice streams of any engine.
MAX_ONES = 8
#: Defaults of the fields that files of engines may lack.
LATER_FIELDS = {"bank_ram": "block", "quotient_ones": 0, "cores": 1, "tables": False}
#: Most cores of an engine.
MAX_CORES = 16


@dataclass(frozen=True)
class EngineConfig:
    """The numbers that the RTL depends on. It never depends on a network.

    Parameters
    ----------
    lanes : int, power of two, 2 to 128
        Positions computed in parallel; they share one weight a cycle. Also the number of
        activation banks.
    bank_depth : int, power of two, 64 to 65536
        Rows of 8 bits of each activation bank.
    acc_bits : int, 16 to 32
        Accumulator width. A layer whose static bound needs more is refused at compile time.
    mult_bits : int, 1 to 16
        Width of the requantization multiplier `m` (unit: bit).
    dim_bits : int, 4 to 10
        Feature maps are at most ``2**dim_bits - 1`` high and wide.
    word_bits : int, 8 to 64
        Word width of the weight and parameter ROMs (unit: bit). A stream entry (gap and code)
        and every parameter field fit one word.
    weight_addr_bits : int, 4 to 24
    param_addr_bits, codebook_addr_bits : int, 4 to 20
        Address widths of the three ROMs; the ROMs themselves are as deep as the images, or as the
        depths that the Verilog is written with.
    max_gap_bits : int, 0 to 12
        Largest gap field of the weight stream; with 0 the engine decodes dense streams only.
    taps_per_entry : int, 1 or 2
        Kernel taps that an entry of the weight stream may pass. With 2, layers of few channels
        have gaps twice as long.
    requantizers : int, power of two, 1 to lanes
        Accumulators requantized a cycle, in layers of which this number of outputs lies together
        in memory. The others write one byte a cycle.
    max_batch : int, power of two, 1 to the smaller of lanes and 32
        Largest number of images of a run. They share tiles, so that small maps fill the lanes.
    lut_lanes : int, 0 to lanes
        Lanes whose multiplier is made of LUTs; the others leave it to the DSP blocks.
    writable : bool
        Whether the three ROMs are RAM that can be written at run time.
    bank_ram : {"block", "single-port"}
        RAM of the activation banks. Those of a single port are read or written in a cycle, so that
        no entry is issued while a channel is written back.
    groups, residuals, maxpool : bool
        Whether the engine runs grouped convolutions (depthwise and average pooling are such), adds
        skip connections and takes maxima. A feature that an engine lacks takes no logic and no
        descriptor bits.

    quotient_ones : int, 0 to 8
        Most ones of a quotient in Golomb-Rice streams. With 0 the engine does not decode them; the
        decoder takes no logic and no descriptor bits then. A divisor of `word_bits`, not below
        these ones and at most half of `word_bits`, must exist.
    cores : int, 1 to 16
        Copies of the engine side by side, each with its own maps and ROMs, that take the frames of
        one stream in turn. All other fields are those of one core.
    tables : bool
        Whether layers may have activation functions that are tables of 256 bytes. The table of a
        layer is loaded before it runs, into a RAM for each requantizer.

    Raises
    ------
    ValueError
        If a number is outside its range.
    """

    lanes: int = 8
    bank_depth: int = 512
    acc_bits: int = 24
    mult_bits: int = 8
    dim_bits: int = 6
    word_bits: int = 16
    weight_addr_bits: int = 14
    param_addr_bits: int = 12
    codebook_addr_bits: int = 9
    max_gap_bits: int = 8
    taps_per_entry: int = 1
    requantizers: int = 1
    max_batch: int = 1
    lut_lanes: int = 0
    writable: bool = False
    groups: bool = False
    residuals: bool = False
    maxpool: bool = True
    bank_ram: str = "block"
    quotient_ones: int = 0
    cores: int = 1
    tables: bool = False

    def __post_init__(self) -> None:
        ranges = {
            "lanes": (2, 128),
            "bank_depth": (64, 65536),
            "acc_bits": (16, 32),
            "mult_bits": (1, 16),
            "dim_bits": (4, 10),
            "word_bits": (8, 64),
            "weight_addr_bits": (4, 24),
            "param_addr_bits": (4, 20),
            "codebook_addr_bits": (4, 20),
            "max_gap_bits": (0, MAX_GAP_BITS),
            "taps_per_entry": (1, MAX_TAPS_PER_ENTRY),
            "requantizers": (1, self.lanes),
            "max_batch": (1, min(self.lanes, 32)),
            "lut_lanes": (0, self.lanes),
            "quotient_ones": (0, MAX_ONES),
            "cores": (1, MAX_CORES),
        }
        for name, (lo, hi) in ranges.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not lo <= value <= hi:
                raise ValueError(f"engine {name} must be {lo} to {hi}, not {value!r}")
        for name in ("lanes", "bank_depth", "requantizers", "max_batch"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"engine {name} must be a power of two, not {value!r}")
        for name in ("writable", "groups", "residuals", "maxpool", "tables"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"engine {name} must be true or false")
        if self.bank_ram not in BANK_RAMS:
            raise ValueError(
                f"engine bank_ram must be {' or '.join(BANK_RAMS)}, not {self.bank_ram!r}"
            )
        if self.max_gap_bits + 1 > self.word_bits:
            raise ValueError(
                f"engine max_gap_bits {self.max_gap_bits} leaves no room for a code in a "
                f"{self.word_bits}-bit word"
            )
        if self.tables and self.bank_ram != "block":
            raise ValueError("engine tables need bank_ram block")
        if self.quotient_ones and not self.max_gap_bits:
            raise ValueError("engine quotient_ones needs gaps: raise max_gap_bits above 0")
        if self.quotient_ones and not self.quotient_chunk:
            raise ValueError(
                f"engine word_bits {self.word_bits} has no divisor from quotient_ones "
                f"{self.quotient_ones} to {self.word_bits // 2}; take another word_bits"
            )
        if max(self.mult_bits, (self.acc_bits + 1) // 2) > self.word_bits:
            raise ValueError(
                f"engine word_bits {self.word_bits} must hold a multiplier of {self.mult_bits} "
                f"bits and half a bias of {self.acc_bits} bits"
            )

    @property
    def lane_bits(self) -> int:
        """Width of a lane or bank number (unit: bit)."""
        return self.lanes.bit_length() - 1

    @property
    def single_port(self) -> bool:
        """Whether the activation banks have one port."""
        return self.bank_ram == "single-port"

    @property
    def quotient_chunk(self) -> int:
        """Bits that refill the reader of quotients at a time (unit: bit); 0 if there are none.

        A quotient takes one chunk at most, and a word has two chunks at least.
        """
        chunks = range(max(1, self.quotient_ones), self.word_bits // 2 + 1)
        return next((bits for bits in chunks if self.word_bits % bits == 0), 0)

    @property
    def batch_bits(self) -> int:
        """Width of the number of an image in its batch (unit: bit)."""
        return self.max_batch.bit_length() - 1

    @property
    def row_bits(self) -> int:
        """Width of a bank's row address (unit: bit)."""
        return self.bank_depth.bit_length() - 1

    @property
    def rom_addr_bits(self) -> int:
        """Width of an address of any of the three ROMs (unit: bit)."""
        return max(self.weight_addr_bits, self.param_addr_bits, self.codebook_addr_bits)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary, without those of `LATER_FIELDS` at their default.

        Files of engines that do without them are the same as before there was a choice.
        """
        fields = asdict(self)
        return {
            name: value
            for name, value in fields.items()
            if name not in LATER_FIELDS or value != LATER_FIELDS[name]
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the configuration with these fields.

        Raises
        ------
        SqhwError
            If a field is unknown, of another type or out of range.
        """
        with located("engine configuration"):
            return typed(cls, fields, partial=True)
