"""The result of the joint compressor: a quantized network within its budget, and its metadata."""

from collections.abc import Sequence

from torch import Tensor

from sqhw.compress.choice.target import Target
from sqhw.compress.methods.job import Job
from sqhw.compress.methods.joint_settings import CompressSettings
from sqhw.compress.qat.assemble import export
from sqhw.compress.qat.invariants import Frozen, check_invariants
from sqhw.compress.qat.network import QatNetwork
from sqhw.compress.training.samples import tensors
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.network.quantized import QuantizedNetwork


def within_budget(
    model: QatNetwork, fixed: list[Frozen], target: Target, metadata: dict[str, str]
) -> QuantizedNetwork:
    """Return the network of a model; assert that it meets the budget, and the invariants.

    Parameters
    ----------
    model : QatNetwork
        Model on integers.
    fixed : list of Frozen
        Masks and codebooks that must not have changed.
    target : Target
    metadata : dict of str to str
        Metadata of the network.
    """
    check_invariants(model, fixed)
    for objective in ("rom", "cycles"):  # fewer values than allowed may suit other streams
        network = export(model, target.engine, metadata, objective=objective)
        costs = target.costs(network)
        if target.admits(costs):
            return network
    raise AssertionError(f"budget {target.budget} missed after all: {costs}")


def result_metadata(
    job: Job,
    target: Target,
    settings: CompressSettings,
    notes: Sequence[str],
    validation_accuracy: float,
) -> dict[str, str]:
    """Return the metadata of the quantized network on its making.

    Parameters
    ----------
    job : Job
        Job with the network before compression and the data.
    target : Target
    settings : CompressSettings
    notes : sequence of str
        Notes of the run; those of the import come before them.
    validation_accuracy : float, 0 to 1
        Share of the validation images that the quantized network classifies right.
    """
    network = job.network
    images, labels = tensors(job.data.validation)
    before = accuracy(predict(FloatModule(network).eval(), images), labels)
    lines = [*network.metadata.get("notes", "").splitlines(), *notes]
    return {
        **network.metadata,
        "data": job.data.name,
        "method": "joint",
        "budget": str(target.budget),
        "device": target.device.name,
        "compress_seed": str(settings.seed),
        **network.size_labels,
        "float_validation_accuracy": f"{before:.6f}",
        "validation_accuracy": f"{validation_accuracy:.6f}",
        **({"notes": "\n".join(lines)} if lines else {}),
    }


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right classes."""
    return float((logits.argmax(1) == labels).double().mean())
