"""The readers that are fuzzed: what each reads, and what it does with it as the commands would."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz import mutate, samples, samples_models, samples_onnx
from benchmarks.fuzz.mutate import Mutation
from benchmarks.fuzz.mutate_onnx import mutate_model
from sqhw.compiler.device_engine import engine_for
from sqhw.compiler.program import compile_network
from sqhw.compress.training.checkpoint import Checkpoint
from sqhw.compress.training.learner import Stage
from sqhw.compress.training.loop import checkpoint_state
from sqhw.cost_models.calibration_file import parse_calibration
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.device import find_device
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.technology import load_technology
from sqhw.data.cifar import read_batch
from sqhw.data.idx import read_idx
from sqhw.export.file_set import check_set
from sqhw.export.manifest import FILES, check_manifest, check_plain, check_roms, pieces_of
from sqhw.export.readmemh import read_image, read_readmemh
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_JSON_BYTES
from sqhw.frontends import import_onnx
from sqhw.frontends.formats import read_model
from sqhw.frontends.neutral import Graph
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.onnx_file.convert import read_onnx
from sqhw.frontends.zoo.checkpoint import load_checkpoint
from sqhw.machine.layout import rom_widths
from sqhw.network.float_file import load_float
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized_file import load_network
from sqhw.report.report_tables import account_lines
from sqhw.sim.simulator import Simulator
from sqhw.size.account import account_network
from sqhw.size.account_file import read_account

DEPTHS = {"weights": 8192, "params": 512, "codebook": 256}
SIMULATED_VALUES = 1 << 20  # of the maps of a network that is simulated


@dataclass(frozen=True)
class Reader:
    """A reader and its files.

    Parameters
    ----------
    name : str
    write : callable
        Writes a valid file, and those that belong to it, into a folder; returns its path.
    read : callable
        Reads it and returns plain data of what was read, by which two reads are compared.
    use : callable
        Does with what the file holds what the commands do; may refuse it.
    mutations : tuple of callable
        Beside those of bytes.
    sealed : bool
        Whether the file carries a checksum, so that no mutation may be read as something else.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    mutations: tuple[Mutation, ...]
    use: Callable[[Path], object] = lambda path: None
    sealed: bool = False


def _plain(value: Any) -> Any:
    """Return what tells two values apart, arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest())
    if hasattr(value, "__dataclass_fields__"):
        return [(name, _plain(getattr(value, name))) for name in value.__dataclass_fields__]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return [(name, _plain(one)) for name, one in value.items()]
    return repr(value)


def _use_network(path: Path) -> None:
    """Compile, count and, if it is small, simulate: `rom`, `rtl`, `report`, `simulate`."""
    network = load_network(path)
    engine = network.facts.engine
    if np.prod(list(network.shapes().values()), axis=1).sum() < SIMULATED_VALUES:
        Simulator(network).logits(np.zeros((1, *network.input_shape), np.uint8))
    account_lines(account_network(network, engine, samples.DEVICE).to_dict())
    program = compile_network(network, engine)
    rom_pieces(engine, program.depths, samples.DEVICE)


def _use_float(path: Path) -> None:
    """Plan an engine: `size`, `compress`, `quantize`."""
    engine_for(samples.DEVICE, with_input_stage(load_float(path)))


def _read_checkpoint(path: Path) -> Any:
    found = Checkpoint.read(path, samples.KEY)
    assert found is not None
    tensors = {
        name: (str(t.dtype), t.shape, t.reshape(-1).view(torch.uint8).numpy())
        for name, t in found.tensors.items()
    }
    return _plain([found.header, tensors])


def _use_checkpoint(path: Path) -> None:
    found = Checkpoint.read(path, samples.KEY)
    assert found is not None
    checkpoint_state(found, [Stage("prune", 3, 32, lambda step, per_epoch: 1e-3)])


def _read_state_dict(path: Path) -> Any:
    module = samples.SmallModule()
    load_checkpoint(module, path, "small")
    return _plain({name: tensor.numpy() for name, tensor in module.state_dict().items()})


def _manifest(kind: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        found = check_manifest(path.parent, kind, samples.ENGINE)
        pieces = pieces_of(path.parent, kind, samples.ENGINE)
        check_roms(pieces, rom_widths(samples.ENGINE), path)
        check_set(path.parent, kind, found)
        if kind == "rtl":
            check_plain(path.parent, found)
        else:
            for name, parts in pieces.items():
                read_image(name, parts, path.parent)
        assert path.name == FILES[kind]
        return _plain([pieces, found.get("batch")])

    return read


def _use_device(path: Path) -> None:
    device = find_device(f"{path}:iCE40UP5K")
    dense_sizes(100_000, 1000, 8, device)
    rom_pieces(samples.ENGINE, DEPTHS, device)


def _use_technology(path: Path) -> None:
    technology = load_technology(str(path))
    for bits in (1, 8, 16, 1 << 30):
        technology.add(bits)
        technology.multiply(8, bits)
        technology.access(bits, 16)


def _read_calibration(path: Path) -> Any:
    return _plain(parse_calibration(read_text(path, MAX_JSON_BYTES), path.name))


def _use_quantized_model(path: Path) -> None:
    """Compute what the operators of a file make of an image."""
    _use_graph(read_onnx(path))


def _use_model(path: Path) -> None:
    _use_graph(read_model(path))


def _use_graph(graph: Graph) -> None:
    values = sum(int(np.prod(tensor.shape)) for tensor in graph.tensors.values())
    if values < SIMULATED_VALUES:
        evaluate(graph, np.ones((1, *graph.tensors[graph.input].shape)))


SAFETENSORS = (mutate.mutate_header, mutate.mutate_signed, mutate.mutate_signed)
READERS = (
    Reader(
        "quantized network",
        samples.write_network,
        lambda path: _plain(load_network(path)),
        SAFETENSORS,
        _use_network,
        sealed=True,
    ),
    Reader(
        "float network",
        samples.write_float,
        lambda path: _plain(load_float(path)),
        SAFETENSORS,
        _use_float,
        sealed=True,
    ),
    Reader(
        "checkpoint of a training",
        samples.write_checkpoint,
        _read_checkpoint,
        SAFETENSORS,
        _use_checkpoint,
        sealed=True,
    ),
    Reader("state dict", samples.write_state_dict, _read_state_dict, SAFETENSORS),
    Reader(
        "account",
        samples.write_account,
        lambda path: _plain(read_account(path)),
        (mutate.mutate_json,),
        lambda path: account_lines(read_account(path)),
    ),
    Reader("manifest of ROMs", samples.write_roms, _manifest("rom"), (mutate.mutate_json,)),
    Reader("manifest of Verilog", samples.write_verilog, _manifest("rtl"), (mutate.mutate_json,)),
    Reader(
        "ROM image",
        samples.write_image,
        lambda path: read_readmemh(path, "params", samples.ENGINE.word_bits),
        (mutate.mutate_lines,),
    ),
    Reader("IDX", samples.write_idx, lambda path: _plain(read_idx(path, 3)), ()),
    Reader(
        "IDX, gzip",
        samples.write_idx_gz,
        lambda path: _plain(read_idx(path, 3)),
        (mutate.mutate_gzip,),
    ),
    Reader("CIFAR-10", samples.write_cifar, lambda path: _plain(read_batch(path)), ()),
    Reader(
        "device",
        samples.write_device,
        lambda path: _plain(find_device(f"{path}:iCE40UP5K")),
        (mutate.mutate_toml,),
        _use_device,
    ),
    Reader(
        "technology",
        samples.write_technology,
        lambda path: _plain(load_technology(str(path))),
        (mutate.mutate_toml,),
        _use_technology,
    ),
    Reader("calibration", samples.write_calibration, _read_calibration, (mutate.mutate_json,)),
    Reader(
        "ONNX",
        samples_onnx.write_float,
        lambda path: _plain(read_onnx(path)),
        (mutate_model, mutate_model),
        import_onnx,
    ),
    Reader(
        "ONNX, quantized",
        samples_onnx.write_quantized,
        lambda path: _plain(read_onnx(path)),
        (mutate_model, mutate_model),
        _use_quantized_model,
    ),
    Reader(
        "TensorFlow Lite",
        samples_models.write_tflite,
        lambda path: _plain(read_model(path)),
        (),
        _use_model,
    ),
    Reader(
        "TensorFlow Lite, int8",
        samples_models.write_tflite_int8,
        lambda path: _plain(read_model(path)),
        (),
        _use_model,
    ),
    Reader(
        "torch.export",
        samples_models.write_pt2,
        lambda path: _plain(read_model(path)),
        (samples_models.mutate_archive, samples_models.mutate_archive),
        _use_model,
    ),
)
