"""Random modules of supported and unsupported pieces, in the spellings that users have."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

SHAPE = (2, 9, 9)
Step = Callable[["RandomModule"], None]


def _rebound(function: Callable[[torch.Tensor], Any]) -> Step:
    def step(m: "RandomModule") -> None:
        m.x = function(m.x)

    return step


def _unbound(function: Callable[[torch.Tensor], Any]) -> Step:
    """Call a function and forget its result."""

    def step(m: "RandomModule") -> None:
        function(m.x)

    return step


ACTIVATIONS: tuple[Callable[[torch.Tensor], Any], ...] = (
    torch.relu,
    torch.relu_,
    functional.relu,
    functional.relu6,
    lambda x: functional.relu(x, inplace=True),
    lambda x: functional.hardtanh(x, 0, 6, True),
    lambda x: x.relu(),
    lambda x: x.relu_(),
    lambda x: x.clamp(min=0),
    lambda x: x.clamp_(0, 0.5),
    lambda x: torch.clamp(x, 0, 1),
    lambda x: functional.leaky_relu(x, inplace=True),
    lambda x: x.sigmoid_(),
    lambda x: x.flatten(1).relu_(),
    lambda x: x[:, :1].relu_(),
    lambda x: x.detach().relu_(),
)
ARITHMETIC: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda x: x * 2,
    lambda x: x.mul_(-0.5),
    lambda x: x + 0.25,
    lambda x: x.add_(0.25),
    lambda x: x.sub_(1).div_(0.5),
    lambda x: (x - torch.tensor([0.5, 0.25]).view(1, 2, 1, 1)) / 0.3,
    lambda x: 1 - x,
    lambda x: -x,
    lambda x: x.zero_(),
    lambda x: torch.add(x, 1, out=x),
    lambda x: x.abs(),
)
POOLINGS: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda x: functional.max_pool2d(x, 2),
    lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True),
    lambda x: functional.max_pool2d(x, 2, stride=1),
    lambda x: functional.avg_pool2d(x, 2, 1),
    lambda x: functional.avg_pool2d(x, 2, ceil_mode=True),
    lambda x: functional.avg_pool2d(x, 3, 1, 1),
    lambda x: functional.adaptive_avg_pool2d(x, 3),
    lambda x: functional.adaptive_max_pool2d(x, x.shape[2] // 2),
    lambda x: functional.pad(x, (1, 0, 0, 1)),
    lambda x: x[:, :, ::2, ::2],
    lambda x: functional.dropout(x, training=False),
    lambda x: x.contiguous(),
)


def _save(m: "RandomModule") -> None:
    m.saved = m.x


def _swap(m: "RandomModule") -> None:
    m.x, m.saved = m.saved, m.x


def _add(m: "RandomModule") -> None:
    m.x = m.x + m.saved


def _add_in_place(m: "RandomModule") -> None:
    m.x += m.saved


def _calls(index: int, *, bound: bool) -> Step:
    def step(m: "RandomModule") -> None:
        made = m.layers[index](m.x)
        if bound:
            m.x = made

    return step


class RandomModule(nn.Module):
    """Steps on a current and a saved tensor, each of which works on the shapes before it.

    Parameters
    ----------
    seed : int
        Seed of the steps and the weights.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.steps: list[Step] = []
        rng = random.Random(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.train(False)
            self.x = self.saved = torch.rand(2, *SHAPE)
            if rng.random() < 0.8:
                self._try(_calls(self._layer(self._conv(rng)), bound=True))
            for _ in range(rng.randint(1, 9)):
                self._try(self._step(rng))
            if rng.random() < 0.5:
                self._finish(rng)
        self.x = self.saved = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Do all steps."""
        self.x = self.saved = x
        for step in self.steps:
            step(self)
        made, self.x, self.saved = self.x, torch.zeros(1), torch.zeros(1)
        return made

    def _try(self, step: Step) -> None:
        before = self.x, self.saved
        with torch.no_grad():
            try:
                step(self)
                if self.x.numel() == 0:
                    raise ValueError
            except (RuntimeError, ValueError, IndexError, TypeError):
                self.x, self.saved = before
                return
        self.steps.append(step)

    def _step(self, rng: random.Random) -> Step:
        kind = rng.choice(
            ("conv", "conv", "conv", "norm", "act", "act", "arithmetic", "pool", "name", "module")
        )
        if kind == "conv":
            return _calls(self._layer(self._conv(rng)), bound=True)
        if kind == "norm":
            norm = nn.BatchNorm2d(2).eval()
            norm.running_mean.normal_()  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.normal_(norm.weight)
            return _calls(self._layer(norm), bound=rng.random() < 0.95)
        if kind == "module":
            made = rng.choice(
                (
                    *(nn.ReLU(True), nn.ReLU(), nn.ReLU6(True), nn.Dropout(), nn.Identity()),
                    *(nn.AvgPool2d(2), nn.MaxPool2d(2, 1), nn.Hardtanh(0, 1, inplace=True)),
                )
            )
            return _calls(self._layer(made.eval()), bound=rng.random() < 0.6)
        if kind == "name":
            return rng.choice((_save, _swap, _add, _add_in_place))
        pieces = {"act": ACTIVATIONS, "arithmetic": ARITHMETIC, "pool": POOLINGS}[kind]
        wrap = _unbound if rng.random() < 0.4 else _rebound
        return wrap(rng.choice(pieces))

    def _layer(self, layer: nn.Module) -> int:
        self.layers.append(layer)
        return len(self.layers) - 1

    def _conv(self, rng: random.Random) -> nn.Module:
        kernel = rng.choice((1, 3))
        layer: nn.Module = nn.Conv2d(
            2,
            2,
            kernel,
            stride=rng.choice((1, 1, 1, 2)),
            padding=rng.choice((0, kernel // 2)),
            groups=rng.choice((1, 1, 2)),
            bias=rng.random() < 0.7,
        )
        extra = rng.random()
        if extra < 0.1:
            prune.random_unstructured(layer, "weight", 0.5)
        elif extra < 0.2:
            layer = parametrizations.weight_norm(layer)
        elif extra < 0.25:
            layer.register_forward_hook(lambda m, x, y: None)
        elif extra < 0.3:
            layer.register_forward_hook(lambda m, x, y: y * 2)
        return layer

    def _finish(self, rng: random.Random) -> None:
        """Add a fully connected layer, and perhaps the layers that often follow it."""
        self._try(_rebound(lambda x: torch.flatten(x, 1)))
        if self.x.dim() != 2:
            return
        self._try(_calls(self._layer(nn.Linear(self.x.shape[1], 3)), bound=True))
        if rng.random() < 0.3:
            self._try(_calls(self._layer(nn.BatchNorm1d(3).eval()), bound=True))
        if rng.random() < 0.3:
            self._try(_rebound(rng.choice(ACTIVATIONS[:4])))
        if rng.random() < 0.3:
            self._try(_rebound(lambda x: functional.softmax(x, 1)))
