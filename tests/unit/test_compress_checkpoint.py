"""Checkpoints of trainings: every flipped bit and every edited header is refused in a sentence."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from sqhw.compress.training.checkpoint import Checkpoint, checkpoint_digest
from sqhw.compress.training.learner import Stage
from sqhw.compress.training.loop import checkpoint_state
from sqhw.errors import SqhwError
from sqhw.files.tensor_file import CHECKPOINT_KEY

STATE = {
    "stage": 0,
    "epoch": 1,
    "score": [0.0, 0.5, float("-inf")],
    "history": [],
    "notes": [],
    "facts": {},
}
TENSORS = {
    "model.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4).T,
    "model.scale": torch.tensor(0.5),
    "mask": torch.tensor([True, False]),
    "step": torch.tensor([], dtype=torch.int64),
    "generator": torch.Generator().manual_seed(1).get_state(),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.safetensors"
    Checkpoint("key", STATE, TENSORS).write(path)
    return path


def message(path, key="key"):
    with pytest.raises(SqhwError) as error:
        Checkpoint.read(path, key)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(str(path)).strip(": ")


def test_comes_back_with_infinity(path):
    found = Checkpoint.read(path, "key")
    assert found.header == STATE
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    assert Checkpoint.read(path.parent / "none", "key") is None
    assert Checkpoint.read(None, "key") is None


def test_every_flipped_bit_is_refused_or_harmless(path):
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    first = len(content) - sum(t.numel() * t.element_size() for t in TENSORS.values())
    tensors = [(at, bit) for at in range(first, len(content), 7) for bit in (0, 7)]
    header = [(int(rng.integers(first)), int(rng.integers(8))) for _ in range(300)]
    for at, bit in [*tensors, *header]:
        changed = bytearray(content)
        changed[at] ^= 1 << bit
        path.write_bytes(changed)
        if at >= first:
            assert "does not match its checksum" in message(path)
            continue
        try:
            found = Checkpoint.read(path, "key")
        except SqhwError:
            continue
        assert found.header == STATE  # such as a blank after the header
        assert all(torch.equal(found.tensors[name], t) for name, t in TENSORS.items())


def rewritten(path, edit):
    """Edit version, key and state, and sign them anew."""
    with safe_open(path, framework="pt") as file:
        entry = json.loads(file.metadata()[CHECKPOINT_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    content = json.loads(entry["content"])
    edit(content, tensors)
    text = json.dumps(content)
    entry = {"content": text, "sha256": checkpoint_digest(text, tensors)}
    path.write_bytes(save(tensors, {CHECKPOINT_KEY: json.dumps(entry)}))


def test_an_edited_header_is_refused(path):
    with safe_open(path, framework="pt") as file:
        entry = json.loads(file.metadata()[CHECKPOINT_KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    entry["content"] = entry["content"].replace('"epoch": 1', '"epoch": 0')
    path.write_bytes(save(tensors, {CHECKPOINT_KEY: json.dumps(entry)}))
    assert "does not match its checksum" in message(path)


def test_other_runs_and_versions_are_told(path):
    assert message(path, "other").startswith("is the checkpoint of another run")
    rewritten(path, lambda content, tensors: content.update(version=3))
    assert message(path) == ("has checkpoint version 3, this sqhw reads 4; remove it to start anew")
    old = {"version": 2, "key": "key", "state": STATE}
    save_file({"x": torch.zeros(1)}, path, {CHECKPOINT_KEY: json.dumps(old)})
    assert message(path).startswith("has checkpoint version 2, this sqhw reads 4; remove it")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a safetensors file"),
        (b"\x80\x02}q\x00.", "this is a pickle, which is never opened here"),
        (save({"x": torch.zeros(1)}), "a safetensors file of plain tensors"),
        (save({}, {CHECKPOINT_KEY: "["}), "not JSON"),
        (save({}, {CHECKPOINT_KEY: "[" * 10**5}), "nested more than 32 deep"),
        (save({}, {CHECKPOINT_KEY: "[1]"}), "must be dict, not [1]"),
        (save({}, {CHECKPOINT_KEY: '{"content": 1}'}), "field 'content' must be str, not 1"),
    ],
)
def test_other_files_are_refused(path, content, what):
    path.write_bytes(content)
    found = message(path)
    assert found.startswith("is damaged or not a checkpoint of a method (")
    assert what in found
    assert found.endswith("; remove it to start anew")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stage": "0"}, "field 'stage' must be int, not '0'"),
        ({"stage": True}, "field 'stage' must be int, not True"),
        ({"score": [1.0]}, "field 'score' must be a list of 3 numbers, not [1.0]"),
        ({"notes": [1]}, "field 'notes' must be a list of texts, not [1]"),
        ({"history": {}}, "field 'history' must be list, not {}"),
        ({"facts": []}, "field 'facts' must be dict, not []"),
        ({"stage": 5}, "is of stage 5, epoch 1, which its run does not have"),
        ({"epoch": -1}, "is of stage 0, epoch -1, which its run does not have"),
        ({"epoch": 10**9}, "is of stage 0, epoch 1000000000, which its run does not have"),
    ],
)
def test_a_signed_header_of_wrong_types_is_refused(path, change, what):
    rewritten(path, lambda content, tensors: content["state"].update(change))
    found = Checkpoint.read(path, "key")
    with pytest.raises(SqhwError) as error:
        checkpoint_state(found, [Stage("one", 2, 32, lambda step, per_epoch: 1e-3)])
    assert str(error.value).startswith(str(path))
    assert what in str(error.value)


def test_tensors_that_do_not_fit_give_one_sentence(path):
    found = Checkpoint.read(path, "key")
    with pytest.raises(SqhwError, match=r"does not fit its run \(KeyError: 'gone'\); remove it to"):
        with found.restoring():
            found.tensors["gone"]
