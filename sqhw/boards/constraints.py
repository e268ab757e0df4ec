"""The pins and the clock of a board as the tools read them."""

from sqhw.boards.board import Board


def pcf(board: Board) -> str:
    """Return the constraints for ``nextpnr-ice40``."""
    lines = [
        f"set_io {'-pullup yes ' if port in PULLED_UP else ''}{port} {pin}"
        for port, pin in board.pins().items()
    ]
    return "\n".join([*lines, f"set_frequency clock {board.clock.mhz:g}", ""])


def lpf(board: Board) -> str:
    """Return the constraints for ``nextpnr-ecp5``."""
    lines = []
    for port, pin in board.pins().items():
        pull = " PULLMODE=UP" if port in PULLED_UP else ""
        standard = f" IO_TYPE={board.standard}" if board.standard else ""
        lines.append(f'LOCATE COMP "{port}" SITE "{pin}";')
        if pull or standard:
            lines.append(f'IOBUF PORT "{port}"{standard}{pull};')
    return "\n".join([*lines, f'FREQUENCY PORT "clock" {board.clock.mhz:g} MHZ;', ""])


#: Ports that rest high where nothing is connected.
PULLED_UP = ("rx",)
