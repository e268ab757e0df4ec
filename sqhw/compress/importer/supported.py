"""What the importer takes, and the sentence for what it does not."""

from torch import fx

from sqhw.errors import SqhwError

SUPPORTED = (
    "Conv2d (dilation 1, stride 1 or 2, zero padding) with a ZeroPad2d before and a BatchNorm2d "
    "after it, ReLU, ReLU6, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, Linear, Dropout, "
    "Identity, their functional forms, and additions to the output of a Conv2d"
)


def title(node: fx.Node) -> str:
    """Return what the user knows a traced node by: the module's path, else the node's name."""
    return str(node.target) if node.op == "call_module" else node.name


def unsupported(node: fx.Node, what: str) -> SqhwError:
    """Return the error for a node that the importer does not take."""
    return SqhwError(f"layer {title(node)!r}: {what} is not supported; supported: {SUPPORTED}")
