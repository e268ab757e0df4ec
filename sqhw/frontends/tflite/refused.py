"""The reason why one operator is not read, on its way to the list of all of them."""


class Refused(Exception):
    """An operator, or a part of it, that is not read.

    Parameters
    ----------
    reason : str
        Predicate of a sentence on the operator.
    instead : str
        What to do, as an instruction; may be empty.
    """

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason)
        self.reason, self.instead = reason, instead
