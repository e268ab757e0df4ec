"""MobileNets for CIFAR-10."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# (channels, stride)
V1_BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
# (expansion, channels, blocks, stride of the first)
V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV1(nn.Module):
    """MobileNet (Howard et al., arXiv 1704.04861) for 32x32 images.

    The stem has stride 1, so 32x32 shrinks to 2x2 in four steps; as in
    github.com/kuangliu/pytorch-cifar. 3,195,328 weights, 46,354,432 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        blocks = []
        channels = 32
        for width, stride in V1_BLOCKS:
            blocks.append(Separable(channels, width, stride))
            channels = width
        self.layers = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.layers(torch.relu(self.bn1(self.conv1(x))))
        x = self.linear(x.mean((2, 3)))
        return x


class Separable(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution, each with batch normalisation and ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., CVPR 2018) for 32x32 images.

    Stem and second stage have stride 1, as in github.com/kuangliu/pytorch-cifar. The blocks are
    the paper's: ReLU6, and a skip only where the shape stays (kuangliu's have ReLU, and a 1x1
    convolution around blocks that change the channels only). 2,202,560 weights, 87,976,448 MAC.

    Parameters
    ----------
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        blocks = []
        channels = 32
        for expansion, width, count, first in V2_STAGES:
            for block in range(count):
                stride = first if block == 0 else 1
                blocks.append(InvertedResidual(channels, width, expansion, stride))
                channels = width
        self.layers = nn.Sequential(*blocks)
        self.conv2 = nn.Conv2d(channels, 1280, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = self.layers(functional.relu6(self.bn1(self.conv1(x))))
        x = functional.relu6(self.bn2(self.conv2(x)))
        x = self.linear(x.mean((2, 3)))
        return x


class InvertedResidual(nn.Module):
    """A 1x1 convolution that widens, a depthwise 3x3 and a 1x1 one that narrows, without ReLU.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    expansion : int
        How many times wider it is inside; 1: the first convolution is left out.
    stride : int
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = expansion * inputs
        self.widens = expansion > 1
        self.skips = stride == 1 and inputs == outputs
        if self.widens:
            self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = functional.relu6(self.bn1(self.conv1(x))) if self.widens else x
        out = functional.relu6(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.skips:
            out = out + x
        return out
