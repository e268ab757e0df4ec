"""The longest waits of a bench for the engine."""

from dataclasses import dataclass

#: Environment variable with the seconds after which the system ends a bench's simulator.
SECONDS = "SQHW_BENCH_SECONDS"


@dataclass(frozen=True)
class Waits:
    """The longest waits that the schedule allows. It is exact, so they have no margin.

    Stalls that a bench makes are no waits: each begins when the engine alone can go on.

    Parameters
    ----------
    ready : int
        Cycles after a reset, or after the last result, until `ready`.
    run : int
        Cycles from `start` to `done`.
    result : int
        Cycles after `done`, or after a result is taken, until the next result.
    """

    ready: int
    run: int
    result: int
