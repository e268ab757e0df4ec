"""The reason why one operator has no layer, on its way to the list of all of them."""


class Refused(Exception):
    """An operator that the engine, or the import, does not have.

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
