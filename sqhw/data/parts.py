"""From labelled images to a data set in three parts, those that are missing split off."""

from collections.abc import Mapping, Sequence

import numpy as np

from sqhw.data.dataset import Dataset, Split
from sqhw.data.split import stratified_split
from sqhw.errors import SqhwError, shown

#: Share of the training images that a missing part takes: one image in 5.
MISSING_SHARE = 5
#: Seed of the order of the images and of the parts that are split off.
SEED = 0
#: Parts beside the training images, in the order in which they are split off.
OTHERS = ("test", "validation")


def divided(
    source: str,
    parts: Mapping[str, Split],
    *,
    name: str,
    input_max: int,
    class_names: Sequence[str],
    classes: int | None = None,
) -> Dataset:
    """Return a data set of given parts; a part that is missing is split off the training images.

    The order of the images in each part is drawn anew, because data of one's own are often sorted
    by class. A missing part takes one training image in 5, of each class in proportion.

    Parameters
    ----------
    source : str
        Name of the folder or file, for errors.
    parts : dict of str to Split
        ``train``, and ``validation`` and ``test`` if they are given.
    name, input_max, class_names
        See `Dataset`.
    classes : int, optional
        Number of classes; by default that of the names.

    Raises
    ------
    SqhwError
        If a class has too few training images to split off what is missing, or none at all.
    """
    classes = classes or len(class_names)
    shuffled = {part: _shuffled(split) for part, split in parts.items()}
    missing = [part for part in OTHERS if part not in parts]
    full = shuffled["train"]
    least = MISSING_SHARE if missing else 1
    counts = np.bincount(full.labels, minlength=classes)
    if counts.min() < least:
        label = int(counts.argmin())
        which = shown(class_names[label]) if class_names else str(label)
        why = f" to split off {' and '.join(missing)} images" if missing else ""
        raise SqhwError(
            f"{source} has {counts[label]} training images of class {which}; at least {least} of "
            f"each class are needed{why}"
        )
    sizes = [round(len(full) / MISSING_SHARE)] * len(missing)
    *taken, train = stratified_split(full.labels, sizes, SEED)
    found = {"train": full.take(train)}
    for part in OTHERS:
        found[part] = full.take(taken[missing.index(part)]) if part in missing else shuffled[part]
    return Dataset(
        name=name,
        train=found["train"],
        validation=found["validation"],
        test=found["test"],
        input_max=input_max,
        classes=classes,
        class_names=tuple(class_names),
    )


def _shuffled(split: Split) -> Split:
    # RandomState is frozen for ever, see `stratified_split`.
    return split.take(np.random.RandomState(SEED).permutation(len(split)).astype(np.int64))
