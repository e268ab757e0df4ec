"""What is run: each method's configurations for a network and a number of epochs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sqhw.compress import CompressSettings, FloatNetwork, float_network, load_float
from sqhw.compress.methods import MethodConfig, Recipe, configure
from sqhw.compress.methods.base import NormalisableConfig
from sqhw.compress.methods.job import Job
from sqhw.compress.quantizers import (
    EntropyConstrainedQuantizer,
    HessianKMeansQuantizer,
    UniformMeansQuantizer,
)
from sqhw.compress.training.options import TrainingOptions
from sqhw.errors import SqhwError, unknown_name

#: Networks by name: name in the zoo, file of the checkpoint.
CHECKPOINTS = {
    "lenet5": ("lenet5-caffe", "lenet5_caffe.safetensors"),
    "resnet20": ("resnet20", "resnet20.safetensors"),
}
#: All methods but SQL on LeNet-5 learn from the network before compression too.
RECIPES = {
    "lenet5": Recipe(batch=128, rate=1e-3, precision="bf16", distill=0.7, temperature=2.0),
    "resnet20": Recipe(
        batch=128, rate=1e-3, shift=4, flip=True, precision="bf16", distill=0.7, temperature=4.0
    ),
}
#: Share of ResNet-20's weights that methods with a density keep: near rom 25x with 3 bits.
DENSITY = 0.18


#: Non-zero shares of LeNet-5's layers in the paper on Deep Compression, 8 % in all.
DC_LENET5 = (0.66, 0.12, 0.08, 0.19)


LONGER = 4  # factor on the epochs of the other rows
#: Most ones of a quotient in the engines of rows with Golomb-Rice streams.
ONES = 8


@dataclass(frozen=True)
class Case:
    """A row of the table to come.

    Parameters
    ----------
    label : str
        Unique for the network; also the name of its files.
    config : MethodConfig
    quotient_ones : int, 0 to 8
        Most ones of a quotient of Golomb-Rice streams; 0 is the engine without them.
    """

    label: str
    config: MethodConfig
    quotient_ones: int = 0

    def job(self, job: Job) -> Job:
        """Return a job on the engine of the case."""
        return replace(job, engine=replace(job.engine, quotient_ones=self.quotient_ones))


@dataclass(frozen=True)
class Table:
    """What the cases of a table share.

    Parameters
    ----------
    network : str
        Short name.
    float_bits : int
        Size of the network before compression (unit: bit).
    recipe : Recipe
    epochs : int
    """

    network: str
    float_bits: int
    recipe: Recipe
    epochs: int

    @property
    def small(self) -> bool:
        """Whether the settings are those of LeNet-5."""
        return self.network == "lenet5"


def load_network(name: str, models: Path | None) -> tuple[str, FloatNetwork]:
    """Return a network's short name and the network.

    Parameters
    ----------
    name : str
        A key of `CHECKPOINTS`, or the file of a float network.
    models : Path, optional
        Folder of the checkpoints.

    Raises
    ------
    SqhwError
        If there is no such network, or no folder is given for a checkpoint.
    """
    if name.endswith(".safetensors"):
        return Path(name).stem, load_float(name)
    if name not in CHECKPOINTS:
        raise unknown_name("network of the benchmark", name, CHECKPOINTS)
    if models is None:
        raise SqhwError(f"network {name!r} needs its checkpoint; name its folder with --models")
    zoo, file = CHECKPOINTS[name]
    return name, float_network(zoo, models / file)


def cases(
    network: str, float_bits: int, methods: list[str], epochs: int, threads: int, seed: int
) -> list[Case]:
    """Return the rows of a table.

    Every trained method has `epochs` passes over the training split in all, ``joint-long`` and
    ``joint-coded-long`` have four times as many.

    Parameters
    ----------
    network : str
        Short name.
    float_bits : int
        Size of the network before compression (unit: bit).
    methods : list of str
    epochs, threads, seed : int

    Raises
    ------
    SqhwError
        If a method is unknown or has no case here.
    """
    plain = Recipe(batch=64, distill=0.7, temperature=4.0)
    recipe = replace(RECIPES.get(network, plain), threads=threads, seed=seed)
    table = Table(network, float_bits, recipe, epochs)
    found = []
    for method in methods:
        name = method.replace("hardware", "joint")  # its older name
        if name not in CASES:
            raise unknown_name("method of the benchmark", method, CASES)
        found += CASES[name](table)
    return found


def labelled(plan: list[Case], label: str) -> Case:
    """Return the case of a label.

    Raises
    ------
    SqhwError
        If there is none.
    """
    by_label = {case.label: case for case in plan}
    if label not in by_label:
        raise unknown_name("row of the benchmark", label, by_label)
    return by_label[label]


def _halves(recipe: Recipe, epochs: int) -> tuple[Recipe, Recipe]:
    """Return the recipes of pruning and of sharing."""
    share = epochs // 3
    return replace(recipe, epochs=epochs - share), replace(recipe, epochs=share, rate=1e-4)


def _normalised_too(plan: Iterable[Case]) -> list[Case]:
    """Return each case as it is, on folded weights, and with normalisation in training.

    The second has the number format that suits the machine in all of its stages.
    """
    found = []
    for case in plan:
        config = case.config
        assert isinstance(config, NormalisableConfig)
        stages = {f.name: getattr(config, f.name) for f in fields(config)}
        recipes = {
            name: replace(recipe, precision="auto")
            for name, recipe in stages.items()
            if isinstance(recipe, Recipe)
        }
        found += [case, Case(f"{case.label}-norm", replace(config, normalise=True, **recipes))]
    return found


def _sql(table: Table) -> list[Case]:
    # The authors' command for LeNet-5, with their batches (its rate diverges at half of them) and
    # no teacher. For CIFAR-10 they publish none, and
    # their trainer's SGD at rates from 0.025 down to 0.0003 gets nowhere on a network with folded
    # normalisation: Adam, the pull `rate * rho` as theirs, and in the last third fine-tuning as
    # their second script has it.
    tuned = replace(table.recipe, epochs=0)
    if not table.small:
        trained, tuned = _halves(table.recipe, table.epochs)
        trained = replace(trained, rate=1e-3, decay=1e-4)
        points = [(0.5, 2.0, 1.25), (0.2, 3.0, 1.25)]
    else:
        trained = replace(
            table.recipe,
            epochs=table.epochs,
            rate=0.1,
            batch=256,
            optimizer="sgd",
            momentum=0.93,
            distill=0.0,
        )
        trained = replace(trained, decay=5e-4, warmup=min(10, table.epochs // 4))
        points = [(0.0054, 3.0, 0.05)]
    return _normalised_too(
        Case(
            f"sql-{100 * share:g}-{bits:g}b",
            configure("sql", recipe=trained, finetune=tuned, nonzeros=share, bits=bits, rho=rho),
        )
        for share, bits, rho in points
    )


def _deep_compression(table: Table) -> list[Case]:
    prune, share = _halves(table.recipe, table.epochs)
    # LeNet-5's shares are those of the paper's table, 8 % in all.
    density = DENSITY if not table.small else DC_LENET5
    bits = {"conv_bits": 3 if not table.small else 8, "fc_bits": 5}
    config = configure(
        "deep-compression", recipe=prune, share=share, density=density, index_bits=5, **bits
    )
    return _normalised_too([Case("deep-compression", config)])


def _ecsq(table: Table) -> list[Case]:
    prune, share = _halves(table.recipe, table.epochs)
    # All three at about one entropy, as the paper compares them: that of the k-means of 16 values.
    density, rate = (DC_LENET5, 2.5) if table.small else (DENSITY, 2.5)
    quantizers = {
        "k-means": HessianKMeansQuantizer(4),
        "uniform": UniformMeansQuantizer(rate=rate),
        "ecsq": EntropyConstrainedQuantizer(5, rate=rate),
    }
    return _normalised_too(
        Case(
            f"choi-{name}",
            configure("ecsq", recipe=prune, share=share, density=density, quantizer=quantizer),
        )
        for name, quantizer in quantizers.items()
    )


def _sqs(table: Table) -> list[Case]:
    trained = replace(table.recipe, epochs=table.epochs)
    budgets = (0.9, 0.44) if not table.small else (0.05, 0.0151)
    return _normalised_too(
        Case(f"sqs-{budget:g}", configure("sqs", recipe=trained, budget=budget))
        for budget in budgets
    )


def _joint(table: Table) -> list[Case]:
    # The rows bear the name that the method had when the first of them were recorded.
    # LeNet-5: 700x of everything, 3,000x of the codes alone; ResNet-20: 25x and 45x of everything,
    # 60x and 110x of the codes.
    bits = table.float_bits
    budgets = {
        "lenet5": ("rom=19700", "payload=4590", "rom=60000"),
        "resnet20": ("rom=344000", "payload=143000", "rom=191000", "payload=78000"),
    }.get(table.network, (f"rom={bits // 25}", f"payload={bits // 60}"))
    return _under(table, "hardware", budgets)


def _joint_coded(table: Table) -> list[Case]:
    # The same budgets of everything with Golomb-Rice streams among the formats, all else equal, and
    # smaller ones: LeNet-5 800x, ResNet-20 30x.
    bits = table.float_bits
    budgets = {
        "lenet5": ("rom=19700", "rom=17200", "rom=60000"),
        "resnet20": ("rom=344000", "rom=286000", "rom=191000"),
    }.get(table.network, (f"rom={bits // 25}", f"rom={bits // 30}"))
    return [replace(case, quotient_ones=ONES) for case in _under(table, "coded", budgets)]


def _under(table: Table, label: str, budgets: tuple[str, ...]) -> list[Case]:
    """Return cases of the joint compressor, which differ in their budgets."""
    options = {f.name: getattr(table.recipe, f.name) for f in fields(TrainingOptions)}
    options |= {
        "epochs": table.epochs,
        "batch": 128,
        "rate": CompressSettings.rate,
        "precision": "float32",  # that of the rows before, whatever the processor has
    }
    return [
        Case(
            f"{label}-{budget.replace('=', '').replace(',', '-')}",
            configure("joint", budget=budget, **options),
        )
        for budget in budgets
    ]


def _joint_long(table: Table) -> list[Case]:
    # What longer training brings, all else equal. The rows are not comparable with the others,
    # which share one training budget.
    return _longer(table, _joint)


def _joint_coded_long(table: Table) -> list[Case]:
    return _longer(table, _joint_coded)


def _longer(table: Table, rows: Callable[[Table], list[Case]]) -> list[Case]:
    plan = rows(replace(table, epochs=LONGER * table.epochs))
    return [replace(case, label=f"{case.label}-long") for case in plan]


def _oneshot(table: Table) -> list[Case]:
    # The curve of accuracy against size; no epochs, some images.
    bits = table.float_bits
    limits = {
        "lenet5": (140_000, 80_000, 50_000),
        "resnet20": (1_000_000, 700_000, 500_000),
    }.get(table.network, (bits // 8, bits // 12, bits // 18))
    plain = Recipe(epochs=0, seed=table.recipe.seed, threads=table.recipe.threads)
    return [
        Case(f"oneshot-rom{limit}", configure("oneshot", recipe=plain, budget=f"rom={limit}"))
        for limit in limits
    ]


def _structured(table: Table) -> list[Case]:
    prune, share = _halves(table.recipe, table.epochs)
    return [
        Case(
            f"{'soft-filter' if unit == 'filter' else unit}-{density:g}",
            configure("structured", recipe=prune, share=share, unit=unit, density=density),
        )
        for unit, density in (("filter", 0.7), ("kernel", 0.3))
    ]


def _low_rank(table: Table) -> list[Case]:
    train, share = _halves(table.recipe, table.epochs)
    return [Case("low-rank", configure("low-rank", recipe=train, share=share, rank=0.3))]


CASES: dict[str, Callable[[Table], list[Case]]] = {
    "sql": _sql,
    "sqs": _sqs,
    "deep-compression": _deep_compression,
    "ecsq": _ecsq,
    "low-rank": _low_rank,
    "structured": _structured,
    "oneshot": _oneshot,
    "joint": _joint,
    "joint-long": _joint_long,
    "joint-coded": _joint_coded,
    "joint-coded-long": _joint_coded_long,
}
