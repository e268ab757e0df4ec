"""The result of `sqhw faults` as plain data."""

from typing import NotRequired, TypedDict


class Sample(TypedDict):
    """Figures of some injections; shares are 0 to 1, intervals those of Wilson at 95 %.

    ``accuracy`` is the mean over the injections, ``changed`` the share of those that change a
    class, ``worst`` the lowest accuracy of an injection that all images meet.
    """

    injections: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    changed: float
    changed_interval: tuple[float, float]
    worst: NotRequired[float]


class FieldSample(Sample):
    """Single flips in a field of a layer, which has so many ``bits``."""

    rom: str
    layer: str
    field: str
    bits: int


class BitSample(Sample):
    """Single flips of a bit of a field, 0 for the lowest, in all layers."""

    field: str
    bit: int


class RateSample(Sample):
    """Memories whose bits flip at a rate; ``flips`` is the mean number of them."""

    rate: float
    flips: float
    unresolved: int


class ProtectedSample(RateSample):
    """Memories with check bits, whose bits flip at a rate.

    Means of the words of a memory: ``corrected``, ``detected`` and handed on as they are, and
    ``silent``, wrong without a report. ``flips`` has those of check bits.
    """

    corrected: float
    detected: float
    silent: float


class ProtectedResult(TypedDict):
    """Upset rates of memories with check bits, so many ``check_bits`` for the words that flip."""

    protection: str
    check_bits: int
    rates: list[ProtectedSample]


class MapSample(Sample):
    """Single flips in the bytes of a map."""

    map: str


class MapBitSample(Sample):
    """Single flips of a bit of the bytes of all maps, 0 for the lowest."""

    bit: int


class CriticalBit(TypedDict):
    """A bit whose flip costs accuracy; ``position`` is its number in the field."""

    rom: str
    word: int
    bit: int
    layer: str
    field: str
    position: int
    accuracy: float


class FlipResult(TypedDict):
    """What flips that were named make of the network."""

    flips: list[str]
    accuracy: float
    images_changed: int
    resolved: bool


class FaultsResult(TypedDict):
    """Result of `sqhw faults`.

    ``bits`` are those of each ROM that are flipped, ``descriptor_bits`` those that are not.
    """

    network: str
    images: int
    accuracy: float
    bits: dict[str, int]
    descriptor_bits: int
    seed: int
    flip: NotRequired[FlipResult]
    fields: NotRequired[list[FieldSample]]
    field_bits: NotRequired[list[BitSample]]
    critical: NotRequired[list[CriticalBit]]
    rates: NotRequired[list[RateSample]]
    protected: NotRequired[ProtectedResult]
    maps: NotRequired[list[MapSample]]
    map_bits: NotRequired[list[MapBitSample]]
    map_rates: NotRequired[list[RateSample]]
    seconds: float
