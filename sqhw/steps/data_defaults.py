"""What training takes for a data set unless it is told otherwise."""

#: The network that is trained for a data set unless another is named.
DEFAULT_NETWORKS = {"digits": "digits-cnn", "mnist": "lenet5-caffe", "cifar10": "resnet8"}
#: Augmentation for compressing: pixels of shift, and whether mirrored images mean the same.
AUGMENTATION = {"cifar10": (4, True)}


def augmentation(data: str) -> tuple[int, bool]:
    """Return the augmentation for a data set, by its name; most have none."""
    return AUGMENTATION.get(data, (0, False))
