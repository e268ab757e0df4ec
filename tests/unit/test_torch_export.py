"""Files of torch.export.save, read without PyTorch, and modules that Python files make."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import refuse, run, run_without
from torch import nn
from torch.nn import functional

from sqhw.errors import SqhwError
from sqhw.frontends.folding.float_walk import logits, normalised
from sqhw.frontends.formats import read_model
from sqhw.frontends.neutral.evaluate import evaluate
from sqhw.frontends.onnx_file.convert import HANDLERS
from sqhw.frontends.torch_export.translate import KINDS
from sqhw.network.float_file import load_float


class Net(nn.Module):
    """A network of most operators that are read, in the spellings that modules have."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.wise = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.last = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(12, 5)
        self.register_buffer("scale", torch.tensor([0.5, 0.25, 2.0]).view(1, 3, 1, 1))

    def forward(self, x):
        x = (x - 0.25) * self.scale
        x = torch.relu(self.norm(self.first(x)))
        x = functional.relu6(x + self.wise(x))
        x = functional.max_pool2d(self.drop(x), 2)
        x = torch.clamp(self.last(x), min=0)
        x = functional.adaptive_avg_pool2d(x, 1)
        return torch.softmax(self.head(x.view(x.size(0), -1)), 1)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(3)
    made = Net()
    with torch.no_grad():
        for _ in range(3):
            made(torch.rand(8, 3, 8, 8))
    return made.eval()


@pytest.fixture(scope="module")
def exported(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "net.pt2"
    images = torch.export.Dim("images")
    program = torch.export.export(module, (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: images},))
    torch.export.save(program, path)
    return path


def changed(path, out, change):
    """Copy an archive; `change` returns each member's content from name and content, or None."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = change(name.partition("/")[2], source.read(name))
            if content is not None:
                target.writestr(name, content)
    return out


def test_a_file_computes_what_its_module_does(module, exported):
    graph = read_model(exported)
    assert graph.source == "pt2"
    x = torch.rand(4, 3, 8, 8)
    made = evaluate(graph, x.numpy())[graph.output].reshape(4, -1)
    softmax = np.exp(made) / np.exp(made).sum(1, keepdims=True)
    with torch.no_grad():
        np.testing.assert_allclose(softmax, module(x).numpy(), atol=1e-6)


def test_slopes_and_bounds_are_those_of_the_calls(tmp_path):
    torch.manual_seed(5)
    module = nn.Sequential(
        nn.LeakyReLU(0.3), nn.Conv2d(3, 6, 1), nn.PReLU(6), nn.Conv2d(6, 6, 1), nn.Hardsigmoid(),
        nn.PReLU(), nn.LeakyReLU(),
    )  # fmt: skip
    with torch.no_grad():
        module[2].weight.copy_(torch.linspace(-0.5, 0.5, 6))
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module.eval(), (torch.zeros(1, 3, 6, 6),)), path)
    graph, x = read_model(path), torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        right = module(x).numpy()
    np.testing.assert_allclose(evaluate(graph, x.numpy())[graph.output], right, atol=1e-6)


def test_no_handler_reads_the_kinds_that_lose_their_arguments():
    assert not set(KINDS.values()) & {kind for _, kind in HANDLERS}


def test_it_is_imported_without_torch(exported, tmp_path):
    out = tmp_path / "net.safetensors"
    ((code, text, error),) = run_without("torch", ["import", exported, "--out", out])
    assert (code, error) == (0, "")
    assert "the softmax at the end is left out" in text
    network, graph = load_float(out), read_model(exported)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    x = normalised(images, 255, (0.0,), (1.0,))
    right = evaluate(graph, x)[graph.output].reshape(2, -1)
    np.testing.assert_allclose(logits(network, images), right, atol=1e-5)


def test_unsupported_operators_are_all_named(exported, tmp_path):
    def change(name, content):
        text = content.replace(b"aten.relu.default", b"aten.selu.default")
        return text.replace(b"aten.relu6.default", b"aten.erfinv.default")

    path = changed(exported, tmp_path / "net.pt2", change)
    with pytest.raises(SqhwError) as error:
        read_model(path)
    assert "Selu 'relu'" in str(error.value)
    assert "aten.erfinv.default 'relu6'" in str(error.value)


@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        ("config.json", b'"use_pickle": false', b'"use_pickle": true', "is a pickle, which is"),
        ("config.json", b'"dtype": 7', b'"dtype": 99', "its type 99 is not read"),
        ("config.json", b'"dtype": 7', b'"dtype": [7]', "its type [7] is not read"),
        ("model.json", b'"dtype": 7', b'"dtype": {"7": 7}', "must be int, not"),
        ("config.json", b'{"as_int": 27}', b'{"as_int": 27000}', "too few for the shape"),
        ("config.json", b'{"as_int": 27}', b'{"as_int": -27}', "whole numbers are wanted"),
        ("config.json", b'"weight_0"', b'"../../weight_0"', "it lacks the member"),
        ("config.json", b'"norm.bias"', b'"norm.other"', "it lacks the array 'norm.bias'"),
        ("model.json", b'"graph_module"', b'"graph"', "not of the form that torch.export writes"),
        ("model.json", b'"user_output"', b'"user_out"', "it has 0 outputs"),
        ("model.json", b'"sizes": [{"as_int": 8}', b'"sizes": [{"as_int": -8}', "a size of -8"),
        ("byteorder", b"little", b"big", "its byte order is b'big'"),
        ("model.json", b"{", b"[" * 100, "nested"),
    ],
)
def test_damaged_files_are_one_sentence(exported, tmp_path, member, old, new, message):
    def change(name, content):
        return content.replace(old, new) if name.endswith(member) else content

    path = changed(exported, tmp_path / "net.pt2", change)
    with pytest.raises(SqhwError) as error:
        read_model(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_odd_bytes_after_an_array_are_ignored_and_calls_need_arguments(exported, tmp_path):
    def change(name, content):
        if name.endswith("model.json"):
            program = json.loads(content)
            nodes = program["graph_module"]["graph"]["nodes"]
            next(node for node in nodes if "relu.default" in node["target"])["inputs"] = []
            return json.dumps(program)
        return content + b"x" * name.endswith("weight_0")

    path = changed(exported, tmp_path / "net.pt2", change)
    with pytest.raises(SqhwError, match=r"aten\.relu\.default 'relu' is not supported"):
        read_model(path)


def test_pickles_and_broken_archives_are_refused(exported, tmp_path):
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", b"\x80\x02")
    with pytest.raises(SqhwError, match="its weights are a pickle, which is never opened"):
        read_model(old)
    data = exported.read_bytes()
    for end in (100, len(data) // 2, len(data) - 10):
        (tmp_path / "cut.pt2").write_bytes(data[:end])
        with pytest.raises(SqhwError, match="a damaged archive"):
            read_model(tmp_path / "cut.pt2")
    no_model = changed(
        exported,
        tmp_path / "no.pt2",
        lambda name, content: content if "models" not in name else None,
    )
    with pytest.raises(SqhwError, match="it has 0 models, not one"):
        read_model(no_model)


def test_mutated_files_never_fail_otherwise(exported, tmp_path):
    rng = np.random.default_rng(5)
    with zipfile.ZipFile(exported) as archive:
        (model,) = [name for name in archive.namelist() if name.endswith("model.json")]
        text = json.dumps(json.loads(archive.read(model)))
    for _ in range(25):
        broken = list(text)
        for at in rng.integers(0, len(text), 3):
            broken[at] = rng.choice(list('0123456789"{}[]:,abcx'))
        content = "".join(broken)
        path = changed(
            exported,
            tmp_path / "net.pt2",
            lambda name, own, content=content: content if name.endswith("model.json") else own,
        )
        try:
            read_model(path)
        except SqhwError:
            pass


SOURCE = """
from torch import nn
def make():
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
def fail():
    raise ValueError("no weights\\nhere")
number = 3
class Nothing: pass
"""


def test_a_python_file_is_run_and_that_is_said(tmp_path, monkeypatch, capsys):
    path, out = tmp_path / "model.py", tmp_path / "net.safetensors"
    path.write_text(SOURCE)
    options = ("--input-shape", "1x8x8", "--out", out)
    code, text, error = run(monkeypatch, capsys, "import", f"python:{path}:make", *options)
    assert code == 0
    assert f"runningthecodeof{path}" in "".join(error.split())  # the console breaks lines
    assert f"thecodeof{path}wasrun" in "".join(text.split())
    assert load_float(out).input_shape == (1, 8, 8)

    def refused(name, *more):
        code, text, error = run(monkeypatch, capsys, "import", name, *more)
        assert (code, text) == (1, "")
        return error

    for made, message in (
        ("fail", "running it raised ValueError: no weights; run it"),
        ("number", "running it raised TypeError"),
        ("Nothing", "not a torch.nn.Module"),
        ("other", "it has no other"),
    ):
        assert message in refused(f"python:{path}:{made}", *options)
    assert "add --input-shape" in refused(f"python:{path}:make")
    assert "leave --check out" in refused(f"python:{path}:make", *options, "--check")
    assert "must read python:FILE:CALLABLE" in refused("python:model.py")
    assert "no such file" in refused(f"python:{Path('no.py')}:make")


def test_check_of_an_exported_program_is_refused(exported, tmp_path, monkeypatch, capsys):
    out = tmp_path / "net.safetensors"
    error = refuse(monkeypatch, capsys, "import", exported, "--check", "--out", out)
    assert "pickles" in error
    assert not out.exists()
