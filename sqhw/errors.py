"""The errors that a user can cause and mend."""

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 160  # most characters of a value in an error message
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlist = _short.maxtuple = 8


class SqhwError(Exception):
    """A problem with the user's input, in one sentence that names it and says what to do."""


def shown(value: object) -> str:
    """Return a value from a file for an error message, cut if it is long."""
    text = _short.repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def printable(text: str, keep: str = "") -> str:
    r"""Return a text as one can print it: control characters and the like as ``\x1b``.

    Names from files may have line breaks, a terminal's commands, or bytes that are no UTF-8.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are whatever they are.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\u00a0" or c in keep else ascii(c)[1:-1] for c in text
    )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SqhwError:
    """Return the error for a name that is not in a closed list, suggesting the nearest.

    That is the only one that begins with it, or else the most similar one.

    Parameters
    ----------
    kind : str
        What the name stands for, for example ``"device"``.
    name : str
        What the user wrote.
    known : iterable of str
        The names that exist.

    Returns
    -------
    SqhwError
    """
    names = sorted(known)
    name = name[:LONGEST]  # the search takes the square of its length
    folded = {n.casefold(): n for n in names}
    longer = [known_name for known_name in folded if known_name.startswith(name.casefold())]
    if len(longer) == 1:
        near = longer
    else:
        near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"known: {', '.join(names)}"
    return SqhwError(f"unknown {kind} {shown(name)}; {hint}")
