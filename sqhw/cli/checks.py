"""Checks of single options: they run before a command imports or computes anything.

A value out of an option's range raises `typer.BadParameter`, exit code 2, as Typer's own checks do.
A name or file that cannot be found raises `SqhwError`, exit code 1.
"""

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from sqhw.atomic import is_folder, same_file
from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.machine import naming
from sqhw.names import EXPORT_FORMATS, NATIVE_FORMAT, ROM_FORMATS

#: Largest number of threads or processes of an option on a machine with fewer cores.
MOST_THREADS = 256
#: Images of a run of the largest engine.
MOST_BATCH = 32
#: Longest name of a file that is cited whole.
MAX_PATH_CHARS = 4096
#: Suffixes of the files in a folder of ROM images and Verilog.
GENERATED = (
    ".hex", ".v", ".vlt", ".json", ".bmem", ".coe", ".mem", ".mif", ".ihex", ".srec", ".mi", ".bin",
    ".h", ".npy",
)  # fmt: skip


def check_share(value: float | None) -> float | None:
    """Check that a share, or a learning rate, is above 0 and at most 1."""
    if value is not None and not 0 < value <= 1:  # every comparison with not-a-number is false
        raise typer.BadParameter(f"{value:g} is not above 0 and at most 1.")
    return value


def check_power_of_two(value: int) -> int:
    """Check that some engine could have a run of `value` images."""
    if not 1 <= value <= MOST_BATCH or value & (value - 1):
        raise typer.BadParameter(f"{value} is not a power of two from 1 to {MOST_BATCH}.")
    return value


def check_threads(value: int) -> int:
    """Check that a machine could run `value` threads or processes."""
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if not 1 <= value <= most:
        raise typer.BadParameter(f"{value} is not in the range 1<=x<={most}.")
    return value


def check_jobs(value: int | None) -> int | None:
    """Check a number of processes or jobs as `check_threads` does, if there is one."""
    return None if value is None else check_threads(value)


def check_address(text: str | None) -> str | None:
    """Check that a text reads as an address of a scheduler, ``host:port`` or ``tcp://host:port``."""
    if text is not None and not re.fullmatch(r"([a-z]+://)?[\w.\[\]:-]{1,255}:\d{1,5}", text, re.A):
        raise typer.BadParameter(
            f"{shown(text)} must read as an address, for example tcp://10.0.0.1:8786."
        )
    return text


def check_name(kind: str, known: Sequence[str], *, counted: bool = False) -> Callable[[str], str]:
    """Return a check that a name is one of a closed list, if `counted` also as ``name:1``."""

    def check(value: str) -> str:
        name = value.partition(":")[0] if counted else value
        if name not in known:
            raise unknown_name(kind, value, known)
        return value

    return check


def check_optional_name(kind: str, known: Sequence[str]) -> Callable[[str | None], str | None]:
    """Return a check that a name, if there is one, is one of a closed list."""
    check = check_name(kind, known)
    return lambda value: None if value is None else check(value)


def check_source(path: Path | None) -> Path | None:
    """Check that a file is there, is a regular one, and may be read."""
    if path is None:
        return None
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        raise SqhwError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SqhwError(f"{path}: cannot be read ({reason})") from None
    if kind == stat.S_IFDIR:
        raise SqhwError(f"{path}: this is a directory")
    if kind != stat.S_IFREG:
        raise SqhwError(f"{path}: not a regular file")
    if not os.access(path, os.R_OK):
        raise SqhwError(f"{path}: cannot be read (no permission)")
    return path


def check_sources(paths: list[Path]) -> list[Path]:
    """Check several files as `check_source` does."""
    for path in paths:
        check_source(path)
    return paths


def check_reported(paths: list[Path]) -> list[Path]:
    """Check several files as `check_source` does, or the folder of one sweep."""
    from sqhw.sweep.store import MARK, is_sweep

    if len(paths) == 1 and is_folder(paths[0]):
        if is_sweep(paths[0]):
            return paths
        raise SqhwError(f"{paths[0]}: a folder, but not one of a sweep, which has a file {MARK}")
    return check_sources(paths)


def check_kept(network: Path, folder: Path) -> None:
    """Check that a network is not among the files that a step replaces or removes in a folder."""
    if network.suffix in GENERATED and same_file(network.parent, folder):
        raise SqhwError(
            f"{network} lies in {folder}, where files that end in {network.suffix} are replaced; "
            "name another folder"
        )


def check_data(spec: str) -> str:
    """Check that a data set is known and that its files are there."""
    from sqhw.data import dataset_files

    dataset_files(spec)
    return spec


def check_optional_data(spec: str | None) -> str | None:
    """Check a data set as `check_data` does, if one is named."""
    return None if spec is None else check_data(spec)


def check_shape(text: str | None) -> str | None:
    """Check that a text reads as one to three sizes, such as ``3x32x32``."""
    if text is not None and not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5}){0,2}", text):
        raise typer.BadParameter(f"{shown(text)} must read as sizes, for example 3x32x32.")
    return text


def check_image_size(text: str | None) -> str | None:
    """Check that a text reads height x width."""
    if text is not None:
        from sqhw.data.form import parse_size

        parse_size(text)
    return text


def check_values(text: str | None) -> str | None:
    """Check that a text is a number, or several with commas."""
    if text is not None:
        from sqhw.data.form import parse_values

        parse_values(text)
    return text


def check_device(name: str | None) -> str | None:
    """Check that a device exists, by its name or in a file."""
    if name is not None:
        from sqhw.cost_models.device import find_device

        check_sources(named_files(name))
        find_device(name)
    return name


def check_device_or_all(name: str) -> str:
    """Check a device as `check_device` does, or take ``all``."""
    return name if name == "all" else str(check_device(name))


def check_technology(name: str) -> str:
    """Check that a technology exists, by its name or in a file."""
    from sqhw.cost_models.technology import load_technology

    check_sources(named_files(name))
    load_technology(name)
    return name


def files_of(data: str | None, *names: str | None) -> list[Path]:
    """Return the files of a data set and of named devices or technologies."""
    from sqhw.data import dataset_files

    files = dataset_files(data) if data is not None else []
    return [*files, *named_files(*names)]


def named_files(*names: str | None) -> list[Path]:
    """Return the paths among names of devices or technologies."""
    parts = (name.partition(".toml") for name in names if name is not None)
    return [Path(head + dot) for head, dot, rest in parts if dot and rest[:1] in ("", ":")]


def check_rtl(path: Path | None) -> Path | None:
    """Check that a folder of Verilog is there and may be read."""
    return _read_folder(path, "sqhw rtl")


def check_images(path: Path | None) -> Path | None:
    """Check that a folder of ROM images is there and may be read."""
    return _read_folder(path, "sqhw rom")


def _read_folder(path: Path | None, writer: str) -> Path | None:
    if path is None:
        return None
    if not is_folder(path):
        raise SqhwError(f"{path}: no such folder; write it with `{writer}`")
    if not os.access(path, os.R_OK | os.X_OK):
        raise SqhwError(f"{path}: cannot be read (no permission)")
    return path


def check_prefix(name: str | None) -> str | None:
    """Check that a name is allowed as the prefix of modules."""
    return None if name is None else naming.check_name(name)


def check_formats(text: str | None) -> str | None:
    """Check that a text is a list of formats of memory images, with commas."""
    if text is not None:
        _check_list("format", text, (*ROM_FORMATS, NATIVE_FORMAT))
    return text


def check_export_formats(text: str) -> str:
    """Check that a text is a list of formats of exported networks, with commas."""
    _check_list("format", text, EXPORT_FORMATS)
    return text


def check_rates(text: str) -> str:
    """Check that a text is a list of upset rates, with commas."""
    from sqhw.faults.injections import parse_rates

    parse_rates(text)
    return text


def check_flips(texts: list[str] | None) -> list[str] | None:
    """Check that texts name bits of ROMs."""
    if texts:
        from sqhw.faults.injections import parse_flip

        for text in texts:
            parse_flip(text)
    return texts


def check_roms(text: str | None) -> str | None:
    """Check that a text is a list of ROMs, with commas."""
    if text is not None:
        from sqhw.machine.layout import ROMS

        _check_list("ROM", text, ROMS)
    return text


def check_protection(name: str) -> str:
    """Check that a name is that of a protection of ROM words."""
    from sqhw.faults.protected import check_protection as check

    return check(name)


def _check_list(kind: str, text: str, known: Sequence[str]) -> None:
    for name in text.split(","):
        if name.strip() not in known:
            raise unknown_name(kind, name.strip(), known)


def check_mmi(text: str | None) -> str | None:
    """Check that the file of ``FILE.mmi`` or ``FILE.mmi:INSTANCE`` is there."""
    if text is not None:
        head, dot, _ = text.partition(".mmi:")
        if len(head) > MAX_PATH_CHARS:
            raise SqhwError(f"{shown(text)}: no such file")
        check_source(Path(f"{head}.mmi" if dot else text))
    return text


def check_budget(text: str | None) -> str | None:
    """Check the form of a budget, and that its limits do not contradict each other."""
    if text is not None:
        from sqhw.cost_models.budget import Budgets

        Budgets.parse(text)
    return text
