"""A small CNN for scikit-learn's handwritten digits."""

from torch import Tensor, nn


class DigitsCnn(nn.Module):
    """Four 3x3 convolutions and a fully connected layer for 8x8 images.

    84,696 weights, 1,639,680 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
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
        self.fc = nn.Linear(96 * 2 * 2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.relu1(self.conv1(x))  # (n, 24, 8, 8)
        x = self.pool1(self.relu2(self.conv2(x)))  # (n, 32, 4, 4)
        x = self.relu3(self.conv3(x))  # (n, 64, 4, 4)
        x = self.pool2(self.relu4(self.conv4(x)))  # (n, 96, 2, 2)
        x = self.fc(self.flatten(x))
        return x
