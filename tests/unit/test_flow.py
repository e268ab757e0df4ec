"""What `sqhw verify` hands to a bench, without building RTL: real runs are in tests/hdl."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from strategies import random_network

from sqhw.data import load_dataset
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.steps import flow
from sqhw.verify.job import check_job

BATCH = 4


@dataclass
class Report:
    cycles: int = 0
    resets: int = 0


class Bench:
    """Stands for the RTL: checks what it is given and keeps the images."""

    def __init__(self, rtl, work):
        self.rtl = rtl

    def run(self, program, images, roms, seed, jobs):
        check_job(program, images, self.rtl, roms)
        Bench.images, Bench.batch = images, program.batch
        return Report()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A network for digits with ROM images for runs of several, and their Verilog."""
    monkeypatch.setattr("sqhw.verify.cxxrtl.VolumeBench", Bench)
    engine = EngineConfig(bank_depth=2048, max_batch=BATCH, groups=True, residuals=True)
    seeds = (random_network(seed, max_layers=1) for seed in range(1000))
    layer = next(n.layers[0] for n in seeds if n.input_shape[0] == 1 and n.layers[0].kind == "conv")
    network = QuantizedNetwork(
        "digits",
        (1, 8, 8),
        ActivationFormat(5, False),
        (layer,),
        {"engine": json.dumps(engine.to_dict())},
    )
    save_network(network, tmp_path / "net.safetensors")
    flow.rom(tmp_path / "net.safetensors", tmp_path, BATCH)
    flow.rtl(tmp_path / "net.safetensors", tmp_path)
    return tmp_path


def verify(folder, images):
    data = load_dataset("digits")
    return flow.verify(
        folder / "net.safetensors", data, folder, folder / "work", "cxxrtl", images, seed=0
    )


@pytest.mark.parametrize("images", [1, 2, 357, 358, 359])
def test_the_last_run_of_a_batch_is_filled_with_made_up_images(folder, images):
    result = verify(folder, images)
    assert Bench.batch == result["batch"] == BATCH
    assert len(Bench.images) % BATCH == 0
    assert len(Bench.images) == images + result["made_up_images"] < images + 2 + BATCH
    np.testing.assert_array_equal(
        Bench.images[:images], load_dataset("digits").test.images[:images]
    )


def test_verilog_with_axi_is_refused(folder):
    flow.rtl(folder / "net.safetensors", folder, "axi")
    with pytest.raises(SqhwError, match="have the interface 'axi', only plain ones"):
        verify(folder, 1)


@pytest.mark.parametrize("differs", [False, True])
def test_roms_that_are_written_anew_during_the_build_are_no_fault_of_the_rtl(
    folder, monkeypatch, differs
):
    class Slow(Bench):
        def run(self, *arguments, **options):
            flow.rom(folder / "net.safetensors", folder, 1)
            if differs:
                raise SqhwError("the RTL differs from the simulator under cxxrtl")
            return Report()

    monkeypatch.setattr("sqhw.verify.cxxrtl.VolumeBench", Slow)
    with pytest.raises(SqhwError, match=r"was changed, by another process, while the files in"):
        verify(folder, 2)
