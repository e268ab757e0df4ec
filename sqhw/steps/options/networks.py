"""Options of the steps that make a network: train, import, compress, quantize."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.steps.options.defaults import DATA, DEVICE, FLOAT_FILE, NETWORK_FILE


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `sqhw.steps.train.train`.

    Parameters
    ----------
    data : str
        Data set, see `sqhw.data.load_dataset`.
    image_size : str, optional
        Height and width as ``HxW``, to which pictures of different sizes are resized.
    network : str, optional
        Network of the zoo; by default the usual one of the data set.
    input_max : int, 1 to 255, optional
        Largest number in arrays of one's own; by default 255.
    mean, std : str, optional
        Normalisation ``(pixel / input_max - mean) / std``: a number, or one a channel with commas;
        by default that of the network.
    out : Path
        Float network to write.
    epochs : int, optional
        Passes over the data; by default 40 for a small data set, 6 for a large one.
    batch, optimizer, rate, precision, threads, seed
        See `sqhw.compress.TrainSettings`.
    resume : Path, optional
        Checkpoint that is written after every epoch and continued from.
    """

    data: str = DATA
    image_size: str | None = None
    network: str | None = None
    input_max: int | None = None
    mean: str | None = None
    std: str | None = None
    out: Path = FLOAT_FILE
    epochs: int | None = None
    batch: int | None = None
    optimizer: str = "adam"
    rate: float | None = None
    precision: str = "auto"
    threads: int = 1
    seed: int = 0
    resume: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `sqhw.steps.import_network.import_network`.

    Parameters
    ----------
    network : str
        Network of the zoo, or a model's file: ONNX or TensorFlow Lite.
    checkpoint : Path, optional
        Weights of a network of the zoo as safetensors; by default random ones.
    out : Path
        Float network to write, or quantized one of a quantized model, by default `NETWORK_FILE`.
    check : bool
        Whether the network is compared with another program that runs the file.
    check_only : bool
        Whether the file is read and nothing is written.
    data : str, optional
        Data set whose test images are compared too, see `sqhw.data.load_dataset`.
    image_size : str, optional
        See `TrainOptions`.
    input_max : int, 1 to 255, optional
        Largest pixel value of a file's images; by default 255.
    mean, std : str, optional
        Normalisation ``(pixel / input_max - mean) / std`` that a file's input expects: a number, or
        one a channel with commas; by default 0 and 1.
    input_shape : str, optional
        Sizes of a file's image as ``3x32x32``, if the file leaves them open.
    output : str, optional
        Name of the output, if the file has several.
    floats : bool
        Whether a quantized model becomes a float network, as a start for compression.
    device : str, optional
        Device whose engine a quantized model gets.
    seed : int, 0 to 2^64 - 1
        Seed of random weights.
    """

    network: str
    checkpoint: Path | None = None
    out: Path = FLOAT_FILE
    check: bool = False
    check_only: bool = False
    data: str | None = None
    image_size: str | None = None
    input_max: int | None = None
    mean: str | None = None
    std: str | None = None
    input_shape: str | None = None
    output: str | None = None
    floats: bool = False
    device: str | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CompressOptions:
    """Options of `sqhw.steps.compress.compress`.

    Parameters
    ----------
    source : Path
        Float network.
    data : str
        Data set that it is retrained on.
    image_size : str, optional
        See `TrainOptions`.
    device : str
        Device or board, or a device file.
    budget : str, optional
        Limits, see `sqhw.cost_models.budget.Budgets`; by default all block RAMs that the
        activation banks leave free.
    out : Path
        Quantized network to write.
    epochs, threads, precision, rate, batch, seed
        See `sqhw.compress.CompressSettings`.
    accelerator : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    resume : Path, optional
        Checkpoint to resume from if it exists; it is written anew after each epoch.
    max_batch : int, power of two
        Largest number of images of a run.
    acc_bits : int, 16 to 32, optional
        Width of the accumulators (unit: bit); by default the width that the weights need.
    bank_ram : {"block", "single-port"}, optional
        RAM of the activation banks; by default block RAM, unless that leaves none for weights.
    quotient_ones : int, 0 to 8
        Most ones of a quotient in Golomb-Rice streams; with 0 the engine does not decode them.
    """

    source: Path
    data: str = DATA
    image_size: str | None = None
    device: str = DEVICE
    budget: str | None = None
    out: Path = NETWORK_FILE
    epochs: int | None = None
    threads: int = 1
    precision: str = "auto"
    rate: float = 5e-3
    batch: int | None = None
    accelerator: str = "cpu"
    resume: Path | None = None
    max_batch: int = 1
    acc_bits: int | None = None
    bank_ram: str | None = None
    quotient_ones: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """Options of `sqhw.steps.quantize.quantize`.

    Parameters
    ----------
    source : Path
        Float network.
    data : str
        Data set for the calibration and for the validation accuracy.
    image_size : str, optional
        See `TrainOptions`.
    device : str
        Device or board, or a device file.
    density : float, above 0, at most 1
        Largest share of its weights that a layer keeps.
    ends_density : float, above 0, at most 1, optional
        The same for the first and the last layer.
    bits : int, 1 to 8
        Width of a weight's code.
    objective : {"rom", "cycles"}
        Objective of the choice of weight streams.
    max_batch, acc_bits, bank_ram, quotient_ones
        See `CompressOptions`.
    out : Path
        Quantized network to write.
    """

    source: Path
    data: str = DATA
    image_size: str | None = None
    device: str = DEVICE
    density: float = 1.0
    ends_density: float | None = None
    bits: int = 8
    objective: str = "rom"
    max_batch: int = 1
    acc_bits: int | None = None
    bank_ram: str | None = None
    quotient_ones: int = 0
    out: Path = NETWORK_FILE


@dataclass(frozen=True, kw_only=True)
class RetargetOptions:
    """Options of `sqhw.steps.retarget.retarget`.

    Parameters
    ----------
    network : Path
        Quantized network.
    device : str
        Device or board, or a device file.
    out : Path
        Quantized network to write.
    max_batch, bank_ram, quotient_ones
        See `CompressOptions`.
    """

    network: Path
    device: str = DEVICE
    out: Path = NETWORK_FILE
    max_batch: int = 1
    bank_ram: str | None = None
    quotient_ones: int = 0
