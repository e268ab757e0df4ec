"""A small network that has learned handwritten digits, for tests of compression methods."""

from dataclasses import replace
from functools import cache

import torch
from torch import nn

from sqhw.compress import import_module
from sqhw.compress.methods import compress_with, configure
from sqhw.compress.methods.job import Job
from sqhw.cost_models.device import find_device
from sqhw.data import load_dataset
from sqhw.machine.config import EngineConfig

ENGINE = EngineConfig(codebook_addr_bits=12, residuals=True)
DEVICE = find_device("iCE40UP5K")
QUICK = {"epochs": 2, "batch": 64}


@cache
def digits():
    """Return a part of the digits, with 600 images to train on."""
    data = load_dataset("digits")
    return replace(data, train=data.train.take(torch.arange(600).numpy()))


@cache
def small_network():
    """Return a trained network of 2,906 weights with every layer that LeNet-5 has."""
    data = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(48, 38),
            nn.ReLU(),
            nn.Linear(38, 10),
        )
        images = torch.from_numpy(data.train.images).float() / 16 / 0.5
        labels = torch.from_numpy(data.train.labels)
        optimizer = torch.optim.Adam(module.parameters(), 5e-3)
        for _ in range(80):
            loss = nn.functional.cross_entropy(module(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return import_module(module, (1, 8, 8), name="small", input_max=16, std=[0.5])


def compressed(method, network=None, resume=None, progress=lambda *event: None, **options):
    """Return the result of a method on the small network."""
    start = network or small_network()
    job = Job(start, digits(), ENGINE, DEVICE, resume=resume, progress=progress)
    return compress_with(job, configure(method, **options))
