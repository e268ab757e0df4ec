"""The topologies of the zoo as data, so that sizes can be asked for without PyTorch."""

from sqhw.frontends.zoo.topologies import names, zoo_topology

__all__ = ["names", "zoo_topology"]
