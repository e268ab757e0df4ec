"""The devices that sqhw knows, read from ``devices/*.toml``, and those of a user's own file."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from sqhw.cost_models.device_file import parse_family
from sqhw.cost_models.fabric import Device, MemoryPrimitive
from sqhw.errors import SqhwError, unknown_name
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_TOML_BYTES
from sqhw.files.plain import located

__all__ = [
    "Device",
    "MemoryPrimitive",
    "check_names_once",
    "find_device",
    "load_devices",
    "parse_family",
]


def load_devices() -> dict[str, Device]:
    """Return every device by its name, in the order of the files.

    Returns
    -------
    dict of str to Device

    Raises
    ------
    SqhwError
        If a file has an unknown or missing key or an impossible value, or a name occurs twice.
    """
    return {device.name: device for device in _read_all()}


def find_device(name: str) -> Device:
    """Return the device of a name, of a board, or in a file.

    Parameters
    ----------
    name : str
        Device or board, in upper or lower case, for example ``"icebreaker"``; or a device file,
        ``"path/to/file.toml"``, with ``":NAME"`` after it if the file has several devices.

    Returns
    -------
    Device

    Raises
    ------
    SqhwError
        If there is no such device or board; the nearest name is suggested. If the file cannot be
        read, has an unknown or missing key or an impossible value, or does not say which device.
    """
    path, dot, own = name.partition(".toml")
    if dot and own[:1] in ("", ":"):
        return _in_file(Path(path + dot), own[1:])
    return _built_in(name)


def check_names_once(devices: Sequence[Device], file: str, seen: dict[str, str]) -> None:
    """Add the names of devices and boards to those seen, and refuse one seen before.

    Parameters
    ----------
    devices : sequence of Device
        The devices of one file.
    file : str
        Its name.
    seen : dict of str to str
        File of each name so far, names in lower case; the new ones are added.

    Raises
    ------
    SqhwError
        If a name occurs twice.
    """
    for device in devices:
        for name in (device.name, *device.boards):
            if name.casefold() in seen:
                first = seen[name.casefold()]
                raise SqhwError(f"{file}: device {device.name!r}: {name!r} is already in {first}")
            seen[name.casefold()] = file


def _built_in(name: str) -> Device:
    return _by_name(name, _read_all())


def _by_name(name: str, devices: Sequence[Device]) -> Device:
    by_name = {known: device for device in devices for known in (device.name, *device.boards)}
    for known, device in by_name.items():
        if known.casefold() == name.casefold():
            return device
    raise unknown_name("device", name, by_name)


def _in_file(path: Path, name: str) -> Device:
    with located(f"device file {path}"):
        text = read_text(path, MAX_TOML_BYTES)
    devices = parse_family(text, str(path), base=_built_in)
    check_names_once(devices, str(path), {})
    if name:
        return _by_name(name, devices)
    if len(devices) > 1:
        names = ", ".join(device.name for device in devices)
        raise SqhwError(
            f"{path} has {len(devices)} devices, {names}; write {path}:{devices[0].name} for one"
        )
    return devices[0]


@cache
def _read_all() -> tuple[Device, ...]:
    folder = files("sqhw.cost_models") / "devices"
    seen: dict[str, str] = {}
    devices: list[Device] = []
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".toml"):
            continue
        found = parse_family(path.read_text(encoding="utf-8"), path.name)
        check_names_once(found, path.name, seen)
        devices += found
    return tuple(devices)
