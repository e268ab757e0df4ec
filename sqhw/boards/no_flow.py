"""Why `sqhw build` makes nothing for a board that the device files know."""

from collections.abc import Collection

from sqhw.boards.board_file import load_boards
from sqhw.cost_models.device import Device, load_devices
from sqhw.errors import SqhwError

#: Reasons by family: what the open tools of PyPI do with the engine; versions in docs/boards.md.
REASONS = {
    "gatemate": "yosys 0.70 maps the engine, but place and route and swaps are not set up",
    "gowin": "nextpnr-himbaechel-gowin 0.11.1 needs other block RAM than is modelled, and no tool "
    "patches its contents",
    "nexus": "nextpnr-nexus 0.11.1 stops at every adder of yosys 0.70 (CCU2 with CIN driven by "
    "non-CCU2 cell VLO)",
}
OTHER = "no flow of open tools from PyPI, and no project for the vendor's"


def no_flow(what: str, device: Device) -> SqhwError:
    """Return the error for a board or a file whose device's family has no flow.

    Parameters
    ----------
    what : str
        What the user named, for example ``"board 'Tang Nano 9K'"``.
    device : Device
    """
    reason = REASONS.get(device.family, OTHER)
    return SqhwError(
        f"{what}: `sqhw build` makes nothing for {device.name} ({device.family}): {reason}; see "
        "docs/boards.md"
    )


def check_known(name: str, flows: Collection[str]) -> None:
    """Refuse a name without a board file that the device files know.

    Parameters
    ----------
    name : str
        Name of a board or a device.
    flows : collection of str
        Families with a flow.

    Raises
    ------
    SqhwError
        If it is that of a device, or of a board that has a device only.
    """
    boards = load_boards().values()
    if name.casefold() in [board.name.casefold() for board in boards]:
        return
    for device in load_devices().values():
        known = {one.casefold(): one for one in (device.name, *device.boards)}
        own = known.get(name.casefold())
        if own is None:
            continue
        if device.family not in flows:
            raise no_flow(f"{'device' if own == device.name else 'board'} {own!r}", device)
        if own != device.name:
            raise SqhwError(
                f"board {own!r} has no board file, only its device {device.name} is known; write "
                "one, see docs/boards.md"
            )
        there = [board.name for board in boards if board.device.name == device.name]
        named = f"name a board with it: {', '.join(there)}" if there else "write a board file"
        raise SqhwError(f"{own!r} is a device, not a board; {named}, see docs/boards.md")
