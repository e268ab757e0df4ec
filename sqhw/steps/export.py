"""`sqhw export`: a quantized network as files that other programs run."""

from sqhw.atomic import atomic_write_bytes, make_folder, writable
from sqhw.export.networks.registry import WRITERS, safe_stem
from sqhw.files.plain import located
from sqhw.network.quantized_file import load_network
from sqhw.report.results import ExportResult
from sqhw.steps.options import ExportOptions


def export(options: ExportOptions) -> ExportResult:
    """Write a network in one or several formats; all are made before the first is written.

    Raises
    ------
    SqhwError
        If the network's file is damaged, a format cannot hold the network, or a file cannot be
        written.
    """
    network = load_network(options.network)
    stem = safe_stem(options.network.stem)
    files: dict[str, bytes] = {}
    formats = tuple(dict.fromkeys(name.strip() for name in options.format.split(",")))
    with located(options.network):
        for name in formats:
            files |= WRITERS[name](network, stem)
    for file in files:
        writable(options.out / file, [options.network])
    make_folder(options.out)
    for file, content in files.items():
        atomic_write_bytes(options.out / file, content)
    return {
        "network": network.name,
        "formats": list(formats),
        "files": [str(options.out / file) for file in files],
    }
