"""How the C library keeps memory that a training frees: for its next step."""

import ctypes

#: Options of `mallopt` in glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
#: Bytes of a block from which it is mapped alone, of free memory that is given back, and of memory
#: that is taken ahead.
MAPPED, TRIMMED, AHEAD = 1 << 30, (1 << 31) - 1, 1 << 26


def keep_freed_memory() -> bool:
    """Let the process keep the memory that it frees, and return whether it does.

    By default glibc gives the maps of a step back to the kernel, and the next step faults them in
    again page by page. The most memory that a process holds stays the same, results too. Other C
    libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function; no library; Windows
        return False
    options = ((MMAP_THRESHOLD, MAPPED), (TRIM_THRESHOLD, TRIMMED), (TOP_PAD, AHEAD))
    return all([mallopt(option, value) == 1 for option, value in options])
