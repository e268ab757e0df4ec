"""`sqhw train`: a data set to a float network."""

import json
from dataclasses import replace

from sqhw.atomic import make_folder
from sqhw.data.form import LARGEST_BYTE, parse_values
from sqhw.data.load import OWN, kind_of
from sqhw.errors import SqhwError
from sqhw.frontends.zoo import zoo_topology
from sqhw.network.float_file import save_float
from sqhw.network.floats import FloatNetwork, check_input
from sqhw.report.results import TrainResult
from sqhw.steps.data_defaults import augmentation, network_for
from sqhw.steps.images import load_data
from sqhw.steps.options import TrainOptions
from sqhw.steps.progress import Progress, silent


def train(options: TrainOptions, progress: Progress = silent) -> TrainResult:
    """Train a float network and write it to a file.

    Raises
    ------
    SqhwError
        If the data do not suit the network, or an option does not suit the data.
    """
    from sqhw.compress import TrainSettings, evaluate
    from sqhw.compress import train as train_network

    name = network_for(options.data, options.network)
    topology = zoo_topology(name)
    input_max, mean, std = _normalisation(options, topology)
    data = load_data(
        options.data,
        topology,
        image_size=options.image_size,
        input_max=input_max,
        progress=progress,
    )
    _, flip = augmentation(data.name)
    settings = TrainSettings(
        epochs=options.epochs,
        batch=options.batch,
        optimizer=options.optimizer,
        rate=options.rate,
        flip=flip,
        mean=mean,
        std=std,
        precision=options.precision,
        seed=options.seed,
        threads=options.threads,
    )
    if options.resume is not None:
        make_folder(options.resume.parent)
    trained = train_network(name, data, settings=settings, progress=progress, resume=options.resume)
    if data.class_names:
        names = {"class_names": json.dumps(data.class_names)}
        trained = replace(trained, metadata=trained.metadata | names)
    make_folder(options.out.parent)
    save_float(trained, options.out)
    result: TrainResult = {
        "network": name,
        "file": str(options.out),
        "weights": trained.weights,
        "validation_accuracy": evaluate(trained, data.validation.images, data.validation.labels),
        "test_accuracy": evaluate(trained, data.test.images, data.test.labels),
    }
    if data.class_names:
        result["class_names"] = list(data.class_names)
    return result


def _normalisation(
    options: TrainOptions, topology: FloatNetwork
) -> tuple[int | None, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return the largest pixel, mean and standard deviation that options name.

    Raises
    ------
    SqhwError
        If they are for other data, or cannot be those of the network's channels.
    """
    kind = kind_of(options.data)
    if options.input_max is not None and kind != "npz":
        raise SqhwError(
            f"--input-max is for arrays (npz:FILE); data of kind {kind} have a largest pixel of "
            "their own"
        )
    mean, std = (
        None if text is None else parse_values(text) for text in (options.mean, options.std)
    )
    input_max = (options.input_max or LARGEST_BYTE) if kind in OWN else None
    check_input(
        topology.name,
        topology.input_shape,
        input_max or topology.input_max,
        mean or topology.mean,
        std or topology.std,
    )
    return input_max, mean, std
