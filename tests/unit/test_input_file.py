"""Files of other kinds are named as what they are, with the way in; only regular ones are read."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import refuse
from safetensors.numpy import save
from small_networks import network

from sqhw.compress import float_network, load_float, save_float
from sqhw.errors import SqhwError
from sqhw.files import input_file, tensor_file
from sqhw.files.input_file import check_file, folder_at, gunzip, read_bytes, read_text, recognised
from sqhw.network.quantized_file import load_network, save_network

IMPORT = "pass that to sqhw.compress.import_module"


class Trap:
    """Leaves a file behind if it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def torch_file(legacy):
    buffer = io.BytesIO()
    content = {"w": torch.zeros(3), "trap": Trap()}
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, "{}")
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, w=np.zeros(3))
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


# Protobuf of an ONNX model: ir_version 8, producer_name "pytorch", then the graph.
ONNX = b"\x08\x08\x12\x07pytorch\x3a\x10" + bytes(16)
LOADERS = (load_network, load_float, lambda path: float_network("digits-cnn", path))
OTHERS = {
    "model.pth": (torch_file(legacy=False), "a PyTorch file, a pickle that is never opened here"),
    "old.pt": (torch_file(legacy=True), "a pickle, which is never opened here"),
    "model.pkl": (pickle.dumps(Trap()), "a pickle, which is never opened here"),
    "model.onnx": (ONNX, "an ONNX file; `sqhw import FILE`"),
    "model": (ONNX, "an ONNX file; `sqhw import FILE`"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite file; `sqhw import FILE`"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "a Keras or HDF5 file"),
    "model.keras": (zipped("metadata.json"), "a Keras file"),
    "model.npz": (npz(), "NumPy arrays (.npz), not a network"),
    "model.npy": (npy(), "a NumPy array (.npy), not a network"),
    "model.gguf": (b"GGUF\3\0\0\0" + bytes(20), "a GGUF file"),
    "other.zip": (zipped("a.txt"), "a zip archive"),
    "model.tar": (tarred(), "a tar archive; unpack it first"),
    "net.safetensors.gz": (gzip.compress(b"x" * 99), "a gzip file; unpack it first"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("load", LOADERS)
def test_files_of_other_kinds_are_named(tmp_path, monkeypatch, name, load):
    monkeypatch.chdir(tmp_path)
    content, what = OTHERS[name]
    Path(name).write_bytes(content)
    with pytest.raises(SqhwError) as error:
        load(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: this is {what}")
    if not name.endswith(("zip", "tar", "gz", "png", "npz", "npy")):
        way = "`sqhw import FILE` makes a network of it" if "import FILE" in what else IMPORT
        assert way in str(error.value)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("name", ["model.pth", "model.onnx", "picture.png"])
def test_text_readers_name_them_too(tmp_path, monkeypatch, capsys, name):
    (tmp_path / name).write_bytes(OTHERS[name][0] + b"\xff")
    with pytest.raises(SqhwError, match=r"^this is a"):
        read_text(tmp_path / name, 10**6)
    device = (tmp_path / name).rename(tmp_path / "device.toml")
    message = refuse(monkeypatch, capsys, "size", "lenet5-caffe", "--device", device)
    assert "device.toml: this is a" in message


def test_what_is_of_no_known_kind():
    for start in (b"", b"hello", b"\x08", bytes(512), b'{"a": 1}'):
        assert recognised(Path("net.safetensors"), start) is None


def test_the_three_kinds_of_own_files_are_told_apart(tmp_path):
    quantized, floats = tmp_path / "q.safetensors", tmp_path / "f.safetensors"
    save_network(network(), quantized)
    save_float(float_network("digits-cnn"), floats)
    plain = tmp_path / "state.safetensors"
    plain.write_bytes(save({"conv1.weight": np.zeros((2, 2), np.float32)}))
    run = tmp_path / "run.safetensors"
    run.write_bytes(save({"w": np.zeros(2)}, {tensor_file.CHECKPOINT_KEY: "{}"}))
    for load, path, what in (
        (load_network, floats, "a network of floats (from sqhw train or import), not a quantized"),
        (load_network, run, "a checkpoint of a training (from --resume), not a quantized"),
        (load_network, plain, "a safetensors file of plain tensors (such as 'conv1.weight'), "),
        (
            load_float,
            quantized,
            "a quantized network (from sqhw compress or quantize), not a float",
        ),
        (load_float, run, "a checkpoint of a training (from --resume), not a float network"),
        (load_float, plain, "a safetensors file of plain tensors (such as 'conv1.weight'), "),
    ):
        with pytest.raises(SqhwError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: {what}")
    with pytest.raises(SqhwError, match="not the state dict of a module but a quantized network"):
        float_network("digits-cnn", quantized)


def test_only_regular_files_within_the_limit_are_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    assert check_file(path, 5) == 5
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (".", "this is a directory"),
        ("none", "no such file"),
        ("file/none", "cannot be read (Not a directory)"),
        ("x" * 300, "cannot be read (File name too long)"),
        ("zero\0byte", "no such file: its name has a zero byte"),
        ("file", "is too large: 5 bytes, at most 4 are read"),
    ):
        for read in (read_bytes, read_text, check_file):
            with pytest.raises(SqhwError) as error:
                read(tmp_path / name, 4)
            assert str(error.value) == message
    for name in ("~nosuchuser/data", "x" * 300, "zero\0byte", str(path)):
        assert folder_at(name) is None
    assert folder_at(tmp_path) == tmp_path
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SqhwError, match=r"^not a text file: byte 0 is not UTF-8$"):
        read_text(path, 4)


def test_gunzip_stops_at_what_is_asked_for(monkeypatch):
    packed = gzip.compress(bytes(64 << 20))
    assert len(packed) < 1 << 17
    asked = []
    whole = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n: asked.append(n) or whole(self, n))
    assert gunzip(packed, 1000) == bytes(1000)
    assert sum(asked) == 1000
    assert len(gunzip(packed, input_file.CHUNK + 1)) == input_file.CHUNK + 1


@pytest.mark.parametrize("shape", [(1 << 40,), (0, 1 << 62), (1 << 62, 0)])
def test_tensors_of_impossible_shapes_are_refused(tmp_path, shape):
    path = tmp_path / "net"
    header = {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
    text = json.dumps({"__metadata__": {"sqhw": "{}"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    for load in LOADERS:
        with pytest.raises(SqhwError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: ")


def test_a_header_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    save_network(network(), path)
    monkeypatch.setattr(tensor_file, "MAX_HEADER_BYTES", 100)
    with pytest.raises(SqhwError, match=r"its header has [0-9,]+ bytes, at most 100 are read$"):
        load_network(path)
