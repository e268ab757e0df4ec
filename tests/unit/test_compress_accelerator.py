"""Names of devices that train."""

import pytest
import torch

from sqhw.compress.training.accelerator import find_accelerator
from sqhw.errors import SqhwError


def test_the_cpu_is_found():
    assert find_accelerator("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cpu:-1", ""])
def test_another_name_is_refused(name):
    with pytest.raises(SqhwError, match=rf"^unknown accelerator '{name}'"):
        find_accelerator(name)


@pytest.mark.parametrize(
    ("count", "name", "message"),
    [
        (0, "cuda", r"^no CUDA device is available to torch; use accelerator 'cpu'$"),
        (0, "cuda:1", r"^no CUDA device is available"),
        (2, "cuda:2", r"^accelerator 'cuda:2' is none of the 2 CUDA devices, from 0 on$"),
    ],
)
def test_what_is_not_there_is_refused(monkeypatch, count, name, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(SqhwError, match=message):
        find_accelerator(name)
    if count:
        assert find_accelerator("cuda:1") == torch.device("cuda:1")
