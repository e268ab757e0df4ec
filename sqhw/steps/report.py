"""`sqhw report`: the accounts of networks, and plots of them."""

from pathlib import Path
from typing import cast

from sqhw.atomic import make_folder
from sqhw.errors import SqhwError
from sqhw.network.quantized_file import load_network
from sqhw.report.results import AccountResult, ReportResult
from sqhw.size.account import account_network
from sqhw.size.account_file import read_account
from sqhw.size.codings import stream_codings
from sqhw.steps.options import ReportOptions
from sqhw.steps.program import device_of
from sqhw.steps.progress import Progress, silent


def report(options: ReportOptions, progress: Progress = silent) -> ReportResult:
    """Return the accounts of quantized networks and of account files, and plot them to a file.

    Raises
    ------
    SqhwError
        If a file is missing, damaged or of no such kind.
    """
    files, out = options.files, options.out
    if out is not None:
        from sqhw.report.plots import check_report

        check_report(out)
    accounts = []
    for done, source in enumerate(files):
        accounts.append(_account(source, options.device))
        progress("report", done + 1, len(files), source.name)
    result: ReportResult = {"accounts": accounts}
    if out is not None:
        from sqhw.report.plots import write_report

        make_folder(out.parent)
        write_report(accounts, out)
        result["file"] = str(out)
    return result


def _account(source: Path, device: str | None) -> AccountResult:
    if source.suffix == ".json":
        return cast(AccountResult, read_account(source))
    network = load_network(source)
    found_device = device_of(source, network, device)
    if found_device is None:
        raise SqhwError(f"{source} names no device; say which with --device")
    found = account_network(network, network.facts.engine, found_device, source.stem)
    codings = stream_codings(network, network.facts.engine)
    return cast(AccountResult, found.to_dict() | {"codings": codings})
