"""One valid file, or folder, of every kind that sqhw reads; small, and always the same bytes."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from sqhw.compiler.program import compile_network
from sqhw.compress.training.checkpoint import Checkpoint
from sqhw.cost_models.device import find_device
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.rom_pieces import Piece, whole
from sqhw.network.float_file import save_float
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.size.account import account_network
from sqhw.size.account_file import save_account
from tests.float_networks import residual_network
from tests.small_networks import network as quantized_network

KEY = "a" * 64
DEVICE = find_device("iCE40UP5K")
ENGINE = EngineConfig(
    lanes=16, bank_depth=2048, requantizers=4, max_batch=2, groups=True, residuals=True
)


class SmallModule(torch.nn.Module):
    """What the plain tensors are the state dict of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.fc = torch.nn.Linear(4, 2)


def sample_network() -> QuantizedNetwork:
    """Return the network that several of the files are of."""
    facts = {
        "engine": json.dumps(ENGINE.to_dict()),
        "device": DEVICE.name,
        "float_weights": "3000",
        "float_bits": "97600",
        "layer_weights": '{"first": 432, "last": 200}',
        "validation_accuracy": "0.987500",
        "notes": "a note",
    }
    return replace(quantized_network(), metadata=facts)


def write_network(folder: Path) -> Path:
    """Write a quantized network."""
    save_network(sample_network(), folder / "network.safetensors")
    return folder / "network.safetensors"


def write_float(folder: Path) -> Path:
    """Write a float network with residuals."""
    save_float(residual_network(), folder / "float.safetensors")
    return folder / "float.safetensors"


def write_checkpoint(folder: Path) -> Path:
    """Write a checkpoint of a method's training."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "model.conv.weight": torch.rand((4, 3, 3, 3), generator=generator),
        "optimizer.0.step": torch.tensor(7.0),
        "best.weights.0": torch.rand(4, generator=generator),
        "generator": torch.Generator().get_state()[:64],
    }
    entry = {"stage": "prune", "epoch": 1, "loss": 0.5}
    state = {
        "stage": 0,
        "epoch": 1,
        "score": [0.0, 0.5, -0.7],
        "history": [entry],
        "notes": ["n"],
        "facts": {"rate": 0.005},
    }
    Checkpoint(KEY, state, tensors).write(folder / "run.safetensors")
    return folder / "run.safetensors"


def write_state_dict(folder: Path) -> Path:
    """Write the plain tensors of a module."""
    torch.manual_seed(0)
    (folder / "state.safetensors").write_bytes(save(SmallModule().state_dict()))
    return folder / "state.safetensors"


def write_account(folder: Path) -> Path:
    """Write the account of a network."""
    save_account(account_network(sample_network(), ENGINE, DEVICE, "a"), folder / "account.json")
    return folder / "account.json"


def write_roms(folder: Path) -> Path:
    """Write ROM images, one of them in two pieces, and their manifest."""
    program = compile_network(sample_network(), ENGINE)
    pieces = {image.name: whole(image.depth, image.width) for image in program.images}
    (weights,) = pieces["weights"]
    low, high = weights.bits // 2, weights.bits - weights.bits // 2
    pieces["weights"] = (Piece(0, weights.words, 0, low), Piece(0, weights.words, low, high))
    write_rom(program, folder, pieces)
    return folder / "rom.json"


def write_image(folder: Path) -> Path:
    """Write ROM images and return the one of the constants."""
    write_rom(compile_network(sample_network(), ENGINE), folder)
    return folder / "params.hex"


def write_verilog(folder: Path) -> Path:
    """Write Verilog and its manifest."""
    write_rtl(ENGINE, compile_network(sample_network(), ENGINE).depths, folder)
    return folder / "rtl.json"


def write_idx(folder: Path) -> Path:
    """Write pictures as MNIST has them."""
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5), dtype=np.uint8)
    (folder / "images").write_bytes(struct.pack(">I3I", 0x0803, *images.shape) + images.tobytes())
    return folder / "images"


def write_idx_gz(folder: Path) -> Path:
    """Write the same, compressed."""
    path = write_idx(folder)
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return path


def write_cifar(folder: Path) -> Path:
    """Write records as CIFAR-10 has them."""
    records = np.random.default_rng(0).integers(0, 256, (3, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    (folder / "batch.bin").write_bytes(records.tobytes())
    return folder / "batch.bin"


def _built_in(part: str, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        content = (files("sqhw.cost_models") / part / name).read_bytes()
        (folder / name).write_bytes(content)
        return folder / name

    return write


write_device = _built_in("devices", "ice40.toml")
write_technology = _built_in("technologies", "horowitz45.toml")
write_calibration = _built_in("calibration", "ecp5.json")
