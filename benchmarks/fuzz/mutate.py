"""Mutations of files: of their bytes, and of what they hold, with the right checksum or without."""

import gzip
import json
import math
import random
from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from benchmarks.fuzz.hostile import mutated_json, mutated_toml
from sqhw.compress.training.checkpoint import checkpoint_digest
from sqhw.files.digest import network_digest
from sqhw.files.tensor_file import CHECKPOINT_KEY, FLOAT_KEY, QUANTIZED_KEY

#: New content, and whether its checksum was made anew.
Mutated = tuple[bytes, bool]
Mutation = Callable[[bytes, random.Random], Mutated]

INTERESTING = (
    b"\0" * 8,
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x80\x02",
)


def mutate_bytes(data: bytes, rng: random.Random) -> Mutated:
    """Flip bits, cut, repeat, insert or overwrite."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not content:
            break
        # Headers are short and matter most.
        at = rng.randrange(min(len(content), rng.choice((16, 256, len(content)))))
        end = min(len(content), at + rng.choice((1, 2, 8, 64, 1024)))
        action = rng.random()
        if action < 0.5:
            content[at] ^= 1 << rng.randrange(8)
        elif action < 0.6:
            del content[at:]
        elif action < 0.7:
            del content[at:end]
        elif action < 0.8:
            content[at:at] = content[rng.randrange(len(content)) :][: end - at]
        elif action < 0.9:
            content[at:end] = rng.randbytes(end - at)
        else:
            content[at : at + 8] = rng.choice(INTERESTING)
    return bytes(content), False


def mutate_json(data: bytes, rng: random.Random) -> Mutated:
    """Change places of a JSON file."""
    return mutated_json(data.decode(), rng).encode("utf-8", "surrogatepass"), False


def mutate_toml(data: bytes, rng: random.Random) -> Mutated:
    """Change lines of a TOML file."""
    return mutated_toml(data.decode(), rng).encode(), False


def mutate_lines(data: bytes, rng: random.Random) -> Mutated:
    """Change lines of a ROM image."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    hostile = (b"+" + lines[at][1:], b"0_0", b"x", b"", b"@0", b"//", b"\x0b", "\u0661".encode())
    lines[at] = rng.choice((*hostile, lines[at].upper(), lines[at] + b"\r", b"f" * 100_000))
    if rng.random() < 0.2:
        lines *= rng.choice((2, 100))
    return b"\n".join(lines), False


def mutate_gzip(data: bytes, rng: random.Random) -> Mutated:
    """Change what a gzip file holds, or let it hold much more."""
    content = mutate_bytes(gzip.decompress(data), rng)[0]
    if rng.random() < 0.02:
        content += bytes(64 << 20)
    return gzip.compress(content, rng.choice((1, 9)), mtime=0), False


def mutate_header(data: bytes, rng: random.Random) -> Mutated:
    """Change the outer JSON of a safetensors file: names, types, shapes, offsets."""
    length = int.from_bytes(data[:8], "little")
    header = mutated_json(data[8 : 8 + length].decode(), rng).encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + data[8 + length :], False


def mutate_signed(data: bytes, rng: random.Random) -> Mutated:
    """Change a network's or a checkpoint's own JSON, or a tensor; make the checksum anew."""
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    tensors = load(data)
    if rng.random() < 0.2:
        _mutate_tensor(tensors, rng)
    for key, text in metadata.items():
        if key == CHECKPOINT_KEY:
            content = mutated_json(json.loads(text)["content"], rng)
            sealed = {"content": content, "sha256": checkpoint_digest(content, tensors)}
            metadata[key] = json.dumps(sealed)
        elif key in (QUANTIZED_KEY, FLOAT_KEY):
            metadata[key] = _signed(text, tensors, rng)
    try:
        return save(tensors, metadata or None), True
    except (SafetensorError, UnicodeEncodeError, TypeError):
        return data, True


def _signed(text: str, tensors: dict[str, torch.Tensor], rng: random.Random) -> str:
    header = json.loads(text)
    changed = mutated_json(json.dumps(header["network"]), rng)
    try:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        header["sha256"] = network_digest(json.loads(changed), arrays)
    except (ValueError, TypeError, RecursionError):  # no JSON any more, or bfloat16
        pass
    header["network"] = "@network@"
    return json.dumps(header).replace('"@network@"', changed)


def _mutate_tensor(tensors: dict[str, torch.Tensor], rng: random.Random) -> None:
    """Take a tensor away, change its type or shape, or one of its values."""
    name = rng.choice(sorted(tensors))
    tensor = tensors[name].clone()
    action = rng.random()
    if action < 0.2:
        del tensors[name]
        return
    if action < 0.4:
        tensor = tensor.to(rng.choice((torch.float64, torch.float32, torch.bfloat16, torch.int8)))
    elif action < 0.6:
        tensor = tensor.reshape(-1)[: rng.choice((0, 1, 2))]
    elif tensor.numel():
        numbers = (0, -1, 127, 3e38, math.nan, math.inf) if tensor.is_floating_point() else (0, 1)
        tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice(numbers)
    tensors[name] = tensor.contiguous()
