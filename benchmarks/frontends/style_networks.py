"""Networks written from scratch in the styles that users have: few channels, small images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that pads to the size of its input."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def block(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Module:
    """Return convolution, batch norm, ReLU6."""
    made = conv(inputs, outputs, kernel, stride, groups)
    return nn.Sequential(made, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class Bottleneck(nn.Module):
    """A bottleneck of torchvision's ResNet-50: the stride is that of its 3x3 convolution."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.c1, self.b1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.c2, self.b2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.c3, self.b3 = conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, at least 0."""
        y = F.relu(self.b1(self.c1(x)))
        y = F.relu(self.b2(self.c2(y)))
        return F.relu(self.b3(self.c3(y)) + self.shortcut(x))


class BasicBlock(nn.Module):
    """A block of two 3x3 convolutions whose shortcut is a 1x1 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(inputs, outputs, 3, 2, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, at least 0."""
        return F.relu(self.c2(F.relu(self.c1(x))) + self.shortcut(x))


class Fire(nn.Module):
    """A fire module of SqueezeNet."""

    def __init__(self, inputs: int, squeezed: int, each: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, each, 1), nn.Conv2d(squeezed, each, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return both kinds of outputs, one behind the other."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class Inception(nn.Module):
    """Four branches: 1x1, 3x3, two oblong kernels, and a maximum."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, 3, 1)
        self.three = nn.Conv2d(inputs, 4, 3, padding=1)
        self.oblong = nn.Sequential(
            nn.Conv2d(inputs, 3, (1, 5), padding=(0, 2)), nn.Conv2d(3, 3, (5, 1), padding=(2, 0))
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all branches, at least 0."""
        branches = (self.one(x), self.three(x), self.oblong(x), self.pool(x))
        return F.relu(torch.cat(branches, 1))


class Dense(nn.Module):
    """Layers of DenseNet: batch norm, ReLU, convolution, and a concatenation with the input."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        widths = [inputs + growth * at for at in range(layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), conv(width, growth)) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with the outputs of all layers behind it."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class Inverted(nn.Module):
    """An inverted residual of MobileNetV2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            block(channels, 3 * channels, 1),
            block(3 * channels, 3 * channels, 3, 1, 3 * channels),
            conv(3 * channels, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of input and layers."""
        return x + self.layers(x)


def head(channels: int, classes: int = 5) -> list[nn.Module]:
    """Return a mean over the map and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def resnet() -> nn.Module:
    """Stem of torchvision's ResNet, its padded maximum, and two bottlenecks."""
    stem = [conv(3, 8, 7, 2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    blocks = [Bottleneck(8, 4, 12, 1), Bottleneck(12, 4, 16, 2)]
    return nn.Sequential(*stem, *blocks, *head(16))


def squeezenet() -> nn.Module:
    """Fire modules, maxima in ceil mode, a 1x1 classifier before the mean."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    last = [nn.Dropout(), nn.Conv2d(12, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    first = [nn.Conv2d(3, 8, 3, 2), nn.ReLU()]
    return nn.Sequential(*first, pool, Fire(8, 3, 5), Fire(10, 3, 6), *last)


def inception() -> nn.Module:
    """Two modules of four branches."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), Inception(6), nn.MaxPool2d(2), Inception(12), *head(12)
    )


def densenet() -> nn.Module:
    """Two dense blocks with a transition (1x1 convolution and average) between them."""
    transition = [nn.BatchNorm2d(10), nn.ReLU(), conv(10, 6, 1), nn.AvgPool2d(2)]
    last = [nn.BatchNorm2d(12), nn.ReLU()]
    return nn.Sequential(conv(3, 4), Dense(4, 3, 2), *transition, Dense(6, 3, 2), *last, *head(12))


def ecg() -> nn.Module:
    """Convolutions, batch norm and maxima along time, dilation, a softmax at the end."""
    return nn.Sequential(
        nn.Conv1d(2, 6, 7, stride=2, padding=3), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(6, 8, 3, padding=2, dilation=2), nn.BatchNorm1d(8), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 4), nn.Softmax(1),
    )  # fmt: skip


def darknet() -> nn.Module:
    """Convolution, batch norm and LeakyReLU, as detectors' backbones have them."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 6), (6, 10), (10, 12)):
        layers += [conv(inputs, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)]
        layers += [nn.MaxPool2d(2)] if outputs < 12 else []
    return nn.Sequential(*layers, *head(12))


def autoencoder() -> nn.Module:
    """Linear layers with batch norm behind them, as many outputs as inputs."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in ((64, 24), (24, 8), (8, 24)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(24, 64))


def mobilenet() -> nn.Module:
    """Inverted residuals with ReLU6, one of stride 2."""
    down = [block(6, 6, 3, 2, 6), conv(6, 8, 1), nn.BatchNorm2d(8)]
    return nn.Sequential(
        block(3, 6, 3, 2), Inverted(6), *down, Inverted(8), block(8, 16, 1), *head(16)
    )


def keywords() -> nn.Module:
    """Depthwise separable convolutions on a spectrogram, as keyword spotting has them."""
    layers: list[nn.Module] = [nn.Conv2d(1, 8, (10, 4), 2, (5, 1)), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU()]
    return nn.Sequential(*layers, *head(8, 12))


def projections() -> nn.Module:
    """Return a ResNet whose shortcuts are 1x1 convolutions of stride 2."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU(), BasicBlock(6, 8), BasicBlock(8, 12), *head(12)
    )


def activated(function: nn.Module) -> nn.Module:
    """Return convolutions, one with a skip connection, before an activation function each."""
    return nn.Sequential(
        conv(3, 6), nn.BatchNorm2d(6), function, Skipped(6, function), conv(6, 8, 3, 2), function,
        *head(8),
    )  # fmt: skip


class Skipped(nn.Module):
    """An activation function of a convolution plus its input."""

    def __init__(self, channels: int, function: nn.Module) -> None:
        super().__init__()
        self.conv, self.function = conv(channels, channels), function

    def forward(self, x: Tensor) -> Tensor:
        """Return the map."""
        made: Tensor = self.function(self.conv(x) + x)
        return made


def unet() -> nn.Module:
    """Enlarge a map by a transposed convolution."""
    return nn.Sequential(
        conv(3, 4, 3, 2), nn.ReLU(), nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 2, 1), *head(2)
    )


def upsampled() -> nn.Module:
    """Enlarge a map by nearest upsampling."""
    return nn.Sequential(conv(3, 4, 3, 2), nn.ReLU(), nn.Upsample(scale_factor=2), *head(4))


class Excite(nn.Module):
    """Squeeze and excite: channels times a function of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        return x * F.hardsigmoid(self.two(F.relu(self.one(x.mean((2, 3), keepdim=True)))))


class Shuffle(nn.Module):
    """Channel shuffle of ShuffleNet, two groups."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels in another order."""
        n, channels, height, width = x.shape
        x = x.view(n, 2, channels // 2, height, width).transpose(1, 2)
        return x.reshape(n, channels, height, width)


def _with(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(conv(3, 4), *layers, *head(4))


#: Styles that the engine cannot run, by name.
REFUSED: dict[str, Callable[[], nn.Module]] = {
    "transposed convolution (U-Net)": unet,
    "nearest upsampling (feature pyramids)": upsampled,
    "squeeze and excite (MobileNetV3)": _with(Excite(4)),
    "channel shuffle (ShuffleNet)": _with(nn.ReLU(), Shuffle()),
    "layer norm": _with(nn.GroupNorm(1, 4)),
    "stride 4 (AlexNet, ConvNeXt)": _with(nn.Conv2d(4, 4, 5, 4)),
}
