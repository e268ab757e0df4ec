"""Signals some cycles later."""

from amaranth.hdl import Signal


def delayed(m, signal, cycles: int, name: str, *, reset_less: bool = True):
    """Return a signal `cycles` later; the registers are called ``NAME_1``, ``NAME_2`` and so on.

    Parameters
    ----------
    m : Module
        Module that the registers are added to.
    signal : Value
    cycles : int, 0 or more
    name : str
    reset_less : bool
        Whether a reset leaves the registers as they are. Commands need a reset, data does not.
    """
    for cycle in range(cycles):
        late = Signal.like(signal, name=f"{name}_{cycle + 1}", reset_less=reset_less)
        m.d.sync += late.eq(signal)
        signal = late
    return signal
