"""Progress, on the standard error so that tables can be piped."""

import sys


def note(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)
