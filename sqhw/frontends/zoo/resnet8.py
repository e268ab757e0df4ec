"""The image classification network of MLPerf Tiny."""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-3  # of Keras, where the network comes from


class ResNet8(nn.Module):
    """MLPerf Tiny's ResNet-8 for CIFAR-10 (Banbury et al., NeurIPS Datasets 2021), raw pixels.

    A convolution and three residual stacks of 16, 32 and 64 channels. Convolutions have a bias
    besides the batch normalisation, and padding is TensorFlow's 'same': at stride 2 only below and
    on the right. 77,360 weights, 12,501,632 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.stem = Stem()
        self.stack1 = Stack(16, 16, 1)
        self.stack2 = Stack(16, 32, 2)
        self.stack3 = Stack(32, 64, 2)
        self.fc = nn.Linear(64, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.stack3(self.stack2(self.stack1(self.stem(x))))
        x = self.fc(x.mean((2, 3)))
        return x


class Stem(nn.Module):
    """The first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(16, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the first feature map."""
        return torch.relu(self.bn(self.conv(x)))


class Stack(nn.Module):
    """Two 3x3 convolutions and a shortcut around them, a 1x1 convolution at stride 2.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int, 1 or 2
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.margin = (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs, EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs, EPS)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stack's output."""
        skip = self.shortcut(x)  # made first, so that the second convolution adds it
        x = torch.relu(self.bn1(self.conv1(functional.pad(x, self.margin))))
        return torch.relu(self.bn2(self.conv2(x)) + skip)
