"""The 8x8 handwritten digits that scikit-learn brings along."""

import numpy as np
from sklearn import datasets

from sqhw.data.dataset import Dataset, Split
from sqhw.data.split import stratified_split

SEED = 0


def load_digits() -> Dataset:
    """Load the 1,797 digits, pixels 0 to 16, split 60/20/20 into train, validation and test.

    Returns
    -------
    Dataset
        Images of shape (1, 8, 8).
    """
    bunch = datasets.load_digits()
    everything = Split(
        bunch.images.astype(np.uint8)[:, np.newaxis],  # (n, 1, 8, 8)
        bunch.target.astype(np.int64),
    )
    fifth = round(len(everything) * 0.2)
    test, validation, train = stratified_split(everything.labels, (fifth, fifth), SEED)
    return Dataset(
        name="digits",
        train=everything.take(train),
        validation=everything.take(validation),
        test=everything.take(test),
        input_max=16,
        classes=10,
    )
