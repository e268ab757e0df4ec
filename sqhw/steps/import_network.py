"""`sqhw import`: published weights of a known network to a float network."""

from sqhw.atomic import make_folder
from sqhw.network.float_file import save_float
from sqhw.report.results import ImportResult
from sqhw.steps.options import ImportOptions


def import_network(options: ImportOptions) -> ImportResult:
    """Write a network of the zoo with the weights of a checkpoint, or random ones, to a file."""
    from sqhw.compress import float_network

    network = float_network(options.network, options.checkpoint, options.seed)
    make_folder(options.out.parent)
    save_float(network, options.out)
    return {"network": options.network, "file": str(options.out), "weights": network.weights}
