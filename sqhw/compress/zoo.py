"""The networks that sqhw can train by itself."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sqhw.errors import unknown_name
from sqhw.network import Shape


@dataclass(frozen=True)
class ZooEntry:
    """A network of the zoo.

    Parameters
    ----------
    make : callable
        Returns the untrained module; it maps normalised images to logits.
    input_shape : tuple of int (channels, height, width)
    outputs : int
        Classes.
    mean, std : float
        Normalisation of ``pixel / input_max``.
    shift : int
        Augmentation: pixels that training images are moved by at most.
    """

    make: Callable[[], nn.Module]
    input_shape: Shape
    outputs: int
    mean: float
    std: float
    shift: int


class DigitsCnn(nn.Module):
    """Four 3x3 convolutions and a fully connected layer for 8x8 images: 84,696 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(24, 32, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(64, 96, 3, padding=1)
        self.relu4 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(96 * 2 * 2, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        """Return logits, shape (images, 10)."""
        x = self.relu1(self.conv1(x))  # (n, 24, 8, 8)
        x = self.pool1(self.relu2(self.conv2(x)))  # (n, 32, 4, 4)
        x = self.relu3(self.conv3(x))  # (n, 64, 4, 4)
        x = self.pool2(self.relu4(self.conv4(x)))  # (n, 96, 2, 2)
        return self.fc(self.flatten(x))


class LeNet5Caffe(nn.Module):
    """Caffe's LeNet-5 for 28x28 images: 430,500 weights, one ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        """Return logits, shape (images, 10)."""
        x = self.pool1(self.conv1(x))  # (n, 20, 12, 12)
        x = self.pool2(self.conv2(x))  # (n, 50, 4, 4)
        return self.fc2(self.relu(self.fc1(self.flatten(x))))


ZOO = {
    "digits-cnn": ZooEntry(DigitsCnn, (1, 8, 8), 10, 0.0, 0.5, 1),
    "lenet5-caffe": ZooEntry(LeNet5Caffe, (1, 28, 28), 10, 0.1307, 0.3081, 0),
}


def entry(name: str) -> ZooEntry:
    """Return the zoo's entry of that name.

    Raises
    ------
    SqhwError
        If there is none.
    """
    if name not in ZOO:
        raise unknown_name("network", name, ZOO)
    return ZOO[name]


def build(name: str) -> nn.Module:
    """Return an untrained network of the zoo; its weights come from torch's global seed.

    Raises
    ------
    SqhwError
        If the zoo has no network of that name.
    """
    return entry(name).make()
