"""From a torch module to a float network: a graph of layers, traced with torch.fx."""

from sqhw.frontends.torch_module.convert import import_module

__all__ = ["import_module"]
