"""The network while a traced module is imported."""

from torch import Tensor, fx

from sqhw.errors import SqhwError
from sqhw.frontends.folding.builder import Builder as LayerBuilder
from sqhw.frontends.folding.view import Doubles
from sqhw.frontends.torch_module.supported import doubles, title, unreal, unsupported


class Builder(LayerBuilder[fx.Node]):
    """Layers that are made of the nodes of a traced module."""

    def title(self, node: fx.Node) -> str:
        """Return the module's path, else the node's name."""
        return title(node)

    def unsupported(self, node: fx.Node, what: str, instead: str = "") -> SqhwError:
        """Return the error for a node that cannot be taken."""
        return unsupported(node, what, instead)

    def is_output(self, node: fx.Node) -> bool:
        """Whether a node returns what ``forward`` returns."""
        return node.op == "output"


def trained(node: fx.Node, what: str, tensor: Tensor) -> Doubles:
    """Return weights or biases in double precision.

    Raises
    ------
    SqhwError
        If they are no real numbers; the layer of `node` is named.
    """
    if not tensor.is_floating_point() and not unreal(tensor):
        raise SqhwError(
            f"layer {title(node)!r}: its {what} is of type {tensor.dtype}, not floating point"
        )
    values: Doubles = doubles(node, what, tensor).numpy().copy()
    return values
