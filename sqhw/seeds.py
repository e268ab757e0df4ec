"""The range of seeds, which is that of every generator that takes them."""

from sqhw.errors import SqhwError

#: PyTorch and the C++ harness take 64 bits; NumPy and `random` take any of these.
MAX_SEED = 2**64 - 1


def check_seed(seed: int) -> int:
    """Return a seed that every random generator takes.

    Parameters
    ----------
    seed : int, 0 to 2^64 - 1

    Raises
    ------
    SqhwError
        If it is outside of that range.
    """
    if not 0 <= seed <= MAX_SEED:
        raise SqhwError(f"--seed must be 0 to {MAX_SEED} (2^64 - 1), not {_short(seed)}")
    return seed


def _short(seed: float) -> str:
    """Return a number, or how many bits it has if nobody would read its digits."""
    if isinstance(seed, int) and seed.bit_length() > 128:
        return f"a number of {seed.bit_length()} bits"
    return str(seed)
