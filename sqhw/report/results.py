"""The results of the steps as plain data, for ``--json`` and for the tables."""

from typing import Any, NotRequired, TypedDict, final

from sqhw.cost_models.banks import SinglePortUse


class TrainResult(TypedDict):
    """Result of `sqhw train`; accuracies are 0 to 1."""

    network: str
    file: str
    weights: int
    validation_accuracy: float
    test_accuracy: float
    class_names: NotRequired[list[str]]


class ImportCheck(TypedDict):
    """Comparison of an imported network with another program; accuracies are 0 to 1."""

    program: str
    images: int
    difference: float
    largest: float
    accuracy: NotRequired[float]
    program_accuracy: NotRequired[float]


class LayerDifferences(TypedDict):
    """Activations of an imported layer that differ from the model's; ``largest`` in its steps."""

    layer: str
    activations: int
    differing: int
    largest: int


class QuantizedCheck(TypedDict):
    """Comparison of an imported quantized network with named arithmetic of the model."""

    kernels: str
    images: int
    random: bool
    same_answer: int
    layers: list[LayerDifferences]
    accuracy: NotRequired[float]
    kernels_accuracy: NotRequired[float]


class ImportResult(TypedDict):
    """Result of `sqhw import`; of a model's file that was only checked ``file`` is empty."""

    network: str
    file: str
    weights: int
    format: NotRequired[str]
    operators: NotRequired[int]
    layers: NotRequired[int]
    notes: NotRequired[list[str]]
    check: NotRequired[ImportCheck]
    quantized: NotRequired[QuantizedCheck]


class LayerSize(TypedDict):
    """Size of a layer after compression."""

    name: str
    weights: int
    nonzeros: int
    stream: str
    rom_bits: int


class NetworkSize(TypedDict):
    """Size of a network on every basis, before and after compression.

    ``after``, ``float32`` and ``int8`` are sizes by basis (unit: bit; block RAMs for ``blocks``).
    """

    device: str
    after: dict[str, int]
    float32: dict[str, int]
    int8: dict[str, int]
    weights_before: int
    nonzeros: int
    activation_blocks: int
    available_blocks: int
    device_blocks: int
    single_port: NotRequired[SinglePortUse]
    layers: list[LayerSize]


class RetargetResult(NetworkSize):
    """Result of `sqhw retarget`: the engine by field, and cycles an image."""

    file: str
    engine: dict[str, Any]
    cycles: int


class TriedSize(NetworkSize):
    """Size of a network with its accuracies, 0 to 1, on images; notes are lines."""

    file: str
    validation_images: int
    notes: str
    validation_accuracy: float
    float_validation_accuracy: float


@final
class QuantizeResult(TriedSize):
    """Result of `sqhw quantize`."""


@final
class CompressResult(TriedSize):
    """Result of `sqhw compress`: limits of the budget and what was reached, by basis."""

    budget: str
    limits: dict[str, float]
    reached: dict[str, float]


class TracedLayer(TypedDict):
    """Values of a layer over the traced images.

    ``sums``, its accumulators' range and their static bound, is missing in a pooling maximum.
    ``histogram`` counts activations by value. ``saturated`` counts those at the lowest and at the
    highest value of the format, ``zeros`` is a share. ``cycles`` are predicted for a run of one
    image, ``utilisation`` is their lower bound over them, ``images_per_second`` those of the layer
    alone, at the clock.
    """

    name: str
    sums: NotRequired[tuple[int, int]]
    bound: NotRequired[int]
    histogram: dict[str, int]
    saturated: tuple[int, int]
    zeros: float
    cycles: NotRequired[int]
    utilisation: NotRequired[float]
    images_per_second: NotRequired[float]


class Trace(TypedDict):
    """Trace of the first images; ``mismatch`` is the first value unlike the reference's, or none.

    ``mismatch`` is missing where the reference would take too long. ``cycles`` of a run of one
    image and ``images_per_second`` at the clock are missing if the engine cannot run the network.
    """

    images: int
    clock_mhz: float
    cycles: NotRequired[int]
    images_per_second: NotRequired[float]
    layers: list[TracedLayer]
    mismatch: NotRequired[str | None]


class SimulateResult(TypedDict):
    """Result of `sqhw simulate`; accuracies are 0 to 1.

    ``compared_with``, ``images_that_differ`` and ``logits_compared`` are missing if no image was
    compared, ``torch_accuracy`` if not all were compared with PyTorch.
    """

    images: int
    simulator_accuracy: float
    images_compared: int
    compared_with: NotRequired[str]
    images_that_differ: NotRequired[int]
    logits_compared: NotRequired[int]
    torch_accuracy: NotRequired[float]
    float_accuracy: NotRequired[float]
    class_names: NotRequired[list[str]]
    rom: NotRequired[str]
    trace: NotRequired[Trace]


class RomImage(TypedDict):
    """Shape of a ROM image; the width is in bits."""

    name: str
    words: int
    width: int


class RomFile(TypedDict):
    """Memory image in a file, see `sqhw.export.image_set.ImageRecord`."""

    file: str
    format: str
    rom: str
    words: int
    used: int
    width: int
    packing: str
    crc32: str


class RomResult(TypedDict):
    """Result of `sqhw rom`.

    ``images`` are ROMs as the engine has them; ``memories`` are the files that ``images.json``
    lists.
    """

    files: list[str]
    images: list[RomImage]
    rom_bits_exported: int
    rom_bits_predicted: int
    memories: NotRequired[list[RomFile]]


class ExportResult(TypedDict):
    """Result of `sqhw export`."""

    network: str
    formats: list[str]
    files: list[str]


class RtlResult(TypedDict):
    """Result of `sqhw rtl`; the engine is its configuration by field."""

    files: list[str]
    engine: dict[str, Any]


class LayerCycles(TypedDict):
    """Cycles of a layer, see `sqhw.cost_models.schedule.LayerCycles`."""

    name: str
    tiles: int
    entries: int
    run: int
    overhead: int
    bound: float
    cycles: int


class CyclesResult(TypedDict):
    """Predicted cycles of a run."""

    cycles: int
    batch: int
    layers: list[LayerCycles]


class VerifyResult(TypedDict):
    """Result of `sqhw verify`: images and activations compared, cycles of a run.

    Only ``cxxrtl`` gives ``clock_cycles`` and ``seconds``, for all runs together.
    """

    simulator: str
    images: int
    activations: int
    cycles: int
    resets: int
    clock_cycles: NotRequired[int]
    seconds: NotRequired[float]
    batch: int
    made_up_images: int
    cycles_predicted: int


class DeviceResult(TypedDict):
    """A device of `sqhw devices`."""

    name: str
    family: str
    luts: int
    lut_inputs: int
    brams: int
    bram: str
    dsps: int
    boards: list[str]


class DevicesResult(TypedDict):
    """Result of `sqhw devices`."""

    devices: list[DeviceResult]


class AccountLayer(TypedDict):
    """A layer of an account, see `sqhw.size.account.LayerAccount`."""

    name: str
    weights: int
    nonzeros: int
    bits: int
    payload: int
    stream: int
    rom: int | None
    own: int | None


class AccountResult(TypedDict):
    """An account as plain data, see `sqhw.size.account.Account`; files may have more keys.

    ``codings`` are those of `sqhw.size.codings.stream_codings` (unit: bit); accounts that were read
    from a file have none.
    """

    label: str
    method: str
    network: str
    data: str
    device: str
    layers: list[AccountLayer]
    sizes: dict[str, int | None]
    float32: dict[str, int]
    average_bits: float
    density: float
    accuracy: dict[str, float]
    reason: str
    notes: list[str]
    ratio: dict[str, float | None]
    codings: NotRequired[dict[str, int]]


class ReportResult(TypedDict):
    """Result of `sqhw report`: the accounts, and the file of the plots."""

    accounts: list[AccountResult]
    file: NotRequired[str]


class DemoResult(TypedDict):
    """Result of `sqhw demo`: the results of its steps."""

    data: str
    seed: int
    train: TrainResult
    compress: CompressResult
    simulate: SimulateResult
    rom: RomResult
    rtl: RtlResult
    cycles: CyclesResult
    verify: list[VerifyResult]
    folder: NotRequired[str]


class BuildFigures(TypedDict):
    """A resource of a build: of the engine by the model, of the design as placed, of the device."""

    name: str
    model: int | None
    placed: int | None
    available: int


class BuildResult(TypedDict):
    """Result of `sqhw build`; frequencies in MHz.

    ``missed`` has the clocks that were tried before, each with what the design reached. A project
    for a vendor's tools has a ``vendor_command`` instead of a bitstream and placed figures.
    """

    folder: str
    bitstream: str | None
    vendor_command: str | None
    board: str
    device: str
    network: str
    figures: list[BuildFigures]
    model_mhz: float | None
    fmax_mhz: float | None
    clock_mhz: float
    missed: list[list[float]]
    cycles: int
    images_per_second: float
    fixed: list[str]
    words_read_back: int
    seconds: float
    load: str | None


class SwapResult(TypedDict):
    """Result of `sqhw swap`."""

    file: str
    board: str
    network: str
    bits_changed: int
    words_read_back: int
    seconds: float
    processor_seconds: float


class HostResult(TypedDict):
    """Result of `sqhw host`; the accuracy is 0 to 1."""

    port: str
    board: str
    network: str
    images: int
    equal: int
    accuracy: float
    cycles: int
    cycles_predicted: int
    retries: int
    seconds: float
    images_per_second: float
