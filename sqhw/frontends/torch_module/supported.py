"""What a refusal says: the layer, the reason, and what to write instead."""

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from sqhw.errors import SqhwError

#: Attribute of the traced root under which the user's module lies.
ROOT = "module"
DOCS = "docs/import.md lists what is"

_RELU = "train it with ReLU or ReLU6"
_NORM = "train it with BatchNorm2d"
_FLAT = "write it with the 2d layers, kernels (1, k), on maps of height 1"
_ANSWERS = {
    **dict.fromkeys(
        (*("SELU", "CELU", "Softsign", "Tanhshrink", "LogSigmoid", "selu", "celu"),),
        _RELU,
    ),
    **dict.fromkeys(
        ("GroupNorm", "LayerNorm", "InstanceNorm2d", "group_norm", "layer_norm", "instance_norm"),
        _NORM,
    ),
    **dict.fromkeys(("Conv1d", "MaxPool1d", "AvgPool1d", "conv1d", "max_pool1d"), _FLAT),
    **dict.fromkeys(
        ("AlphaDropout", "FeatureAlphaDropout", "Dropout1d", "Dropout3d"), "use nn.Dropout"
    ),
}


def title(node: fx.Node) -> str:
    """Return what the user knows a traced node by: the module's path, else the node's name."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target).removeprefix(f"{ROOT}.")
    return node.name


def layer_type(module: nn.Module) -> type[nn.Module]:
    """Return the class that computes the module's output, parametrizations of its weights aside."""
    if parametrize.is_parametrized(module):
        kind: type[nn.Module] = parametrize.type_before_parametrizations(module)
        return kind
    return type(module)


def described(node: fx.Node, layer: nn.Module | None) -> str:
    """Return what a node calls, as the user wrote it."""
    if layer is not None:
        return layer_type(layer).__name__
    if node.target is getattr and len(node.args) > 1:
        return f"attribute .{node.args[1]} of a tensor"
    return str(getattr(node.target, "__name__", node.target))


def unsupported(node: fx.Node, what: str, instead: str = "") -> SqhwError:
    """Return the error for a node that the importer does not take.

    Parameters
    ----------
    node : fx.Node
    what : str
        What it does, as the subject of a sentence.
    instead : str, optional
        What to write instead.
    """
    hint = instead or _ANSWERS.get(what.split(" ")[0], "")
    hint = f"{hint} ({DOCS})" if hint else DOCS
    return SqhwError(f"layer {title(node)!r}: {what} is not supported; {hint}")


def doubles(node: fx.Node, what: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return trained or constant values in double precision.

    Raises
    ------
    SqhwError
        If that would drop a part of them, as of complex ones.
    """
    if reason := unreal(tensor):
        raise SqhwError(f"layer {title(node)!r}: its {what} is {reason}")
    return tensor.detach().double()


def unreal(tensor: torch.Tensor) -> str:
    """Return why the values of a tensor are no plain real numbers; nothing if they are."""
    if tensor.is_complex() or tensor.is_quantized:
        return f"of type {tensor.dtype}, not floating point; convert it before the import"
    if tensor.layout is not torch.strided:
        return f"of layout {tensor.layout}; convert it by to_dense() before the import"
    return ""


def leaves(value: object) -> list[torch.Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in leaves(part)]
    return []
