"""Valid TensorFlow Lite files and a file of torch.export to mutate."""

import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.fuzz.mutate import Mutated, mutate_bytes, mutate_json
from tests.tflite_files import float_cnn, int8_cnn


def write_tflite(folder: Path) -> Path:
    """Write a TensorFlow Lite file of floats."""
    return _written(folder / "net.tflite", float_cnn(np.random.default_rng(0)))


def write_tflite_int8(folder: Path) -> Path:
    """Write a TensorFlow Lite file of integers."""
    return _written(folder / "net.tflite", int8_cnn())


def write_pt2(folder: Path) -> Path:
    """Write an archive as torch.export.save makes it: graph as JSON, arrays as raw bytes."""
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "conv.bias": np.zeros(4, np.float32),
        "fc.weight": rng.normal(size=(5, 16)).astype(np.float32),
    }
    names = {name: "p_" + name.replace(".", "_") for name in arrays}
    shapes = {own: arrays[name].shape for name, own in names.items()}
    shapes |= {"x": (2, 3, 4, 4), "conv": (2, 4, 4, 4), "relu": (2, 4, 4, 4), "pool": (2, 4, 2, 2)}
    shapes |= {"view": (2, 16), "fc": (2, 5)}
    nodes = [
        _node("aten.conv2d.default", "conv", input="x", weight="p_conv_weight",
              bias="p_conv_bias", stride=[1, 1], padding=[1, 1]),
        _node("aten.relu.default", "relu", self="conv"),
        _node("aten.max_pool2d.default", "pool", self="relu", kernel_size=[2, 2], stride=[2, 2]),
        _node("aten.view.default", "view", self="pool", size=[2, -1]),
        _node("aten.linear.default", "fc", input="view", weight="p_fc_weight"),
    ]  # fmt: skip
    specs = [
        {"parameter": {"arg": {"name": own}, "parameter_name": name}} for name, own in names.items()
    ]
    user = {"arg": {"as_tensor": {"name": "x"}}}
    output = {"arg": {"as_tensor": {"name": "fc"}}}
    graph = {
        "nodes": nodes,
        "tensor_values": {name: _meta(shape) for name, shape in shapes.items()},
    }
    signature = {
        "input_specs": [*specs, {"user_input": user}],
        "output_specs": [{"user_output": output}],
    }
    config = {
        name: {"path_name": f"weight_{at}", "use_pickle": False, "tensor_meta": _meta(values.shape)}
        for at, (name, values) in enumerate(arrays.items())
    }
    members = {
        **{f"data/weights/weight_{at}": one.tobytes() for at, one in enumerate(arrays.values())},
        "data/weights/model_weights_config.json": json.dumps({"config": config}).encode(),
        "models/model.json": json.dumps(
            {"graph_module": {"graph": graph, "signature": signature}}
        ).encode(),
        "byteorder": b"little",
    }
    return _written(folder / "net.pt2", _packed({f"net/{name}": members[name] for name in members}))


def mutate_archive(data: bytes, rng: random.Random) -> Mutated:
    """Mutate one member of an archive: its JSON, or its bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice(sorted(members))
    mutate = mutate_json if chosen.endswith(".json") else mutate_bytes
    members[chosen], _ = mutate(members[chosen], rng)
    return _packed(members), False


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _node(target: str, output: str, **arguments: object) -> dict[str, object]:
    inputs = [
        {"name": name, "arg": {"as_tensor": {"name": value}}}
        if isinstance(value, str)
        else {"name": name, "arg": {"as_ints": value}}
        for name, value in arguments.items()
    ]
    outputs = [{"as_tensor": {"name": output}}]
    return {"target": f"torch.ops.{target}", "inputs": inputs, "outputs": outputs, "name": output}


def _meta(shape: tuple[int, ...]) -> dict[str, object]:
    strides = [int(np.prod(shape[at + 1 :], dtype=np.int64)) for at in range(len(shape))]
    return {
        "dtype": 7,
        "sizes": [{"as_int": size} for size in shape],
        "strides": [{"as_int": step} for step in strides],
        "storage_offset": {"as_int": 0},
    }
