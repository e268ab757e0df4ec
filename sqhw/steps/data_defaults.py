"""What training takes for a data set unless it is told otherwise."""

from sqhw.data.load import kind_of
from sqhw.errors import SqhwError

#: The network that is trained for a data set unless another is named.
DEFAULT_NETWORKS = {"digits": "digits-cnn", "mnist": "lenet5-caffe", "cifar10": "resnet8"}
#: Augmentation for compressing: pixels of shift, and whether mirrored images mean the same.
AUGMENTATION = {"cifar10": (4, True)}


def augmentation(data: str) -> tuple[int, bool]:
    """Return the augmentation for a data set, by its name; most have none."""
    return AUGMENTATION.get(data, (0, False))


def network_for(spec: str, network: str | None) -> str:
    """Return the name of the network that is trained: the one that is named, or a data set's own.

    Raises
    ------
    SqhwError
        If none is named for a user's own data.
    """
    kind = kind_of(spec)
    if network is None and kind not in DEFAULT_NETWORKS:
        raise SqhwError(
            f"no network is known to suit data of one's own ({kind}:); name one of the zoo with "
            "--network"
        )
    return DEFAULT_NETWORKS[kind] if network is None else network
