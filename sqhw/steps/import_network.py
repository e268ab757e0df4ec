"""`sqhw import`: models from files, and published weights of known networks, to float networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sqhw.atomic import make_folder
from sqhw.data.form import parse_values
from sqhw.errors import SqhwError
from sqhw.files.plain import located
from sqhw.network.float_file import save_float
from sqhw.network.floats import FloatNetwork
from sqhw.report.results import ImportCheck, ImportResult
from sqhw.steps.import_python import import_python, is_python
from sqhw.steps.options import ImportOptions
from sqhw.steps.progress import Progress, silent

if TYPE_CHECKING:
    from sqhw.frontends.formats import Oracle
    from sqhw.frontends.neutral import Graph

#: Largest pixel value unless another is named.
LARGEST_PIXEL = 255
#: Random images, and most images of a data set, on which an import is compared.
RANDOM_IMAGES, MAX_IMAGES = 8, 256
#: Largest difference from another program, relative to the largest score.
TOLERANCE = 2.0**-7
#: Options of models' files, which a network of the zoo has no use for.
OF_FILES = (
    *("check", "check_only", "data", "image_size", "input_max", "mean", "std", "input_shape"),
    *("output", "floats", "device"),
)
#: Options among them that a module of Python has no use for either.
OF_FILES_ONLY = ("check", "check_only", "data", "image_size", "output", "floats", "device")


def import_network(options: ImportOptions, progress: Progress = silent) -> ImportResult:
    """Write the network of a model's file, or one of the zoo, to a file."""
    if is_python(options.network):
        reason = "is Python, and the option is for models' files"
        _refuse(options, ("checkpoint", *OF_FILES_ONLY), reason)
        return import_python(options, progress)
    if is_file(options.network):
        return _import_file(options, progress)
    _refuse(options, OF_FILES, "is a network of the zoo, and the option is for models' files")
    from sqhw.compress import float_network

    network = float_network(options.network, options.checkpoint, options.seed)
    make_folder(options.out.parent)
    save_float(network, options.out)
    return {"network": options.network, "file": str(options.out), "weights": network.weights}


def is_file(name: str) -> bool:
    """Whether a name is that of a file and not of a network of the zoo."""
    if "/" in name or "." in name:
        return True
    try:
        return bool(name) and Path(name).is_file()
    except (OSError, ValueError):  # a long name, a zero byte
        return False


def _refuse(options: ImportOptions, names: Sequence[str], reason: str) -> None:
    """Refuse options that were given and would have no effect.

    Raises
    ------
    SqhwError
        Naming the first of them.
    """
    plain = ImportOptions(network=options.network)
    for name in names:
        if getattr(options, name) != getattr(plain, name):
            option = f"--{name.replace('_', '-')}"
            raise SqhwError(f"{options.network}: it {reason}; leave {option} out")


def _import_file(options: ImportOptions, progress: Progress) -> ImportResult:
    from sqhw.frontends.folding.compare import require_equal
    from sqhw.frontends.folding.from_neutral import float_network
    from sqhw.frontends.formats import oracle_of, read_model
    from sqhw.frontends.neutral.dequantize import dequantized
    from sqhw.frontends.quantized.pixels import Pixels
    from sqhw.steps.import_quantized import import_quantized

    path = Path(options.network)
    if options.checkpoint is not None:
        raise SqhwError(f"{path}: a model's file has its own weights; leave --checkpoint out")
    if options.check_only:
        _refuse(
            options, ("check", "data"), "is not run with --check-only, so that nothing compares"
        )
    graph = read_model(path, input_shape=_shape(options.input_shape), output=options.output)
    if graph.quantized and options.floats:
        reason = "is compared as it is quantized, without --floats"
        _refuse(options, ("check", "data"), reason)
    if graph.quantized and graph.source == "tflite":
        _refuse(options, ("mean", "std"), "has the scale of its pixels in the file")
    unit = 1 / (options.input_max or LARGEST_PIXEL) if graph.pixels else 1.0
    mean, std = (
        default if text is None else parse_values(text)
        for text, default in ((options.mean, (0.0,)), (options.std, (unit,)))
    )
    with located(path):
        if graph.quantized and options.floats:
            mean, std = _of_integers(graph, options, mean, std)
            graph = dequantized(graph)
        elif graph.quantized:
            pixels = Pixels(options.input_max or LARGEST_PIXEL, mean, std)
            return import_quantized(graph, options, pixels, progress)
        network = float_network(
            graph, input_max=options.input_max or LARGEST_PIXEL, mean=mean, std=std
        )
        result: ImportResult = {
            "network": network.name,
            "file": "",
            "weights": network.weights,
            "format": graph.source,
            "operators": len(graph.operators),
            "layers": len(network.layers),
            "notes": network.facts.notes.splitlines(),
        }
        if options.check_only:
            return result
        require_equal(graph, network, mean, std)
    if options.check or options.data is not None:
        oracle = oracle_of(
            path, graph, input_shape=_shape(options.input_shape), output=options.output
        )
        result["check"] = _check(options, network, oracle, (mean, std), progress)
    make_folder(options.out.parent)
    save_float(network, options.out)
    return {**result, "file": str(options.out)}


def _of_integers(
    graph: "Graph", options: ImportOptions, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the normalisation of pixels that are integers of a graph's input, if they are."""
    from sqhw.frontends.neutral.dequantize import input_normalisation

    found = input_normalisation(graph, options.input_max or LARGEST_PIXEL)
    return (mean, std) if found is None else ((found[0],), (found[1],))


def _shape(text: str | None) -> tuple[int, ...] | None:
    """Return the sizes of a text such as ``3x32x32``."""
    return None if text is None else tuple(map(int, text.split("x")))


def _check(
    options: ImportOptions,
    network: FloatNetwork,
    oracle: "Oracle",
    normalisation: tuple[Sequence[float], Sequence[float]],
    progress: Progress,
) -> ImportCheck:
    """Return how an imported network compares with another program that runs the file."""
    from sqhw.frontends.folding.compare import random_pixels
    from sqhw.frontends.folding.float_walk import logits, normalised
    from sqhw.steps.images import accuracy, load_data

    parts: list[tuple[npt.NDArray[Any], npt.NDArray[Any] | None]] = [
        (random_pixels(network, RANDOM_IMAGES), None)
    ]
    if options.data is not None:
        data = load_data(options.data, network, image_size=options.image_size, progress=progress)
        chosen = data.test.images[:MAX_IMAGES]
        parts.append((chosen, data.test.labels[: len(chosen)]))
    found: ImportCheck = {
        "program": oracle.name, "images": 0, "difference": 0.0, "largest": 0.0
    }  # fmt: skip
    for images, labels in parts:
        own, other = [], []
        for at in range(len(images)):
            progress("compare", at, len(images), "")
            image = images[at : at + 1]
            own.append(logits(network, image, np.float32))
            other.append(oracle(normalised(image, network.input_max, *normalisation)))
        scores, right = np.concatenate(own), np.concatenate(other)
        if scores.shape != right.shape:
            raise SqhwError(
                f"{options.network}: the network has {scores.shape[1]} scores, {oracle.name} "
                f"gives {right.shape[1]}"
            )
        found["images"] += len(images)
        found["difference"] = max(found["difference"], float(np.abs(scores - right).max()))
        found["largest"] = max(found["largest"], float(np.abs(right).max()))
        if labels is not None:
            found["accuracy"] = accuracy(scores, labels)
            found["program_accuracy"] = accuracy(right, labels)
    if not found["difference"] <= TOLERANCE * max(1.0, found["largest"]):
        raise SqhwError(
            f"{options.network}: the imported network differs from {oracle.name} by "
            f"{found['difference']:.3g} where scores go up to {found['largest']:.3g}; nothing is "
            "written"
        )
    return found
