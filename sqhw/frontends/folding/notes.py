"""Notes on what an import leaves out."""


def left_out(title: str, what: str) -> str:
    """Return the note on a function at the end that keeps the order of the scores.

    Parameters
    ----------
    title : str
        What the user knows the operation by.
    what : {"softmax", "sigmoid", "argmax"}
    """
    if what == "argmax":
        return (
            f"layer {title!r}: the argmax at the end is left out: the outputs are the scores "
            "that it compares"
        )
    threshold = "; a threshold of 0.5 becomes 0" if what == "sigmoid" else ""
    return (
        f"layer {title!r}: the {what} at the end is left out: the outputs are the values before "
        f"it, of the same argmax{threshold}"
    )
