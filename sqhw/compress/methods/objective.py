"""The loss of a batch: from its labels and from the network before compression."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sqhw.compress.training.distillation import distillation_loss
from sqhw.compress.training.options import TrainingOptions
from sqhw.compress.training.precision import products
from sqhw.compress.training.samples import SMALL_SET, channels_last, flipped, shifted, tensors
from sqhw.data import Split
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.network.floats import FloatNetwork


class Objective:
    """Draws augmented batches and gives their losses.

    Parameters
    ----------
    network : FloatNetwork
        Network before compression, the teacher.
    split : Split
    settings : TrainingOptions
        Options, of which augmentation, distillation and precision count.
    generator : torch.Generator
        Generator on the CPU, so that all devices see the same images.
    device : torch.device

    Attributes
    ----------
    images, labels : Tensor
        Images and labels of the split, on the CPU.
    """

    def __init__(
        self,
        network: FloatNetwork,
        split: Split,
        settings: TrainingOptions,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.settings, self.generator, self.device = settings, generator, device
        self.images, self.labels = tensors(split)
        small = len(self.images) <= SMALL_SET
        self.products = products(settings.precision, device, small=small)
        self.teacher: nn.Module | None = None
        self.wanted: Tensor | None = None  # of all images, where each is always the same
        if settings.distill == 0:
            return
        teacher = FloatModule(network).eval().to(device)
        if settings.shift or settings.flip:
            self.teacher = teacher
        else:
            self.wanted = predict(teacher, self.images, device)

    def pixels(self, chosen: Tensor) -> Tensor:
        """Return augmented images on the device; `chosen` are their indices."""
        pixels = shifted(self.images[chosen], self.settings.shift, self.generator)
        if self.settings.flip:
            pixels = flipped(pixels, self.generator)
        return channels_last(pixels).to(self.device)

    def loss(self, model: Callable[[Tensor], Tensor], chosen: Tensor) -> Tensor:
        """Return the loss of a model on a batch.

        Parameters
        ----------
        model : callable
            Function from raw pixels to logits.
        chosen : Tensor of int64
            Indices of the batch.
        """
        settings = self.settings
        pixels = self.pixels(chosen)
        labels = self.labels[chosen].to(self.device)
        wanted = None
        with torch.autocast(self.device.type, torch.bfloat16, self.products == torch.bfloat16):
            if self.wanted is not None:
                wanted = self.wanted[chosen].to(self.device)
            elif self.teacher is not None:
                with torch.no_grad():
                    wanted = self.teacher(pixels).float()
            logits = model(pixels).float()
        if wanted is None:
            return functional.cross_entropy(logits, labels)
        return distillation_loss(logits, wanted, labels, settings.distill, settings.temperature)
