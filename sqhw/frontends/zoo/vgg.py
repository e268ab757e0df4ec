"""VGG for CIFAR-10."""

from torch import Tensor, nn

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Vgg16(nn.Module):
    """VGG-16 (Simonyan and Zisserman, ICLR 2015) as it is commonly cut down to 32x32 images.

    Thirteen 3x3 convolutions with batch normalisation, five max poolings and one fully connected
    layer, as in github.com/kuangliu/pytorch-cifar. 14,715,584 weights, 313,201,664 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in STAGES:
            for width in stage:
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.classifier(self.features(x).flatten(1))
        return x
