"""`sqhw simulate`: the test set through the bit-accurate simulator."""

from typing import Any

import numpy as np
import numpy.typing as npt

from sqhw.data.dataset import Split
from sqhw.environment.extras import need_torch
from sqhw.errors import SqhwError
from sqhw.names import PYTORCH
from sqhw.network.float_file import load_float
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.report.results import SimulateResult
from sqhw.steps.images import accuracy, check_classes, load_data
from sqhw.steps.options import SimulateOptions
from sqhw.steps.progress import Progress, silent
from sqhw.steps.simulate_rom import rom_network
from sqhw.steps.simulate_trace import trace_of


def simulate(options: SimulateOptions, progress: Progress = silent) -> SimulateResult:
    """Run the test set through the simulator and compare logits with a second computation.

    The second computation is that of PyTorch, on the first images. Without PyTorch it is that of
    the reference, on fewer.

    Raises
    ------
    SqhwError
        If the network takes images of another shape, the ROM images are not those of the network,
        or the two computations differ.
    """
    from sqhw.sim.simulator import Simulator

    if options.float_network:
        need_torch("the accuracy of a float network")
    network = _network(options)
    data = load_data(options.data, network, image_size=options.image_size, progress=progress)
    check_classes(network, data)
    test = data.test
    simulator = Simulator(network)
    logits = simulator.logits(
        test.images, progress=lambda done: progress("simulate", done, len(test), "")
    )
    result: SimulateResult = {
        "images": len(test),
        "simulator_accuracy": accuracy(logits, test.labels),
        "images_compared": 0,
    }
    if options.compare != 0:
        _compare(network, test, logits, options.compare, result)
    if options.float_network:
        from sqhw.compress import evaluate

        floats = load_float(options.float_network)
        result["float_accuracy"] = evaluate(floats, test.images, test.labels)
    if options.rom is not None:
        result["rom"] = str(options.rom)
    if options.trace:
        result["trace"] = trace_of(network, test.images, options.clock)
    if data.class_names:
        result["class_names"] = list(data.class_names)
    return result


def _network(options: SimulateOptions) -> QuantizedNetwork:
    """Return the network of the file, or of the ROM images, or of both."""
    network = None if options.network is None else load_network(options.network)
    if options.rom is not None:
        return rom_network(options.rom, network)
    if network is None:
        raise SqhwError(
            "no network to simulate; name a quantized network, or a folder of ROM images with --rom"
        )
    return network


def _compare(
    network: QuantizedNetwork,
    test: Split,
    logits: npt.NDArray[np.int32],
    most: int | None,
    result: SimulateResult,
) -> None:
    """Compare the logits of the first images with a second computation.

    Raises
    ------
    SqhwError
        If the two computations differ.
    """
    from sqhw.verify.cross_check import cross_check

    other = cross_check(network, test.images, most)
    compared = len(other.logits)
    differ = int((logits[:compared].astype(np.int64) != other.logits).any(axis=1).sum())
    if differ:
        place = _first_mismatch(network, test.images, logits[:compared], other.logits)
        raise SqhwError(
            f"simulator and {other.by} differ on {differ} of {compared} images; this is a bug "
            f"({place})"
        )
    result["compared_with"] = other.by
    result["images_compared"] = compared
    result["images_that_differ"] = differ
    result["logits_compared"] = int(other.logits.size)
    if other.by == PYTORCH and compared == len(test):
        result["torch_accuracy"] = accuracy(other.logits, test.labels)


def _first_mismatch(network: QuantizedNetwork, images: Any, logits: Any, others: Any) -> str:
    """Return where the first image whose logits differ is unlike the reference's."""
    from sqhw.sim.trace import first_mismatch

    index = int((logits != others).any(axis=1).argmax())
    mismatch = first_mismatch(network, images[index])
    if mismatch is None:
        return f"on image {index} the simulator equals the NumPy reference in all maps"
    return f"image {index}, {mismatch}"
