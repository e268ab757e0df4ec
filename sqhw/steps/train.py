"""`sqhw train`: a data set to a float network."""

from sqhw.atomic import make_folder
from sqhw.data import load_dataset
from sqhw.network.float_file import save_float
from sqhw.report.results import TrainResult
from sqhw.steps.data_defaults import DEFAULT_NETWORKS, augmentation
from sqhw.steps.options import TrainOptions
from sqhw.steps.progress import Progress, silent


def train(options: TrainOptions, progress: Progress = silent) -> TrainResult:
    """Train a float network and write it to a file."""
    from sqhw.compress import TrainSettings, evaluate
    from sqhw.compress import train as train_network

    data = load_dataset(options.data)
    name = DEFAULT_NETWORKS[data.name] if options.network is None else options.network
    _, flip = augmentation(data.name)
    settings = TrainSettings(epochs=options.epochs, seed=options.seed, flip=flip)
    trained = train_network(name, data, settings=settings, progress=progress)
    make_folder(options.out.parent)
    save_float(trained, options.out)
    return {
        "network": name,
        "file": str(options.out),
        "weights": trained.weights,
        "validation_accuracy": evaluate(trained, data.validation.images, data.validation.labels),
        "test_accuracy": evaluate(trained, data.test.images, data.test.labels),
    }
