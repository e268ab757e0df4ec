"""The keyword spotting network of MLPerf Tiny."""

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 64
BLOCKS = 4
EPS = 1e-3  # of Keras, where the network comes from


class DsCnn(nn.Module):
    """MLPerf Tiny's depthwise-separable CNN for keywords (Banbury et al., NeurIPS Datasets 2021).

    It sees 49 time steps of 10 cepstral coefficients and has 12 outputs. The first padding is
    TensorFlow's 'same', one row more below than above. 22,016 weights, 2,656,768 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, CHANNELS, (10, 4), 2)
        self.bn = nn.BatchNorm2d(CHANNELS, EPS)
        self.blocks = nn.Sequential(*(SeparableBlock() for _ in range(BLOCKS)))
        self.fc = nn.Linear(CHANNELS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (words, outputs)."""
        x = functional.pad(x, (1, 1, 4, 5))
        x = self.blocks(torch.relu(self.bn(self.conv(x))))  # (n, 64, 25, 5)
        x = self.fc(x.mean((2, 3)))
        return x


class SeparableBlock(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution, each with batch normalisation and ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)
        self.bn1 = nn.BatchNorm2d(CHANNELS, EPS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.bn2 = nn.BatchNorm2d(CHANNELS, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))
