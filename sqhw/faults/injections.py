"""Upset rates and bits of ROMs as a user writes them."""

from sqhw.errors import SqhwError, shown


def parse_rates(text: str) -> list[float]:
    """Return the upset rates of a text with commas.

    Raises
    ------
    SqhwError
        If one is not a number above 0 and at most 1.
    """
    found = []
    for part in text.split(","):
        try:
            rate = float(part)
        except ValueError:
            rate = -1.0
        if not 0 < rate <= 1:
            raise SqhwError(
                f"--rates: an upset rate is the share of the bits that flip, a number above 0 and "
                f"at most 1, not {shown(part.strip())}"
            )
        found.append(rate)
    return found


def parse_flip(text: str) -> tuple[str, int, int]:
    """Return ROM, word and bit of a text such as ``weights:12:3``.

    Raises
    ------
    SqhwError
        If it does not read so.
    """
    rom, _, rest = text.partition(":")
    word, _, bit = rest.partition(":")
    if not (word.isdecimal() and bit.isdecimal() and max(len(word), len(bit)) < 10):
        raise SqhwError(
            f"--flip: {shown(text)} must read ROM:WORD:BIT, numbers of at most 9 digits, "
            "for example weights:12:3"
        )
    return rom, int(word), int(bit)
