"""LeNet-5 as Caffe has it."""

from torch import Tensor, nn


class LeNet5Caffe(nn.Module):
    """Caffe's LeNet-5 for 28x28 images: two convolutions without ReLU, two layers with one.

    430,500 weights, 2,293,000 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 20, 5),
            nn.MaxPool2d(2),  # (n, 20, 12, 12)
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),  # (n, 50, 4, 4)
        )
        self.classifier = nn.Sequential(
            nn.Linear(50 * 4 * 4, 500), nn.ReLU(), nn.Linear(500, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.classifier(self.features(x).flatten(1))
        return x
