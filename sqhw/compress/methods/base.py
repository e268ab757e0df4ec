"""Interface of all compression methods: a configuration class for each, and `compress_with`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np

from sqhw.compress.calibration.calibrate import CALIBRATION_IMAGES
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.result import (
    CompressionResult,
    channel_factors,
    layer_results,
    with_integers,
)
from sqhw.compress.methods.run import Method, Run
from sqhw.compress.methods.snapshot import Snapshot
from sqhw.compress.training.accelerator import find_accelerator
from sqhw.compress.training.checkpoint import fingerprint
from sqhw.compress.training.loop import run_stages
from sqhw.compress.training.options import Recipe, TrainingOptions
from sqhw.data.suits import check_classes, check_shape
from sqhw.errors import unknown_name
from sqhw.frontends.torch_module.threads import torch_threads
from sqhw.network.floats import FloatNetwork


@dataclass(frozen=True)
class MethodConfig(ABC):
    """Configuration of a method. Each method has a class of its own.

    Parameters
    ----------
    recipe : TrainingOptions
        Options of the training.
    """

    recipe: TrainingOptions = field(default_factory=Recipe)
    name: ClassVar[str]
    #: Version of the method, which rises whenever it computes something else. Results and
    #: checkpoints belong to a version.
    version: ClassVar[int] = 3

    @abstractmethod
    def compress(self, job: Job) -> CompressionResult:
        """Run the method; see `compress_with`."""

    def finish(self, network: FloatNetwork) -> FloatNetwork:
        """Return the compressed network without its removable parts; by default as it is."""
        return network

    def encode(self, result: CompressionResult) -> CompressionResult:
        """Return the result with the sizes of the method's own coding; by default as it is."""
        return result

    def result(self, run: Run, snapshot: Snapshot, accuracy: float) -> CompressionResult:
        """Return the result of a snapshot, with its integers if the engine can run it."""
        start = run.model.network
        small = self.finish(snapshot.applied(start))
        codes = self.finish(Snapshot.plain(snapshot.weights, snapshot.biases).applied(start))
        found = CompressionResult(
            self.name,
            plain_options(self),
            run.network,
            small,
            layer_results(run.network, codes),
            accuracy,
            run.history,
            notes=tuple(run.notes),
            factors=channel_factors(start, snapshot.factors) if run.normalised else {},
        )
        order = np.random.default_rng(self.recipe.seed).permutation(len(run.data.train))
        metadata = {
            "method": self.name,
            "data": run.data.name,
            "compress_seed": str(self.recipe.seed),
            "validation_accuracy": f"{accuracy:.6f}",
        }
        images = run.data.train.images[np.sort(order[:CALIBRATION_IMAGES])]
        found = with_integers(found, images, run.engine, metadata, threads=self.recipe.threads)
        return self.encode(found)


@dataclass(frozen=True)
class TrainedConfig(MethodConfig):
    """Configuration of a method that trains, with the stages of its training in a `Method`.

    Parameters
    ----------
    recipe : Recipe
        Options of the training.
    """

    recipe: Recipe = field(default_factory=Recipe)

    @abstractmethod
    def method(self, run: Run) -> Method:
        """Return the method's stages for one compression."""

    def prepare(self, network: FloatNetwork) -> FloatNetwork:
        """Return the network to train. Methods that factorise layers return another topology."""
        return network

    def start(self, job: Job) -> Run:
        """Return network, data and losses of a compression."""
        return Run(job, self.prepare(job.network), self.recipe.seed)

    def compress(self, job: Job) -> CompressionResult:
        """Run the method; see `compress_with`."""
        run = self.start(job)
        done = run_stages(self.method(run), key=run_key(job, self), checkpoint=job.resume)
        return self.result(run, Snapshot.of(done.result), done.score.accuracy)


@dataclass(frozen=True)
class NormalisableConfig(TrainedConfig):
    """Configuration of a method that may keep a normalisation while it trains.

    Parameters
    ----------
    normalise : bool
        Whether the sums of hidden layers are normalised by their batches in all stages. The
        normalisations fold into multipliers and biases of the engine. Otherwise, those that the
        network had are folded into its weights before.
    """

    normalise: bool = field(default=False, kw_only=True)

    def start(self, job: Job) -> Run:
        """Return network, data and losses of a compression."""
        run = super().start(job)
        if self.normalise:
            run.normalise(self.recipe)
        return run


def compress_with(job: Job, config: MethodConfig) -> CompressionResult:
    """Compress a trained network by the method of a configuration.

    Parameters
    ----------
    job : Job
    config : MethodConfig
        Configuration, whose class is the method's.

    Returns
    -------
    CompressionResult

    Raises
    ------
    SqhwError
        If the data does not suit the network, the accelerator does not exist, the loss becomes
        infinite or not a number, the budget is infeasible, or the checkpoint is of another run.
    """
    outputs = int(np.prod(job.network.shapes()[job.network.layers[-1].name]))
    check_shape(job.network.name, job.network.input_shape, job.data)
    check_classes(job.network.name, outputs, job.data)
    find_accelerator(job.accelerator)
    with torch_threads(config.recipe.threads):
        return config.compress(job)


#: Every method by name; `register` adds to it.
METHODS: dict[str, type[MethodConfig]] = {}
#: Older names that methods still answer to.
ALIASES = {"hardware": "joint"}


def register(kind: type[MethodConfig]) -> type[MethodConfig]:
    """Add a configuration class to `METHODS` under its name; a decorator."""
    METHODS[kind.name] = kind
    return kind


def find_method(name: str) -> type[MethodConfig]:
    """Return the configuration class of a method.

    Raises
    ------
    SqhwError
        If there is no method of that name.
    """
    name = ALIASES.get(name, name)
    if name not in METHODS:
        raise unknown_name("compression method", name, [*METHODS, *ALIASES])
    return METHODS[name]


def configure(name: str, **options: Any) -> MethodConfig:
    """Return the configuration of a method with these options of its own or of its recipe.

    Raises
    ------
    SqhwError
        If the method or an option is unknown, or a value is out of range.
    """
    kind = find_method(name)
    own = {f.name for f in fields(kind)}
    config = kind(**{key: value for key, value in options.items() if key in own})
    training = {f.name for f in fields(config.recipe)}
    for option in options:
        if option not in own | training:
            raise unknown_name(f"option of method {kind.name!r}", option, own | training)
    changes = {key: value for key, value in options.items() if key in training - own}
    return replace(config, recipe=replace(config.recipe, **changes))


def plain_options(value: Any) -> Any:
    """Return a configuration as plain data; quantizers get their names as an entry."""
    if is_dataclass(value) and not isinstance(value, type):
        name = getattr(value, "name", None)
        own = {"name": name} if isinstance(name, str) else {}
        return own | {f.name: plain_options(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain_options(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_options(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def run_key(job: Job, config: MethodConfig) -> str:
    """Return the key of a run; see `sqhw.compress.training.checkpoint.fingerprint`."""
    own = plain_options(config)
    if isinstance(config, NormalisableConfig) and not config.normalise:
        del own["normalise"]  # runs of before there was such an option stay the same runs
    options = [
        own,
        config.version,
        job.engine.to_dict(),
        job.device.name,
        job.accelerator,
    ]
    return fingerprint(job.network, job.data, options)
