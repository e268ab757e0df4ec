"""Residual networks for CIFAR-10 (He et al., Deep Residual Learning, CVPR 2016)."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Shortcut = Callable[[int, int, int], nn.Module]


class ResNet(nn.Module):
    """A 3x3 convolution, stages of basic blocks, a global average and a fully connected layer.

    Every stage but the first halves height and width in its first block.

    Parameters
    ----------
    widths : sequence of int
        Channels of each stage.
    blocks : int
        Blocks a stage, of two convolutions each.
    shortcut : callable
        Makes the shortcut where the shape changes, from channels in, channels out and stride.
    outputs : int, 1 or more
        Number of classes.
    """

    def __init__(
        self, widths: Sequence[int], blocks: int, shortcut: Shortcut, outputs: int = 10
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = len(widths)
        channels = widths[0]
        for number, width in enumerate(widths, start=1):
            stage = []
            for block in range(blocks):
                stride = 2 if number > 1 and block == 0 else 1
                stage.append(BasicBlock(channels, width, stride, shortcut))
                channels = width
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.linear = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, shape (images, outputs)."""
        x = torch.relu(self.bn1(self.conv1(x)))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        x = self.linear(x.mean((2, 3)))
        return x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    stride : int
        Stride of the first convolution and the shortcut.
    shortcut : callable
        As in `ResNet`; used where the shape changes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential() if same else shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        skip = self.shortcut(x)  # made first, so that the second convolution adds it
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + skip)


class ZeroShortcut(nn.Module):
    """Option A of the paper: every second row and column, zero channels on both sides.

    Parameters
    ----------
    inputs, outputs : int
        Channels; half of the new ones come before the others.
    stride : int
        2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        before = (outputs - inputs) // 2
        self.stride = stride
        self.widen = (0, 0, 0, 0, before, outputs - inputs - before)

    def forward(self, x: Tensor) -> Tensor:
        """Return the shortcut's output."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], self.widen)


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return option B of the paper: a 1x1 convolution with batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def cifar_resnet(depth: int, outputs: int = 10) -> ResNet:
    """Return the paper's CIFAR network of ``6 n + 2`` layers: 16, 32 and 64 channels, option A.

    =====  =========  ===========
    depth  weights    MAC
    =====  =========  ===========
    20     268,336    40,551,040
    56     848,944    125,485,696
    110    1,719,856  252,887,680
    =====  =========  ===========
    """
    return ResNet((16, 32, 64), (depth - 2) // 6, ZeroShortcut, outputs)


resnet20 = partial(cifar_resnet, 20)
resnet56 = partial(cifar_resnet, 56)
resnet110 = partial(cifar_resnet, 110)


def resnet18(outputs: int = 10) -> ResNet:
    """Return the paper's ResNet-18 as it is commonly cut down to 32x32 images.

    The stem is a 3x3 convolution of stride 1 and no max pooling follows; the stages have 64, 128,
    256 and 512 channels and option B shortcuts, as in github.com/kuangliu/pytorch-cifar. 11,164,352
    weights, 555,422,720 MAC.
    """
    return ResNet((64, 128, 256, 512), 2, projection, outputs)
