"""The clocks that a board's PLL or a divider gives, and the settings of the PLL.

The rules of the PLLs are those of ``icepll`` (YosysHQ/icestorm) and ``ecppll``
(YosysHQ/prjtrellis), of 7 series parts those of UG472 and DS181.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from sqhw.boards.board import Board
from sqhw.errors import SqhwError

#: Largest error of the speed of the serial line: a byte of 10 bits then ends within its stop bit.
MAX_BAUD_ERROR = 0.02
#: Fewest cycles of a bit of the line. In two bytes, the engine reads its first descriptor.
MIN_DIVISOR = 8
#: Halvings of the board's clock that are tried: the slowest clock is a 64th of it.
MAX_HALVINGS = 6


@dataclass(frozen=True)
class DesignClock:
    """A clock that a board can give to a design.

    Parameters
    ----------
    mhz : float
        Frequency (unit: MHz).
    source : {"pll", "divider"}
        What makes it. A divider by 1 is the board's clock itself.
    settings : dict of str to int
        Parameters of the PLL by their names in the cell, or the ``halvings`` of the divider.
    """

    mhz: float
    source: str
    settings: dict[str, int] = field(default_factory=dict)

    def divisor(self, baud: int) -> int:
        """Return the cycles of a bit of a serial line."""
        return round(self.mhz * 1e6 / baud)

    def suits(self, baud: int) -> bool:
        """Return whether a serial line of that speed is within `MAX_BAUD_ERROR` with the clock."""
        divisor = self.divisor(baud)
        exact = self.mhz * 1e6 / baud
        return divisor >= MIN_DIVISOR and abs(divisor / exact - 1) <= MAX_BAUD_ERROR


def design_clocks(board: Board) -> list[DesignClock]:
    """Return the clocks that a board can give to a design with its serial line, fastest first.

    Raises
    ------
    SqhwError
        If there is none, because its serial line is too fast.
    """
    mhz = board.clock.mhz
    found: dict[float, DesignClock] = {}
    for clock in PLL_CLOCKS.get(board.device.family, _no_pll)(mhz):
        found.setdefault(clock.mhz, clock)  # the least division comes first: the least jitter
    # A divider needs no PLL to lock, so it goes before a PLL of the same frequency.
    for halvings in range(MAX_HALVINGS + 1):
        clock = DesignClock(mhz / (1 << halvings), "divider", {"halvings": halvings})
        found[clock.mhz] = clock
    usable = [
        found[key] for key in sorted(found, reverse=True) if found[key].suits(board.uart.baud)
    ]
    if not usable:
        raise SqhwError(
            f"board {board.name}: no clock that can be made of [clock] mhz = {mhz:g} has "
            f"{MIN_DIVISOR} or more whole cycles a bit of a serial line of [uart] baud = "
            f"{board.uart.baud}; name another baud in its file"
        )
    return usable


def fastest_below(board: Board, limit: float) -> DesignClock:
    """Return the fastest clock of a board that is not above a limit (unit: MHz).

    Raises
    ------
    SqhwError
        If even the slowest one is above it.
    """
    clocks = design_clocks(board)
    for clock in clocks:
        if clock.mhz <= limit:
            return clock
    raise SqhwError(
        f"board {board.name}: its slowest clock is {clocks[-1].mhz:g} MHz, the design reaches "
        f"{limit:.1f} MHz only"
    )


def _no_pll(mhz: float) -> Iterator[DesignClock]:
    return iter(())


def _ice40(mhz: float) -> Iterator[DesignClock]:
    """Yield the clocks of an iCE40's PLL with simple feedback."""
    for divr in range(16):
        reference = mhz / (divr + 1)
        if not 10 <= reference <= 133:
            continue
        for divf, divq in product(range(128), range(1, 7)):
            oscillator = reference * (divf + 1)
            if 533 <= oscillator <= 1066 and 16 <= oscillator / (1 << divq) <= 275:
                bands = (17, 26, 44, 66, 101)
                band = 1 + sum(reference >= band for band in bands)
                settings = {"DIVR": divr, "DIVF": divf, "DIVQ": divq, "FILTER_RANGE": band}
                yield DesignClock(oscillator / (1 << divq), "pll", settings)


def _ecp5(mhz: float) -> Iterator[DesignClock]:
    """Yield the clocks of an ECP5's PLL with feedback from its first output."""
    for divide, multiply in product(range(1, 129), range(1, 81)):
        reference, clock = mhz / divide, mhz / divide * multiply
        if not (3.125 <= reference <= 400 and 10 <= clock <= 400):
            continue
        # The oscillator runs in the middle of its range, 400 to 800 MHz.
        output = max(1, min(128, round(600 / clock)))
        if 400 <= clock * output <= 800:
            settings = {"CLKI_DIV": divide, "CLKFB_DIV": multiply, "CLKOP_DIV": output}
            yield DesignClock(clock, "pll", settings | {"CLKOP_CPHASE": (output - 1) // 2})


def _xc7(mhz: float) -> Iterator[DesignClock]:
    """Yield the clocks of a PLL of 7 series parts."""
    for divide, multiply, output in product(range(1, 3), range(8, 17), range(4, 65)):
        if 19 <= mhz / divide and 800 <= mhz / divide * multiply <= 1600:
            settings = {"DIVCLK_DIVIDE": divide, "CLKFBOUT_MULT": multiply}
            clock = mhz / divide * multiply / output
            yield DesignClock(clock, "pll", settings | {"CLKOUT0_DIVIDE": output})


#: Generator of the clocks of the PLL of each family; the others have dividers only.
PLL_CLOCKS = {"ice40": _ice40, "ecp5": _ecp5, "xc7": _xc7}
